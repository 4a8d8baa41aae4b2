//! Characters were lost in decoding.

use crate::audit::checks::{Hit, Needs, Of, RowCheck};
use crate::audit::rows::RowView;
use crate::audit::text::around;
use crate::audit::{Area, Check, Level};

/// The check.
pub const CHECK: Check = Check {
    name: "replacement-characters",
    area: Area::Structure,
    level: Level::Warning,
    counts: "rows",
    what: "a text holds U+FFFD, which stands for bytes that could not be decoded",
    why: "what stood there is lost, and the model learns to write the mark",
    fix: "decode the source again with its right encoding, or leave these rows out",
};

/// How it looks at a row.
pub const ROWS: RowCheck = RowCheck {
    check: &CHECK,
    of: Of::Rows,
    says: "have characters that were lost in decoding (U+FFFD)",
    kinds: &["prompt", "chosen", "rejected"],
    needs: Needs::Texts,
    look,
};

fn look(row: &RowView<'_>) -> Option<Hit> {
    let mut hit: Option<Hit> = None;
    for (kind, text) in (0..).zip(row.each_text()) {
        if let Some(at) = text.find('\u{fffd}') {
            let seen = hit.unwrap_or_else(|| Hit::new(around(text, at, at + 3)));
            hit = Some(seen.kind(kind, true));
        }
    }
    hit
}
