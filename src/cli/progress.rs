//! Progress on the terminal: bars with rate and time left, on stderr.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::Progress;

/// Bars where stderr is a terminal, plain lines for notes; nothing when quiet.
pub struct TerminalProgress {
    bar: Mutex<Option<ProgressBar>>,
    bars: bool,
    notes: bool,
}

impl TerminalProgress {
    /// Progress for a command; `quiet` leaves out bars and notes.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self {
            bar: Mutex::new(None),
            bars: !quiet && std::io::stderr().is_terminal(),
            notes: !quiet,
        }
    }

    fn with_bar(&self, work: impl FnOnce(&mut Option<ProgressBar>)) {
        work(
            &mut self
                .bar
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
    }
}

impl Progress for TerminalProgress {
    fn begin(&self, stage: &str, total: Option<u64>, unit: &str) {
        if !self.bars {
            return;
        }
        let template = match total {
            Some(_) => format!(
                "{{prefix:24}} {{bar:24}} {{percent:>3}}% {{human_pos}}/{{human_len}} {unit}, {{per_sec}}, {{eta}} left"
            ),
            None => format!("{{prefix:24}} {{spinner}} {{human_pos}} {unit}, {{per_sec}}"),
        };
        let style = ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar =
            ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr()).with_style(style);
        bar.set_prefix(stage.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        self.with_bar(|slot| *slot = Some(bar));
    }

    fn advance(&self, n: u64) {
        self.with_bar(|slot| {
            if let Some(bar) = slot {
                bar.inc(n);
            }
        });
    }

    fn skip(&self, n: u64) {
        self.with_bar(|slot| {
            if let Some(bar) = slot {
                bar.inc(n);
                // the jump is seen, then forgotten
                bar.tick();
                bar.reset_eta();
            }
        });
    }

    fn end(&self) {
        self.with_bar(|slot| {
            if let Some(bar) = slot.take() {
                bar.finish_and_clear();
            }
        });
    }

    #[expect(clippy::print_stderr, reason = "notes are for the user's eyes")]
    fn note(&self, line: &str) {
        if !self.notes {
            return;
        }
        self.with_bar(|slot| match slot {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        });
    }
}
