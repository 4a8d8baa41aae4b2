//! How long work tells its caller how far it is, without knowing terminals.

/// Receives the progress of a stage. Implemented by the terminal and by [`NoProgress`].
pub trait Progress: Sync {
    /// A stage begins; `total` in `unit`s where it is known.
    fn begin(&self, stage: &str, total: Option<u64>, unit: &str);
    /// `n` more units are done.
    fn advance(&self, n: u64);
    /// `n` units were done before, by an earlier run: they count as done, but not towards the rate.
    fn skip(&self, n: u64);
    /// The stage ends.
    fn end(&self);
    /// One plain line for the user's eyes (set-up, resume, warnings).
    fn note(&self, line: &str);
}

/// Ignores all progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _stage: &str, _total: Option<u64>, _unit: &str) {}
    fn advance(&self, _n: u64) {}
    fn skip(&self, _n: u64) {}
    fn end(&self) {}
    fn note(&self, _line: &str) {}
}
