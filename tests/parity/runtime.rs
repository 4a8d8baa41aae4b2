//! The runtime and the models under the tests, found or fetched as a run does it.

use std::path::PathBuf;
use std::sync::OnceLock;

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use prefclean::progress::NoProgress;
use prefclean::setup::{self, Backbone, SetupError, SetupOptions};

/// The runtime's environment; `None`, with a word on stderr, when offline and not set up.
pub fn runtime() -> Option<&'static Environment> {
    static ENVIRONMENT: OnceLock<Option<Environment>> = OnceLock::new();
    ENVIRONMENT
        .get_or_init(|| {
            let options = SetupOptions::from_env(Backbone::default()).unwrap();
            let library = or_skip(setup::ensure_runtime(&options, &NoProgress))?;
            Some(ort::init_from(library.path).unwrap().build().unwrap())
        })
        .as_ref()
}

/// The folder of a backbone. The default one is fetched if need be; any other must be there already.
pub fn model_folder(backbone: &Backbone) -> Option<PathBuf> {
    let mut options = SetupOptions::from_env(backbone.clone()).unwrap();
    options.offline |= *backbone != Backbone::default();
    let model = setup::ensure_model(&options, backbone, &NoProgress);
    or_skip(model).map(|model| model.path)
}

/// Only what may not be fetched is skipped; any other failure is one of the test.
fn or_skip<T>(found: Result<T, SetupError>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(error @ SetupError::Offline { .. }) => {
            note(&format!("skipped: {error}"));
            None
        }
        Err(error) => panic!("{error}; hint: {:?}", error.hint()),
    }
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
