//! Devices, sessions and failures, on the real library.

use super::*;
use crate::progress::NoProgress;
use crate::setup::{self, Backbone, SetupOptions};

/// The runtime for tests: found, or fetched once as a first run would.
pub(crate) fn runtime() -> &'static Runtime {
    let options = SetupOptions::from_env(Backbone::MiniLm).expect("a home folder");
    let library = setup::ensure_runtime(&options, &NoProgress)
        .unwrap_or_else(|error| panic!("{error}; hint: {:?}", error.hint()));
    library.load().unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn devices_are_parsed() {
    for (text, device) in [
        ("auto", Device::Auto),
        ("cpu", Device::Cpu),
        ("cuda", Device::Cuda(0)),
        ("cuda:3", Device::Cuda(3)),
    ] {
        assert_eq!(text.parse::<Device>().ok(), Some(device), "{text}");
        assert_eq!(device.to_string().parse::<Device>().ok(), Some(device));
    }
    for text in [
        "",
        "gpu",
        "CPU",
        "cuda:",
        "cuda:-1",
        "cuda:+1",
        "cuda:99999999999",
    ] {
        assert!(text.parse::<Device>().is_err(), "{text}");
    }
}

#[test]
fn a_graph_runs_and_says_where() {
    let runtime = runtime();
    let (mut session, device) = runtime
        .session(PROBE, 1, Device::Cpu)
        .expect("a session on the CPU");
    assert_eq!(device.provider(), "CPUExecutionProvider");
    let x = Tensor::from_array(([1], vec![4.0_f32])).expect("a tensor");
    let outputs = session.run(ort::inputs!["x" => x]).expect("runs");
    let y = outputs["y"].try_extract_tensor::<f32>().expect("floats");
    assert_eq!(y.1, [16.0]);
}

#[test]
fn facts_agree_with_devices() {
    let runtime = runtime();
    let facts = runtime.facts().expect("the library is there");
    assert!(facts.providers.contains(&"CPUExecutionProvider".to_owned()));
    assert!(
        facts.build_info.contains("Build Info"),
        "{}",
        facts.build_info
    );
    assert!(!facts.training_operators);
    let resolved = runtime.resolve(Device::Auto).expect("always some device");
    assert_eq!(
        resolved != ExecutionDevice::Cpu,
        !facts.cuda.devices.is_empty()
    );
    assert_eq!(facts.cuda.reason.is_none(), !facts.cuda.devices.is_empty());
}

#[test]
fn cuda_asked_for_and_absent_is_an_error() {
    let runtime = runtime();
    if cuda_compiled_in() {
        return; // what then holds depends on the machine
    }
    let error = runtime
        .session(PROBE, 1, Device::Cuda(0))
        .expect_err("no CUDA here");
    insta::assert_snapshot!(error, @"device `cuda:0` cannot be used: this ONNX Runtime library was built without CUDA");
    insta::assert_snapshot!(error.hint().expect("advice"), @"`prefclean setup --cuda` installs a CUDA build; or name one (package `onnxruntime-gpu`) with `--ort-lib PATH` or ORT_DYLIB_PATH; or use `--device cpu`");
}

#[test]
fn no_second_library_and_no_broken_one() {
    let loaded = runtime().path().to_path_buf();
    assert!(Runtime::load(&loaded).is_ok());
    let folder = tempfile::tempdir().expect("temporary folder");
    let other = folder.path().join("libonnxruntime.so");
    fs::write(&other, "no library").expect("own folder");
    assert!(matches!(
        Runtime::load(&other),
        Err(RuntimeError::AlreadyLoaded { .. })
    ));
    let missing = Runtime::load(&folder.path().join("nowhere"));
    assert!(matches!(missing, Err(RuntimeError::Open { .. })));
}

#[test]
fn a_broken_graph_is_an_error() {
    let error = runtime()
        .session(b"no graph", 1, Device::Cpu)
        .expect_err("no graph");
    assert_eq!(error.to_string(), "ONNX Runtime failed to create a session");
}

/// Runs one of the tests below in its own process: they need one without a library.
fn in_own_process(test: &str, variables: &[(&str, &Path)]) {
    let executable = std::env::current_exe().expect("this test's executable");
    let name = format!("reward::runtime::tests::{test}");
    let output = std::process::Command::new(executable)
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .envs(variables.iter().copied())
        .output()
        .expect("runs");
    let words = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && words.contains("1 passed"),
        "{words}"
    );
}

#[test]
fn denormals_are_flushed_on_later_threads() {
    runtime(); // fetch it here if need be, not in the other process
    in_own_process("denormals", &[]);
}

#[test]
#[ignore = "run in its own process by `denormals_are_flushed_on_later_threads`"]
fn denormals() {
    let square = |runtime: &Runtime, threads| {
        let (mut session, _) = runtime
            .session(PROBE, threads, Device::Cpu)
            .expect("a session");
        let x = Tensor::from_array(([1], vec![1e-20_f32])).expect("a tensor");
        let outputs = session.run(ort::inputs!["x" => x]).expect("runs");
        outputs["y"].try_extract_tensor::<f32>().expect("floats").1[0].to_bits()
    };
    let runtime = runtime();
    assert_eq!(square(runtime, 1), 0);
    std::thread::scope(|scope| {
        let later = scope.spawn(|| (square(runtime, 1), square(runtime, 2)));
        assert_eq!(later.join().expect("no panic"), (0, 0));
    });
}

#[test]
fn a_broken_library_is_an_error_and_a_second_try_works() {
    in_own_process("broken_then_whole", &[("LIBRARY", runtime().path())]);
}

#[test]
#[ignore = "run in its own process by `a_broken_library_is_an_error_and_a_second_try_works`"]
fn broken_then_whole() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let broken = folder.path().join("libonnxruntime.so");
    fs::write(&broken, "no library").expect("own folder");
    assert!(matches!(
        Runtime::load(&broken),
        Err(RuntimeError::Load { .. })
    ));
    let whole = std::env::var_os("LIBRARY").expect("set by the caller");
    Runtime::load(Path::new(&whole)).expect("a second try works");
}

#[test]
#[ignore = "needs PREFCLEAN_TEST_OLD_RUNTIME, the path of an ONNX Runtime before 1.20"]
fn an_old_library_is_refused() {
    let old = std::env::var_os("PREFCLEAN_TEST_OLD_RUNTIME").expect("a path");
    let error = Runtime::load(Path::new(&old)).expect_err("too old");
    assert!(matches!(error, RuntimeError::TooOld { .. }), "{error}");
}
