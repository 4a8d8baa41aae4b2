//! `prefclean setup`.

use crate::harness::{CliTest, help};

#[test]
fn help_text() {
    insta::assert_snapshot!(help("setup"));
}

#[test]
fn a_second_time_fetches_nothing() {
    let test = CliTest::new();
    let found = test.json(&["setup"]); // offline: it would fail if anything were missing
    assert_eq!(found["schema_version"], 1);
    assert_eq!(found["runtime"]["fetched"], false);
    assert_eq!(found["model"]["fetched"], false);
    assert_eq!(test.ok(&["setup", "--quiet"]), "");
    assert!(
        test.ok(&["setup", "--check"])
            .ends_with("all hashes agree\n")
    );
}

#[test]
fn what_cannot_be_set_up() {
    let test = CliTest::new();
    std::fs::create_dir(test.path("folder")).unwrap();
    std::fs::write(test.path("libonnxruntime.so"), "not a library").unwrap();
    let errors = test.transcripts(&[
        &["setup", "--backbone", "bert"],
        &["setup", "--backbone", "./folder"],
        &["setup", "--ort-lib", "missing.so"],
    ]);
    insta::assert_snapshot!(errors);
    let broken = test.transcript(&["setup", "--ort-lib", "libonnxruntime.so"]);
    assert!(
        broken.contains("error: ") && broken.ends_with("[exit 2]\n\n"),
        "{broken}"
    );
}

#[test]
fn cuda_is_not_fetched_offline_and_the_error_says_what_it_needs() {
    let test = CliTest::new();
    let output = test
        .command(&["setup", "--cuda"])
        .env("PREFCLEAN_HOME", test.path("home"))
        .env("PREFCLEAN_PYTHON", test.path("no-python"))
        .env_remove("ORT_DYLIB_PATH")
        .env_remove("VIRTUAL_ENV")
        .env_remove("CONDA_PREFIX")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let words = String::from_utf8(output.stderr).unwrap();
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        insta::assert_snapshot!(words, @r"
        error: what CUDA needs (ONNX Runtime for CUDA 1.31.1, CUDA runtime 13.0.96, nvrtc 13.0.88, cuBLAS 13.1.0.3, cuRAND 10.4.0.35, cuDNN 9.15.1.9) is not installed, and offline mode forbids fetching it
        hint: run `prefclean setup --cuda` once without `--offline` and PREFCLEAN_OFFLINE; its data folder can be copied to a machine without network (PREFCLEAN_HOME)
        ");
    } else {
        assert!(words.contains("`linux-x86_64` alone"), "{words}");
    }
    assert!(!test.path("home").exists());
}
