//! `prefclean completions`.

use crate::harness::{CliTest, help};

#[test]
fn help_text() {
    insta::assert_snapshot!(help("completions"));
    insta::assert_snapshot!("program", CliTest::new().transcript(&["--help"]));
}

#[test]
fn every_shell_knows_every_command() {
    let test = CliTest::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = test.ok(&["completions", shell]);
        for command in [
            "run",
            "tag",
            "report",
            "evaluate",
            "inject",
            "artifacts",
            "export",
            "setup",
            "doctor",
        ] {
            assert!(script.contains(command), "{shell}: {command}");
        }
        assert!(script.contains("max-remove"), "{shell} knows flags");
    }
}
