//! The pinned CUDA build of ONNX Runtime, and the CUDA 13.0 libraries that it wants.
//!
//! `readelf -d libonnxruntime_providers_cuda.so` names cuBLAS, cuBLASLt, cuRAND, cudart and the
//! driver. cuDNN is opened when a reduction or convolution first needs it, nvrtc by cuBLAS and
//! cuDNN. cuFFT would serve FFT operators alone, which no encoder has, and is left out, as are
//! `nvblas` and the alternative builds of nvrtc.

use super::{
    CudaPackage, CudaPackages, PINNED_RUNTIME, Package, SETUP_CUDA, Wanted, Wheel, wanted,
};

/// The one platform with wheels of all of them.
const PLATFORM: &str = "linux-x86_64";

struct CudaWheel {
    title: &'static str,
    name: &'static str,
    version: &'static str,
    /// pip's name of the wheel's platform.
    platform: &'static [&'static str],
    bytes: u64,
    sha256: &'static str,
    unpacked: u64,
    files: &'static [(&'static str, &'static str)],
}

pub(super) fn packages(platform: &str) -> Option<CudaPackages> {
    (platform == PLATFORM).then(|| CudaPackages {
        runtime: package(&RUNTIME),
        libraries: LIBRARIES.iter().map(package).collect(),
    })
}

fn package(wheel: &CudaWheel) -> CudaPackage {
    let files = wheel.files.iter().map(|&(entry, to)| wanted(entry, to));
    CudaPackage {
        package: Package {
            title: wheel.title,
            version: wheel.version,
            folder: format!("runtime/{}-{}-{PLATFORM}", wheel.name, wheel.version),
            wheels: vec![Wheel {
                name: wheel.name,
                version: wheel.version,
                tags: wheel.platform,
                bytes: wheel.bytes,
                sha256: wheel.sha256,
                part: None,
            }],
            files: files.collect::<Vec<Wanted>>(),
            command: SETUP_CUDA,
        },
        unpacked: wheel.unpacked,
    }
}

const RUNTIME: CudaWheel = CudaWheel {
    title: "ONNX Runtime for CUDA",
    name: "onnxruntime-gpu",
    version: PINNED_RUNTIME,
    platform: &[
        "--platform",
        "manylinux_2_28_x86_64",
        "--python-version",
        "3.12",
        "--implementation",
        "cp",
    ],
    bytes: 255_569_273,
    sha256: "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
    unpacked: 313_790_377,
    files: &[
        (
            "onnxruntime/capi/libonnxruntime.so.1.31.1",
            "libonnxruntime.so.1.31.1",
        ),
        (
            "onnxruntime/capi/libonnxruntime_providers_shared.so",
            "libonnxruntime_providers_shared.so",
        ),
        (
            "onnxruntime/capi/libonnxruntime_providers_cuda.so",
            "libonnxruntime_providers_cuda.so",
        ),
        ("onnxruntime/LICENSE", "LICENSE"),
        ("onnxruntime/ThirdPartyNotices.txt", "ThirdPartyNotices.txt"),
    ],
};

const LIBRARIES: &[CudaWheel] = &[
    CudaWheel {
        title: "CUDA runtime",
        name: "nvidia-cuda-runtime",
        version: "13.0.96",
        platform: &["--platform", "manylinux2014_x86_64"],
        bytes: 2_243_632,
        sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        unpacked: 763_550,
        files: &[
            ("nvidia/cu13/lib/libcudart.so.13", "libcudart.so.13"),
            (
                "nvidia_cuda_runtime-13.0.96.dist-info/licenses/License.txt",
                "License.txt",
            ),
        ],
    },
    CudaWheel {
        title: "nvrtc",
        name: "nvidia-cuda-nvrtc",
        version: "13.0.88",
        platform: &["--platform", "manylinux2010_x86_64"],
        bytes: 90_215_200,
        sha256: "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
        unpacked: 113_777_942,
        files: &[
            ("nvidia/cu13/lib/libnvrtc.so.13", "libnvrtc.so.13"),
            (
                "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
                "libnvrtc-builtins.so.13.0",
            ),
            (
                "nvidia_cuda_nvrtc-13.0.88.dist-info/licenses/License.txt",
                "License.txt",
            ),
        ],
    },
    CudaWheel {
        title: "cuBLAS",
        name: "nvidia-cublas",
        version: "13.1.0.3",
        platform: &["--platform", "manylinux_2_27_x86_64"],
        bytes: 423_133_236,
        sha256: "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171",
        unpacked: 595_832_838,
        files: &[
            ("nvidia/cu13/lib/libcublas.so.13", "libcublas.so.13"),
            ("nvidia/cu13/lib/libcublasLt.so.13", "libcublasLt.so.13"),
            (
                "nvidia_cublas-13.1.0.3.dist-info/licenses/License.txt",
                "License.txt",
            ),
        ],
    },
    CudaWheel {
        title: "cuRAND",
        name: "nvidia-curand",
        version: "10.4.0.35",
        platform: &["--platform", "manylinux_2_27_x86_64"],
        bytes: 59_544_258,
        sha256: "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc",
        unpacked: 132_757_590,
        files: &[
            ("nvidia/cu13/lib/libcurand.so.10", "libcurand.so.10"),
            (
                "nvidia_curand-10.4.0.35.dist-info/licenses/License.txt",
                "License.txt",
            ),
        ],
    },
    CudaWheel {
        title: "cuDNN",
        name: "nvidia-cudnn-cu13",
        version: "9.15.1.9",
        platform: &["--platform", "manylinux_2_27_x86_64"],
        bytes: 351_298_418,
        sha256: "ebc9a647918df0d7298d67cfaf41579fd4c78ead9aba246f5ad9414d61b9ec4c",
        unpacked: 472_463_646,
        files: &[
            ("nvidia/cudnn/lib/libcudnn.so.9", "libcudnn.so.9"),
            ("nvidia/cudnn/lib/libcudnn_adv.so.9", "libcudnn_adv.so.9"),
            ("nvidia/cudnn/lib/libcudnn_cnn.so.9", "libcudnn_cnn.so.9"),
            (
                "nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9",
                "libcudnn_engines_precompiled.so.9",
            ),
            (
                "nvidia/cudnn/lib/libcudnn_engines_runtime_compiled.so.9",
                "libcudnn_engines_runtime_compiled.so.9",
            ),
            (
                "nvidia/cudnn/lib/libcudnn_graph.so.9",
                "libcudnn_graph.so.9",
            ),
            (
                "nvidia/cudnn/lib/libcudnn_heuristic.so.9",
                "libcudnn_heuristic.so.9",
            ),
            ("nvidia/cudnn/lib/libcudnn_ops.so.9", "libcudnn_ops.so.9"),
            (
                "nvidia_cudnn_cu13-9.15.1.9.dist-info/licenses/License.txt",
                "License.txt",
            ),
        ],
    },
];
