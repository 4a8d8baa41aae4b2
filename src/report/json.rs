//! `report.json`: the serialized [`Report`]. Its schema is `docs/report-schema.json`.

use super::ReportError;
use super::model::{Report, SCHEMA_VERSION};

/// The document, indented, with a line break at its end.
pub(super) fn document(report: &Report) -> Result<String, ReportError> {
    pretty(report)
}

/// Any document, indented, with a line break at its end.
pub(super) fn pretty(data: &impl serde::Serialize) -> Result<String, ReportError> {
    let mut out = serde_json::to_string_pretty(data).map_err(ReportError::Serialize)?;
    out.push('\n');
    Ok(out)
}

/// Reads a document that this version wrote.
///
/// # Errors
/// [`ReportError::Parse`] if it is not a report; [`ReportError::Version`] if
/// another version wrote it.
pub fn from_json(text: &str) -> Result<Report, ReportError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        schema_version: u32,
    }
    let Versioned { schema_version } = serde_json::from_str(text).map_err(ReportError::Parse)?;
    if schema_version != SCHEMA_VERSION {
        return Err(ReportError::Version {
            found: schema_version,
            expected: SCHEMA_VERSION,
        });
    }
    serde_json::from_str(text).map_err(ReportError::Parse)
}
