//! Pairs worth a look, with their texts.

use serde::{Deserialize, Serialize};

use crate::tags::Tag;

/// Three lists of pairs worth a look; a pair may stand in more than one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Examples {
    /// Highest suspicion first.
    pub most_suspicious: Vec<Example>,
    /// Highest fluctuation of loss first.
    pub most_fluctuating: Vec<Example>,
    /// Lowest suspicion first.
    pub most_trusted: Vec<Example>,
}

/// One pair with its texts and evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Pair id as written in the files.
    pub pair_id: String,
    /// Input path as given.
    pub input: String,
    /// Row in that file, from 0.
    pub row: u64,
    /// Its tag.
    pub tag: Tag,
    /// Whether it was left out of the cleaned file.
    pub removed: bool,
    /// 0..1, higher is more likely incorrect.
    pub suspicion: f64,
    /// Calibrated probability that the label is wrong; `None` when nothing can be told.
    pub p_incorrect: Option<f64>,
    /// Mean absolute change of loss from epoch to epoch, nats.
    pub fluctuation: f64,
    /// Mean of `p_chosen` over epochs, models `a` and `b`.
    pub confidence: [f64; 2],
    /// The one reason, when removed.
    pub reason: Option<String>,
    /// Kebab-case evidence codes.
    pub evidence_codes: Vec<String>,
    /// Evidence in words, a sentence each.
    pub evidence: Vec<String>,
    /// Loss per epoch, mean of both models, nats.
    pub loss: Vec<f64>,
    /// Everything before the responses.
    pub prompt: Text,
    /// The preferred response.
    pub chosen: Text,
    /// The other response.
    pub rejected: Text,
}

/// A text from the data, cut to a bounded length.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Its beginning (of a prompt: its end).
    pub text: String,
    /// Characters left out.
    pub omitted: u64,
    /// Whether the beginning was left out, not the end.
    pub from_end: bool,
}

impl Text {
    /// The first `limit` characters.
    #[must_use]
    pub fn head(text: &str, limit: usize) -> Self {
        let cut = text
            .char_indices()
            .nth(limit)
            .map_or(text.len(), |(at, _)| at);
        Self {
            text: text[..cut].to_owned(),
            omitted: text[cut..].chars().count() as u64,
            from_end: false,
        }
    }

    /// The last `limit` characters.
    #[must_use]
    pub fn tail(text: &str, limit: usize) -> Self {
        let cut = match limit.checked_sub(1) {
            None => text.len(),
            Some(back) => text.char_indices().rev().nth(back).map_or(0, |(at, _)| at),
        };
        Self {
            text: text[cut..].to_owned(),
            omitted: text[..cut].chars().count() as u64,
            from_end: true,
        }
    }
}
