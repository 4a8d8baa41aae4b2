//! The CUDA build of ONNX Runtime and its CUDA libraries: found where they are, else fetched.
//!
//! What a build wants is read from its CUDA provider. Folders are searched in this order: beside
//! the library, the Python packages beside its own, the data folder, active Python environments.
//! What is in none of them is left to the system's loader.

use std::fs;
use std::path::{Path, PathBuf};

use super::packages::{self, CudaPackage, CudaPackages};
use super::{RuntimeLibrary, SetupError, SetupOptions, elf, install, library, megabytes, pip};
use crate::progress::Progress;
use crate::reward::runtime::{CudaLibraries, CudaLibrary, ZLIB};

/// In the order in which they are loaded: who is asked for stands before who asks.
const ORDER: [&str; 9] = [
    "libcudart.",
    "libnvJitLink.",
    "libnvrtc-builtins.",
    "libnvrtc.",
    "libcublasLt.",
    "libcublas.",
    "libcurand.",
    "libcufft.",
    "libz.",
];
const BUILTINS: &str = "libnvrtc-builtins.so.";

/// Whether a library has a CUDA provider beside it.
pub(super) fn has_provider(library: &Path) -> bool {
    provider(library).is_some()
}

/// The provider, where ONNX Runtime looks for it: beside the real file.
fn provider(library: &Path) -> Option<PathBuf> {
    let name = if cfg!(windows) {
        "onnxruntime_providers_cuda.dll"
    } else {
        "libonnxruntime_providers_cuda.so"
    };
    let path = fs::canonicalize(library).ok()?.parent()?.join(name);
    path.is_file().then_some(path)
}

/// What a library's CUDA provider wants, and where that is; `None` without a readable provider.
pub(super) fn libraries(library: &Path, options: &SetupOptions) -> Option<CudaLibraries> {
    let mut cuda = wanted(&elf::needed(&provider(library)?).ok()?)?;
    look_in(&mut cuda, &known_folders(library, options));
    if missing(&cuda).next().is_some() {
        // the interpreter is asked last: starting it takes time
        let interpreter = options.surroundings.python.as_deref();
        let packages = pip::package_folders(interpreter, "nvidia");
        let folders: Vec<_> = packages
            .iter()
            .flat_map(|nvidia| libraries_of(nvidia))
            .collect();
        look_in(&mut cuda, &folders);
    }
    add_builtins(&mut cuda);
    let rank = |library: &CudaLibrary| {
        ORDER
            .iter()
            .position(|name| library.soname.starts_with(name))
    };
    cuda.libraries
        .sort_by_key(|library| rank(library).unwrap_or(ORDER.len()));
    Some(cuda)
}

/// The CUDA libraries among the `NEEDED` ones, and those that are opened later by name.
fn wanted(needed: &[String]) -> Option<CudaLibraries> {
    let version = needed
        .iter()
        .find_map(|name| name.strip_prefix("libcudart.so.")?.parse().ok())?;
    let driver = |name: &String| name.starts_with("libcuda.so");
    let cuda = |name: &String| name.starts_with("libcu") || name.starts_with("libnv");
    let library = |soname: &str, required| CudaLibrary {
        soname: soname.to_owned(),
        required,
        path: None,
    };
    let linked = needed.iter().filter(|name| cuda(name) && !driver(name));
    let mut libraries: Vec<_> = linked.map(|name| library(name, true)).collect();
    // since 1.30 cuDNN is opened when first used; reductions and convolutions fail without it.
    // cuBLAS and cuDNN open nvrtc for kernels that are compiled on the spot
    let later = [
        ("libcudnn.so.9", true),
        (ZLIB, true),
        (&*format!("libnvrtc.so.{version}"), false),
    ];
    for (soname, required) in later {
        if !libraries.iter().any(|library| library.soname == soname) {
            libraries.push(library(soname, required));
        }
    }
    Some(CudaLibraries { version, libraries })
}

/// Those that no folder has; zlib belongs to the system.
fn missing(cuda: &CudaLibraries) -> impl Iterator<Item = &CudaLibrary> {
    let libraries = cuda.libraries.iter();
    libraries.filter(|library| library.path.is_none() && library.soname != ZLIB)
}

fn look_in(cuda: &mut CudaLibraries, folders: &[PathBuf]) {
    for library in &mut cuda.libraries {
        if library.path.is_none() && library.soname != ZLIB {
            let fitting = folders
                .iter()
                .filter(|folder| fits(folder, &library.soname, cuda.version));
            let mut paths = fitting.map(|folder| folder.join(&library.soname));
            library.path = paths.find(|path| path.is_file());
        }
    }
}

/// cuDNN and cuRAND have one soname for several versions of CUDA; what lies around tells which
/// one they are for.
fn fits(folder: &Path, soname: &str, version: u32) -> bool {
    let Some(name) = ["cudnn", "curand"].into_iter().find(|name| {
        soname
            .strip_prefix("lib")
            .is_some_and(|rest| rest.starts_with(name))
    }) else {
        return true;
    };
    if folder.join(install::MANIFEST).is_file() {
        return version == packages::PINNED_CUDA; // our own
    }
    // site-packages/nvidia/cu13/lib since CUDA 13, site-packages/nvidia/curand/lib before
    let steps: Vec<&Path> = folder.ancestors().take(4).collect();
    let shared = steps
        .get(1)
        .is_some_and(|step| step.ends_with(format!("cu{version}")));
    if shared || folder.join(format!("libcublasLt.so.{version}")).is_file() {
        return true;
    }
    let package = format!("nvidia_{name}_cu{version}-");
    let entries = steps
        .get(3)
        .and_then(|packages| fs::read_dir(packages).ok());
    entries.into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with(&package) && name.ends_with(".dist-info")
    })
}

/// nvrtc opens its built-ins by a name that holds the minor version.
fn add_builtins(cuda: &mut CudaLibraries) {
    let nvrtc = cuda
        .libraries
        .iter()
        .find(|library| library.soname.starts_with("libnvrtc.so"));
    let folder = nvrtc.and_then(|library| library.path.as_deref()?.parent());
    let entries = folder.and_then(|folder| fs::read_dir(folder).ok());
    let paths = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let found = paths.filter_map(|path| {
        let soname = path.file_name()?.to_str()?.to_owned();
        // a toolkit has links of other lengths and the file beside it
        let version = soname.strip_prefix(BUILTINS)?;
        (version.split('.').count() == 2).then_some(CudaLibrary {
            soname,
            required: false,
            path: Some(path),
        })
    });
    let found: Vec<_> = found.collect();
    cuda.libraries.extend(found);
}

/// Folders that can be named without asking anybody.
fn known_folders(library: &Path, options: &SetupOptions) -> Vec<PathBuf> {
    let real = fs::canonicalize(library).unwrap_or_else(|_| library.to_path_buf());
    let beside = real.parent().map(Path::to_path_buf);
    // site-packages/onnxruntime/capi/libonnxruntime.so
    let packages = real.ancestors().nth(3);
    let same_environment = packages.map(|packages| libraries_of(&packages.join("nvidia")));

    let surroundings = &options.surroundings;
    let ours = surroundings
        .catalog
        .cuda
        .iter()
        .flat_map(|cuda| &cuda.libraries);
    let home = &surroundings.home;
    let ours = ours
        .filter(|library| install::manifest(&library.package, home).is_some())
        .map(|library| library.package.path(home));
    let environments = surroundings.python_environments.iter().flat_map(|root| {
        let packages = library::site_packages(root);
        let nvidia = packages.flat_map(|packages| libraries_of(&packages.join("nvidia")));
        nvidia.chain([root.join("lib")]).collect::<Vec<_>>()
    });
    let before = beside
        .into_iter()
        .chain(same_environment.into_iter().flatten());
    before.chain(ours).chain(environments).collect()
}

/// `lib` of each package below `nvidia`, by name.
fn libraries_of(nvidia: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(nvidia).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries
        .map(|entry| entry.path().join("lib"))
        .filter(|folder| folder.is_dir())
        .collect();
    folders.sort();
    folders
}

/// Finds a CUDA build and its libraries, or else fetches what is missing of them.
pub(super) fn ensure(
    options: &SetupOptions,
    progress: &dyn Progress,
) -> Result<RuntimeLibrary, SetupError> {
    let found = library::find_with_cuda(options, progress)?;
    let packages = to_fetch(found.as_ref(), options)?;
    if let (Some(found), true) = (&found, packages.is_empty()) {
        return Ok(found.clone());
    }
    if options.offline {
        return Err(SetupError::Offline {
            what: titles(&packages),
            command: packages::SETUP_CUDA,
        });
    }
    let sum = |size: fn(&CudaPackage) -> u64| megabytes(packages.iter().map(|&p| size(p)).sum());
    progress.note(&format!(
        "setting up CUDA: {} to fetch in {} package{}, {} once installed; \
         a set-up that is killed goes on where it was, package by package",
        sum(|package| package.package.bytes()),
        packages.len(),
        if packages.len() == 1 { "" } else { "s" },
        sum(|package| package.unpacked),
    ));
    for package in &packages {
        options.installer().install(&package.package, progress)?;
    }
    let mut runtime = match (found, packages.first()) {
        (None, Some(package)) => library::installed(&package.package, options, true),
        (Some(found), _) => found,
        (None, None) => unreachable!("without a library there is one to fetch"),
    };
    runtime.cuda = libraries(&runtime.path, options);
    Ok(runtime)
}

/// Finds them without fetching.
pub(super) fn check(
    options: &SetupOptions,
    progress: &dyn Progress,
) -> Result<RuntimeLibrary, SetupError> {
    let found = library::find_with_cuda(options, progress)?;
    let packages = to_fetch(found.as_ref(), options)?;
    match found {
        Some(found) if packages.is_empty() => Ok(found),
        _ => Err(SetupError::NotInstalled {
            what: titles(&packages),
            command: packages::SETUP_CUDA,
        }),
    }
}

/// The packages that a library lacks; without a library, one more that has it, at the front.
fn to_fetch<'a>(
    found: Option<&RuntimeLibrary>,
    options: &'a SetupOptions,
) -> Result<Vec<&'a CudaPackage>, SetupError> {
    let catalog = options.surroundings.catalog.cuda.as_ref();
    let (mut packages, cuda) = match (found, catalog) {
        (Some(found), _) => (Vec::new(), found.cuda.clone()),
        (None, Some(catalog)) => (vec![&catalog.runtime], Some(pinned(catalog, options))),
        (None, None) => {
            return Err(SetupError::CudaPlatform {
                platform: packages::platform(),
            });
        }
    };
    let Some(cuda) = cuda else {
        return Ok(packages);
    };
    let mut nowhere = Vec::new();
    for library in missing(&cuda) {
        let catalog = catalog.filter(|_| cuda.version == packages::PINNED_CUDA);
        let mut known = catalog.iter().flat_map(|catalog| &catalog.libraries);
        match known.find(|package| package.has(&library.soname)) {
            Some(package) if packages.iter().any(|p| std::ptr::eq(*p, package)) => {}
            Some(package) => packages.push(package),
            None if library.required => nowhere.push(library.soname.clone()),
            None => {}
        }
    }
    match found {
        Some(found) if !nowhere.is_empty() => Err(SetupError::CudaLibraries {
            path: found.path.clone(),
            version: cuda.version,
            missing: nowhere,
        }),
        _ => Ok(packages),
    }
}

/// What the pinned build will want.
fn pinned(catalog: &CudaPackages, options: &SetupOptions) -> CudaLibraries {
    let library = |package: &CudaPackage| CudaLibrary {
        soname: package.package.files[0].to.to_owned(),
        required: true,
        path: None,
    };
    let mut cuda = CudaLibraries {
        version: packages::PINNED_CUDA,
        libraries: catalog.libraries.iter().map(library).collect(),
    };
    look_in(&mut cuda, &known_folders(Path::new(""), options));
    cuda
}

fn titles(packages: &[&CudaPackage]) -> String {
    let titles: Vec<_> = packages
        .iter()
        .map(|package| package.package.what())
        .collect();
    match titles.as_slice() {
        [one] => one.clone(),
        _ => format!("what CUDA needs ({})", titles.join(", ")),
    }
}
