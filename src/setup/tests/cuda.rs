//! CUDA builds: found in Python environments, fetched in part or whole, refused with advice.

use super::*;
use crate::setup::elf;
use crate::setup::packages::{CudaPackage, CudaPackages};

const NEEDED: &[&str] = &[
    "libcublas.so.13",
    "libcudart.so.13",
    "libcuda.so.1",
    "libc.so.6",
];

/// A package of the data folder with one wheel.
fn cuda_package(wheel: Wheel, folder: &str, files: &[(&'static str, &'static str)]) -> CudaPackage {
    let files = files.iter().map(|&(entry, to)| Wanted {
        entry,
        to,
        sha256: None,
    });
    let package = Package {
        title: wheel.name,
        folder: format!("runtime/{folder}"),
        files: files.collect(),
        command: packages::SETUP_CUDA,
        ..package(vec![wheel])
    };
    CudaPackage {
        package,
        unpacked: 20_000_000,
    }
}

/// A build that wants cuBLAS, cudart, cuDNN and nvrtc, and a package for each but cudart's.
fn cuda_packages(world: &World) -> CudaPackages {
    let provider = elf::asking_for(NEEDED);
    let runtime: &[(&str, &[u8])] = &[("o/lib", b"VERS_1.31.1\0"), ("o/cuda", &provider)];
    let library = |name, folder, files: &[(&'static str, &'static str)]| {
        let entries: Vec<_> = files
            .iter()
            .map(|(entry, _)| (*entry, b"lib".as_slice()))
            .collect();
        cuda_package(world.wheel(name, &entries), folder, files)
    };
    CudaPackages {
        runtime: cuda_package(
            world.wheel("onnxruntime-gpu", runtime),
            "onnxruntime-gpu-1.0",
            &[
                ("o/lib", library_name()),
                ("o/cuda", "libonnxruntime_providers_cuda.so"),
            ],
        ),
        libraries: vec![
            library("cudart", "cudart-1.0", &[("c/rt", "libcudart.so.13")]),
            library(
                "cublas",
                "cublas-1.0",
                &[("c/blas", "libcublas.so.13"), ("c/lt", "libcublasLt.so.13")],
            ),
            library(
                "cudnn",
                "nvidia-cudnn-cu13-1.0",
                &[("c/dnn", "libcudnn.so.9")],
            ),
            library(
                "nvrtc",
                "nvrtc-1.0",
                &[
                    ("c/rtc", "libnvrtc.so.13"),
                    ("c/b", "libnvrtc-builtins.so.13.0"),
                ],
            ),
        ],
    }
}

fn options(world: &World) -> SetupOptions {
    let mut options = world.options(Some(world.runtime()));
    options.surroundings.catalog.cuda = Some(cuda_packages(world));
    options.cuda = true;
    options
}

/// Sonames with the last two steps of their paths.
fn shown(runtime: &RuntimeLibrary) -> String {
    let cuda = runtime.cuda.as_ref().expect("a CUDA build");
    let rows = cuda.libraries.iter().map(|library| {
        let folder = library.path.as_deref().and_then(Path::parent);
        let names = |folder: &Path| {
            let names = folder
                .iter()
                .map(|name| name.to_string_lossy().into_owned());
            names.collect::<Vec<_>>()
        };
        let names = folder.map_or_else(|| vec!["?".into()], names);
        let shown = names[names.len().saturating_sub(2)..].join("/");
        format!("{} {shown}\n", library.soname)
    });
    rows.collect()
}

/// A Python environment whose packages hold these files.
fn environment(world: &World, name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let root = world.root.path().join(name);
    for (file, content) in files {
        let path = root.join("lib/python3.12/site-packages").join(file);
        fs::create_dir_all(path.parent().expect("it has one")).expect("own folder");
        fs::write(path, content).expect("own folder");
    }
    root
}

fn library_in_package() -> String {
    format!("onnxruntime/capi/{}", library_name())
}

const PROVIDER: &str = "onnxruntime/capi/libonnxruntime_providers_cuda.so";

#[test]
fn all_is_fetched_once_and_its_size_told_before() {
    let world = World::new();
    let mut options = options(&world);
    let error = check(&options, &NoProgress).expect_err("nothing there yet");
    insta::assert_snapshot!(world.shown(&error), @r"
    error: what CUDA needs (onnxruntime-gpu 1.0, cudart 1.0, cublas 1.0, cudnn 1.0, nvrtc 1.0) is not installed
    hint: run `prefclean setup --cuda`
    ");
    options.offline = true;
    let error = ensure_runtime(&options, &NoProgress).expect_err("offline");
    insta::assert_snapshot!(world.shown(&error), @r"
    error: what CUDA needs (onnxruntime-gpu 1.0, cudart 1.0, cublas 1.0, cudnn 1.0, nvrtc 1.0) is not installed, and offline mode forbids fetching it
    hint: run `prefclean setup --cuda` once without `--offline` and PREFCLEAN_OFFLINE; its data folder can be copied to a machine without network (PREFCLEAN_HOME)
    ");
    assert_eq!(world.calls(), 0);

    options.offline = false;
    let notes = Notes::default();
    let runtime = ensure_runtime(&options, &notes).expect("sets up");
    assert!(runtime.fetched && runtime.origin == Origin::DataFolder);
    insta::assert_snapshot!(shown(&runtime), @r"
    libcudart.so.13 runtime/cudart-1.0
    libnvrtc-builtins.so.13.0 runtime/nvrtc-1.0
    libnvrtc.so.13 runtime/nvrtc-1.0
    libcublas.so.13 runtime/cublas-1.0
    libz.so.1 ?
    libcudnn.so.9 runtime/nvidia-cudnn-cu13-1.0
    ");
    let notes = notes.0.into_inner().expect("no test panics with it");
    insta::assert_snapshot!(notes[0], @"setting up CUDA: 61.5 MB to fetch in 5 packages, 100.0 MB once installed; a set-up that is killed goes on where it was, package by package");
    assert_eq!(world.calls(), 5);

    options.offline = true;
    let again = ensure_runtime(&options, &NoProgress).expect("is set up");
    assert_eq!(
        (again.path, again.cuda),
        (runtime.path.clone(), runtime.cuda.clone())
    );
    // a run finds it too, before the build without CUDA
    options.cuda = false;
    world.install(&world.runtime()).expect("installs");
    let found = ensure_runtime(&options, &NoProgress).expect("is set up");
    assert_eq!((found.path, found.cuda), (runtime.path, runtime.cuda));
}

#[test]
fn a_set_up_that_was_killed_goes_on_with_the_next_package() {
    let world = World::new();
    let mut options = options(&world);
    let third = script(
        world.root.path(),
        "third",
        &format!("case $file in cublas*) exit 1;; esac\n{COPY}"),
    );
    options.surroundings.python = Some(third);
    let error = ensure_runtime(&options, &NoProgress).expect_err("fails");
    assert!(matches!(error, SetupError::PipFailed { .. }), "{error}");
    assert_eq!(world.calls(), 3);

    options.surroundings.python = Some(world.python.clone());
    let notes = Notes::default();
    ensure_runtime(&options, &notes).expect("sets up");
    assert_eq!(world.calls(), 3 + 3);
    let notes = notes.0.into_inner().expect("no test panics with it");
    assert!(notes[0].contains("in 3 packages"), "{}", notes[0]);
}

#[test]
fn damage_is_found_and_mended() {
    let world = World::new();
    let options = options(&world);
    ensure(&options, &NoProgress).expect("sets up");
    check(&options, &NoProgress).expect("whole");
    let library = world
        .home
        .data()
        .join("runtime/cublas-1.0/libcublasLt.so.13");
    fs::write(&library, "bad").expect("own file");
    let error = check(&options, &NoProgress).expect_err("changed");
    assert!(
        matches!(error, SetupError::WrongHash { ref file, .. } if file.ends_with("libcublasLt.so.13"))
    );
    fs::remove_file(&library).expect("own file");
    let calls = world.calls();
    ensure(&options, &NoProgress).expect("mends");
    assert_eq!(world.calls(), calls + 1);
}

#[test]
fn an_environment_that_has_all_is_used_as_it_is() {
    let world = World::new();
    let mut options = options(&world);
    let provider = elf::asking_for(NEEDED);
    let library = library_in_package();
    let files: &[(&str, &[u8])] = &[
        (&library, b"VERS_1.30.0\0"),
        (PROVIDER, &provider),
        ("nvidia/cu13/lib/libcublas.so.13", b""),
        ("nvidia/cu13/lib/libcudart.so.13", b""),
        ("nvidia/cu13/lib/libnvrtc.so.13", b""),
        ("nvidia/cu13/lib/libnvrtc-builtins.so.13.2", b""),
        ("nvidia/cu13/lib/libnvrtc-builtins.alt.so.13.2", b""),
        ("nvidia/cudnn/lib/libcudnn.so.9", b""),
        ("nvidia_cudnn_cu13-9.20.0.48.dist-info/METADATA", b""),
    ];
    options.surroundings.python_environments = vec![environment(&world, "venv", files)];
    options.offline = true;
    let runtime = ensure_runtime(&options, &NoProgress).expect("nothing is missing");
    assert_eq!(runtime.origin, Origin::PythonEnvironment);
    insta::assert_snapshot!(shown(&runtime), @r"
    libcudart.so.13 cu13/lib
    libnvrtc-builtins.so.13.2 cu13/lib
    libnvrtc.so.13 cu13/lib
    libcublas.so.13 cu13/lib
    libz.so.1 ?
    libcudnn.so.9 cudnn/lib
    ");

    // a run prefers it to a build without CUDA only where a driver is
    options.cuda = false;
    world.install(&world.runtime()).expect("installs");
    let origin =
        |options: &SetupOptions| ensure_runtime(options, &NoProgress).expect("found").origin;
    assert_eq!(origin(&options), Origin::DataFolder);
    options.surroundings.nvidia_driver = true;
    assert_eq!(origin(&options), Origin::PythonEnvironment);
}

#[test]
fn what_an_environment_lacks_is_fetched_beside_it() {
    let world = World::new();
    let mut options = options(&world);
    let provider = elf::asking_for(NEEDED);
    let library = library_in_package();
    // PyTorch's cuDNN for CUDA 12 has the soname of the one for CUDA 13
    let files: &[(&str, &[u8])] = &[
        (&library, b"VERS_1.31.1\0"),
        (PROVIDER, &provider),
        ("nvidia/cudnn/lib/libcudnn.so.9", b""),
        ("nvidia_cudnn_cu12-9.10.2.21.dist-info/METADATA", b""),
        ("nvidia/cublas/lib/libcublas.so.12", b""),
    ];
    options.surroundings.python_environments = vec![environment(&world, "venv", files)];
    let runtime = ensure_runtime(&options, &NoProgress).expect("sets up");
    assert_eq!(runtime.origin, Origin::PythonEnvironment);
    assert!(!runtime.fetched);
    insta::assert_snapshot!(shown(&runtime), @r"
    libcudart.so.13 runtime/cudart-1.0
    libnvrtc-builtins.so.13.0 runtime/nvrtc-1.0
    libnvrtc.so.13 runtime/nvrtc-1.0
    libcublas.so.13 runtime/cublas-1.0
    libz.so.1 ?
    libcudnn.so.9 runtime/nvidia-cudnn-cu13-1.0
    ");
    assert_eq!(world.calls(), 4);
}

#[test]
fn what_cannot_be_had_is_refused_with_advice() {
    let world = World::new();
    let mut options = options(&world);
    let library = library_in_package();
    let provider = elf::asking_for(&["libcublas.so.12", "libcudart.so.12", "libcufft.so.11"]);
    let files: &[(&str, &[u8])] = &[
        (&library, b"VERS_1.22.0\0"),
        (PROVIDER, &provider),
        ("nvidia/cublas/lib/libcublas.so.12", b""),
    ];
    options.surroundings.python_environments = vec![environment(&world, "venv", files)];
    let error = ensure_runtime(&options, &NoProgress).expect_err("for CUDA 12");
    let text = world.shown(&error).replace(library_name(), "LIBRARY");
    insta::assert_snapshot!(text, @r"
    error: ONNX Runtime at `ROOT/venv/lib/python3.12/site-packages/onnxruntime/capi/LIBRARY` was built for CUDA 12, and these of its libraries were not found: `libcudart.so.12`, `libcufft.so.11`, `libcudnn.so.9`
    hint: install the pip packages of CUDA 12 that have them beside it, or leave its Python environment or setting: prefclean then fetches a build for CUDA 13 with all that it needs
    ");

    options.surroundings.python_environments.clear();
    let plain = world.root.path().join(library_name());
    fs::write(&plain, "VERS_1.31.1\0").expect("own file");
    options.ort_lib = Some(plain);
    let error = ensure_runtime(&options, &NoProgress).expect_err("no provider");
    let text = world.shown(&error).replace(library_name(), "LIBRARY");
    insta::assert_snapshot!(text, @r"
    error: ONNX Runtime at `ROOT/LIBRARY` (given by --ort-lib) was built without CUDA
    hint: leave --ort-lib out, and `prefclean setup --cuda` finds or fetches a CUDA build; or leave `--cuda` out
    ");

    options.ort_lib = None;
    options.surroundings.catalog.cuda = None;
    let error = ensure_runtime(&options, &NoProgress).expect_err("no packages");
    let here = format!("this is `{}`", packages::platform());
    let text = world.shown(&error).replace(&here, "this is `PLATFORM`");
    insta::assert_snapshot!(text, @r"
    error: the CUDA build of ONNX Runtime can be fetched for `linux-x86_64` alone, and this is `PLATFORM`
    hint: leave `--cuda` out; or name a CUDA build with `--ort-lib PATH` or ORT_DYLIB_PATH, with CUDA and cuDNN where the system's loader finds them
    ");
}

#[test]
fn a_broken_provider_is_left_to_the_runtime() {
    let world = World::new();
    let mut options = options(&world);
    let library = library_in_package();
    let files: &[(&str, &[u8])] = &[(&library, b"VERS_1.31.1\0"), (PROVIDER, b"no library")];
    options.surroundings.python_environments = vec![environment(&world, "venv", files)];
    let runtime = ensure_runtime(&options, &NoProgress).expect("found");
    assert_eq!(runtime.cuda, None);
}
