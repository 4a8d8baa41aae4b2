//! The command line: clap types, one file per subcommand, and everything that is printed.

pub mod inject;
