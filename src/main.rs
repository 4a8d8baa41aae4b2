//! Parses the command line, calls the library, and maps the result to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    prefclean::cli::main()
}
