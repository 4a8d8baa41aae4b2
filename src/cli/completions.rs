//! `prefclean completions`: scripts that complete commands and flags in shells.

use std::io::Write as _;

use clap::{Args, Command};
use clap_complete::Shell;

use super::Outcome;

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prefclean completions bash > ~/.local/share/bash-completion/completions/prefclean
  prefclean completions fish > ~/.config/fish/completions/prefclean.fish")]
pub struct CompletionsArgs {
    /// Shell to complete in
    shell: Shell,
}

/// Prints the script for a shell; `command` is the whole command line.
pub(super) fn run(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<Outcome> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Outcome::Done)
}
