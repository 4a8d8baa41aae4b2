//! Makes large preference data of real sentences, to measure the audit on.
//!
//!     cargo bench --bench recombine -- DATA OUT.parquet [--pairs 200000] [--repeated 0.3] [--seed 0]
//!
//! DATA holds real pairs in the form of transcripts (a file, a folder or a glob). OUT gets `--pairs`
//! distinct pairs of the same distribution of lengths and, on top, a share of rows that repeat an
//! earlier one: half of them exactly, 15% with the label swapped, 5% with other white space, 10% with
//! other case and punctuation, 20% with some words changed. OUT.truth.parquet says which row repeats
//! which. Without arguments there is nothing to make.
#![expect(clippy::print_stdout, reason = "says what was made")]

#[path = "dataset.rs"]
mod dataset;

use std::path::PathBuf;
use std::time::Instant;

use dataset::{Options, Outcome, Recombiner};

fn main() -> Outcome<()> {
    // the harness's own flag comes last
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let [data, out, rest @ ..] = &arguments[..] else {
        println!("recombine: nothing to make without DATA and OUT.parquet");
        return Ok(());
    };
    let mut options = Options::default();
    for flag in rest.chunks(2) {
        let [name, value] = flag else {
            return Err(format!("`{}` has no value", flag[0]).into());
        };
        match name.as_str() {
            "--pairs" => options.pairs = value.parse()?,
            "--repeated" => options.repeated = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            _ => {
                return Err(
                    format!("`{name}` is none of `--pairs`, `--repeated`, `--seed`").into(),
                );
            }
        }
    }
    let start = Instant::now();
    let recombiner = Recombiner::new(data, options)?;
    let out = PathBuf::from(out);
    recombiner.write(&out, &out.with_extension("truth.parquet"))?;
    let rows = recombiner.repeats().len();
    let repeats = recombiner.repeats().iter().flatten().count();
    println!(
        "{}: {rows} rows, {repeats} of them repeats, {} bytes, in {:.1} s",
        out.display(),
        std::fs::metadata(&out)?.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
