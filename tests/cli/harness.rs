//! A temporary folder, the binary, and filters for what differs between runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

/// One test's folder and environment.
pub struct CliTest {
    folder: TempDir,
    cache: PathBuf,
}

/// The binary with the tests' own home.
fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prefclean"));
    command.env("PREFCLEAN_HOME", home).env("NO_COLOR", "1");
    command
}

/// Runtime and default model, set up once for all tests: the user's own home, or one among the build's files.
fn home() -> &'static Path {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    HOME.get_or_init(|| {
        let home = std::env::var_os("PREFCLEAN_HOME").map_or_else(
            || Path::new(env!("CARGO_TARGET_TMPDIR")).join("prefclean-home"),
            PathBuf::from,
        );
        let output = program(&home)
            .arg("setup")
            .output()
            .expect("the binary starts");
        assert!(
            output.status.success(),
            "`prefclean setup` failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        home
    })
}

impl CliTest {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cache = folder.path().join("cache");
        Self { folder, cache }
    }

    /// A path in the test's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the binary in the test's folder, with its own cache and no network.
    pub fn run(&self, arguments: &[&str]) -> Output {
        program(home())
            .current_dir(self.folder.path())
            .env("PREFCLEAN_OFFLINE", "1")
            .env("PREFCLEAN_CACHE", &self.cache)
            .args(arguments)
            .output()
            .expect("the binary starts")
    }

    /// Runs the binary, which must succeed; gives its stdout.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "`prefclean {}` ended with {}:\n{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("stdout is UTF-8")
    }

    /// Runs the binary, which must end with exit code 2; gives its stderr with the folder's name left out.
    pub fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "`prefclean {}`",
            arguments.join(" ")
        );
        String::from_utf8(output.stderr)
            .expect("stderr is UTF-8")
            .replace(&self.folder.path().display().to_string(), "[FOLDER]")
    }
}

/// A file of `fixtures/`.
pub fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
        .display()
        .to_string()
}

/// A file of the larger test data; `None`, with a message, where it is not.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub fn test_data(name: &str) -> Option<String> {
    let folder = std::env::var_os("PREFCLEAN_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let path = folder.join(name);
    if path.exists() {
        return Some(path.display().to_string());
    }
    eprintln!(
        "skipped: {} is not there (PREFCLEAN_TEST_DATA names its folder)",
        path.display()
    );
    None
}
