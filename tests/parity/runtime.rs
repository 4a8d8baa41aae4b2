//! The runtime under the tests.

use std::path::PathBuf;
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;

/// The runtime's environment; `None`, with a word on stderr, when no library is to be had.
pub fn runtime() -> Option<&'static Environment> {
    static ENVIRONMENT: OnceLock<Option<Environment>> = OnceLock::new();
    ENVIRONMENT
        .get_or_init(|| {
            let Some(library) = std::env::var_os("ORT_DYLIB_PATH") else {
                note("skipped: ORT_DYLIB_PATH names no ONNX Runtime library");
                return None;
            };
            Some(
                ort::init_from(PathBuf::from(library))
                    .unwrap()
                    .build()
                    .unwrap(),
            )
        })
        .as_ref()
}

/// A session with the options that the crate uses.
pub fn session(environment: &Environment, onnx: &[u8], threads: usize) -> Session {
    Session::builder(environment)
        .unwrap()
        .with_memory_pattern(false)
        .unwrap()
        .with_optimization_level(GraphOptimizationLevel::All)
        .unwrap()
        .with_intra_threads(threads)
        .unwrap()
        .commit_from_memory(onnx)
        .unwrap()
}

#[expect(clippy::print_stderr, reason = "a skipped test says why")]
pub fn note(line: &str) {
    eprintln!("{line}");
}
