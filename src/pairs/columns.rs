//! Which columns hold prompt, chosen and rejected: the user's word, or common names.

use std::str::FromStr;

use super::PairsError;

/// Columns named by the user; what is `None` is detected.
///
/// Written `prompt=instruction,chosen=good,rejected=bad`; several prompt columns,
/// joined by a line break, as `prompt=instruction+input`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Columns of the prompt; an empty list means that there is none.
    pub prompt: Option<Vec<String>>,
    /// Column of the preferred response.
    pub chosen: Option<String>,
    /// Column of the other response.
    pub rejected: Option<String>,
}

impl Columns {
    /// Whether a column of this name can hold a text of a pair: its fields in a CSV file
    /// are text then, even if all are digits.
    pub(super) fn may_hold_text(&self, name: &str) -> bool {
        let named = self
            .prompt
            .iter()
            .flatten()
            .chain(&self.chosen)
            .chain(&self.rejected);
        let known = RESPONSE_NAMES.iter().flat_map(|(good, bad)| [*good, *bad]);
        named.into_iter().any(|own| own == name)
            || PROMPT_NAMES
                .into_iter()
                .chain(known)
                .any(|known| known.eq_ignore_ascii_case(name))
    }
}

impl FromStr for Columns {
    type Err = PairsError;

    fn from_str(text: &str) -> Result<Self, PairsError> {
        let wrong = || PairsError::Columns(text.to_owned());
        let mut columns = Self::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (role, column) = part.split_once('=').ok_or_else(wrong)?;
            let column = column.trim();
            match role.trim() {
                "prompt" if columns.prompt.is_none() => {
                    let names = column.split('+').map(str::trim).filter(|n| !n.is_empty());
                    columns.prompt = Some(names.map(str::to_owned).collect());
                }
                "chosen" if columns.chosen.is_none() && !column.is_empty() => {
                    columns.chosen = Some(column.to_owned());
                }
                "rejected" if columns.rejected.is_none() && !column.is_empty() => {
                    columns.rejected = Some(column.to_owned());
                }
                _ => return Err(wrong()),
            }
        }
        Ok(columns)
    }
}

/// Names of a prompt column, most telling first; compared without case.
pub const PROMPT_NAMES: [&str; 8] = [
    "prompt",
    "instruction",
    "question",
    "query",
    "input",
    "context",
    "prompts",
    "user_prompt",
];

/// Names of the two response columns, most telling first; compared without case.
pub const RESPONSE_NAMES: [(&str, &str); 13] = [
    ("chosen", "rejected"),
    ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"),
    ("chosen_answer", "rejected_answer"),
    ("answer_chosen", "answer_rejected"),
    ("chosen_text", "rejected_text"),
    ("text_chosen", "text_rejected"),
    ("output_chosen", "output_rejected"),
    ("preferred", "dispreferred"),
    ("preferred_response", "dispreferred_response"),
    ("preferred_output", "non_preferred_output"),
    ("accepted", "rejected"),
    // stack-exchange-paired
    ("response_j", "response_k"),
];

/// Names in the order of their likeness to `wanted`, as one string.
pub(super) fn closest_first<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let wanted = wanted.to_lowercase();
    let mut ranked: Vec<(f32, &str)> = names
        .into_iter()
        .map(|name| {
            let lower = name.to_lowercase();
            let ratio = similar::TextDiff::from_chars(wanted.as_str(), lower.as_str()).ratio();
            (ratio, name)
        })
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let names: Vec<String> = ranked.iter().map(|(_, n)| format!("`{n}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_parsed() {
        let columns: Columns = "prompt=instruction+input, chosen=a,rejected=b"
            .parse()
            .expect("valid");
        assert_eq!(
            columns.prompt,
            Some(vec!["instruction".into(), "input".into()])
        );
        assert_eq!(columns.chosen.as_deref(), Some("a"));
        for bad in ["x", "chosen=", "winner=a", "chosen=a,chosen=b"] {
            assert!(bad.parse::<Columns>().is_err(), "{bad}");
        }
        assert_eq!(Columns::default(), "".parse().expect("empty is valid"));
    }

    #[test]
    fn the_closest_name_comes_first() {
        let list = closest_first("choosen", ["prompt", "rejected", "chosen"]);
        assert!(list.starts_with("`chosen`"), "{list}");
    }
}
