//! A text holds control characters.

use crate::audit::checks::{Hit, Needs, Of, RowCheck};
use crate::audit::rows::RowView;
use crate::audit::text::around;
use crate::audit::{Area, Check, Level};

/// The check.
pub const CHECK: Check = Check {
    name: "control-characters",
    area: Area::Structure,
    level: Level::Warning,
    counts: "rows",
    what: "a text holds control characters other than tab and line breaks",
    why: "they are debris of a conversion; tokenizers spend byte tokens on them, and terminals obey them",
    fix: "take them away where the texts are made",
};

/// How it looks at a row.
pub const ROWS: RowCheck = RowCheck {
    check: &CHECK,
    of: Of::Rows,
    says: "have control characters in a text",
    kinds: &["prompt", "chosen", "rejected"],
    needs: Needs::Texts,
    look,
};

fn find(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let is_control = |at: usize| match bytes[at] {
        b'\t' | b'\n' | b'\r' => false,
        0..=0x1f | 0x7f => true,
        // U+0080 to U+009F
        0xc2 => bytes
            .get(at + 1)
            .is_some_and(|next| (0x80..=0x9f).contains(next)),
        _ => false,
    };
    let at = (0..bytes.len()).find(|&at| is_control(at))?;
    Some((at, at + if bytes[at] == 0xc2 { 2 } else { 1 }))
}

fn look(row: &RowView<'_>) -> Option<Hit> {
    let mut hit: Option<Hit> = None;
    for (kind, text) in (0..).zip(row.each_text()) {
        // those in mojibake are counted there
        if let Some((at, end)) = find(text)
            && super::mojibake::find(text).is_none()
        {
            let seen = hit.unwrap_or_else(|| Hit::new(around(text, at, end)));
            hit = Some(seen.kind(kind, true));
        }
    }
    hit
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn line_breaks_and_tabs_are_no_control_characters() {
        assert_eq!(find("a\tb\r\nc é \u{a0}"), None);
        assert_eq!(find("a\u{7}"), Some((1, 2)));
        assert_eq!(find("é\u{85}"), Some((2, 4)));
        assert_eq!(find("\u{1b}[31m"), Some((0, 1)));
    }
}
