//! `review.csv`: the pairs most worth a person's look, with both texts and the evidence in words.

use std::path::Path;

use super::PipelineError;
use crate::pairs::atomic_write;
use crate::report::Example;

/// Writes the examples, most suspicious first.
///
/// A cell that a spreadsheet would take for a formula gets an apostrophe in front.
pub(super) fn write(path: &Path, examples: &[Example]) -> Result<(), PipelineError> {
    let failed = |error: csv::Error| PipelineError::Folder {
        path: path.to_owned(),
        source: std::io::Error::other(error),
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record([
            "pair_id",
            "input",
            "row",
            "tag",
            "suspicion",
            "p_incorrect",
            "evidence",
            "prompt",
            "chosen",
            "rejected",
        ])
        .map_err(failed)?;
    for example in examples {
        writer
            .write_record([
                example.pair_id.clone(),
                plain(&example.input),
                example.row.to_string(),
                example.tag.as_str().to_owned(),
                format!("{:.4}", example.suspicion),
                example
                    .p_incorrect
                    .map_or_else(String::new, |p| format!("{p:.4}")),
                example.evidence.join(" "),
                plain(&example.prompt.text),
                plain(&example.chosen.text),
                plain(&example.rejected.text),
            ])
            .map_err(failed)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| failed(error.into_error().into()))?;
    Ok(atomic_write(path, &bytes)?)
}

/// Text that no spreadsheet runs.
fn plain(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn formulas_are_disarmed() {
        assert_eq!(super::plain("=1+1"), "'=1+1");
        assert_eq!(super::plain(" fine"), " fine");
    }
}
