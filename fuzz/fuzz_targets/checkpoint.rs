//! Any bytes as a checkpoint: an error, or what can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prefclean::graph::checkpoint::Checkpoint;

fuzz_target!(|bytes: &[u8]| {
    let Ok(checkpoint) = Checkpoint::from_bytes(bytes) else {
        return;
    };
    // compared as bytes: a value that is not a number is not equal to itself
    let written = checkpoint.to_bytes().expect("what was read can be written");
    let read = Checkpoint::from_bytes(&written).expect("what was written can be read");
    let again = read.to_bytes().expect("what was read can be written");
    assert!(again == written, "another checkpoint was read than written");
});
