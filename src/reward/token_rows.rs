//! Texts as the padded rows that a graph takes.

use crate::tokens::{TextIndex, Texts};

/// Token ids and masks of some texts, `[texts, padded_tokens]` each, row-major.
pub(super) struct TokenRows {
    /// Token ids; 0 on padding.
    pub(super) ids: Vec<i64>,
    /// 1 on tokens, 0 on padding.
    pub(super) attention: Vec<i64>,
    /// 1 on the response's tokens, else 0.
    pub(super) response: Vec<f32>,
}

impl TokenRows {
    pub(super) fn new(rows: &[TextIndex], padded_tokens: usize, texts: &Texts) -> Self {
        let n = rows.len() * padded_tokens;
        let mut result = Self {
            ids: vec![0; n],
            attention: vec![0; n],
            response: vec![0.0; n],
        };
        for (row, &text) in rows.iter().enumerate() {
            let (tokens, span) = texts.read(text);
            let start = row * padded_tokens;
            for (i, token) in tokens.into_iter().enumerate() {
                result.ids[start + i] = i64::from(token);
                result.attention[start + i] = 1;
            }
            result.response[start + span.start..start + span.end].fill(1.0);
        }
        result
    }
}
