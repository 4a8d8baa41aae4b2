//! What trains of a forward model, as users write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::graph::GraphError;

/// Largest rank of added low-rank products.
const MAX_RANK: usize = 1 << 12;

/// What trains: `head`, `last:K`, `all`, `lora:R` or `lora:R:PATTERN`.
///
/// The reward head always trains.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Train {
    /// The reward head alone.
    #[default]
    Head,
    /// The last layers, this many, and what comes after them; never the embeddings.
    Last(usize),
    /// Every parameter.
    All,
    /// Added products of low rank beside linear layers, whose own weights stay as they are
    /// (Hu et al. 2021, arXiv:2106.09685).
    Lora {
        /// Inner width of the products.
        rank: usize,
        /// Glob over weight names; every linear layer of the encoder where there is none.
        pattern: Option<String>,
    },
}

impl Train {
    /// Whether anything before the head trains.
    #[must_use]
    pub fn encoder(&self) -> bool {
        *self != Self::Head
    }
}

impl fmt::Display for Train {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => f.write_str("head"),
            Self::Last(layers) => write!(f, "last:{layers}"),
            Self::All => f.write_str("all"),
            Self::Lora { rank, pattern } => {
                write!(f, "lora:{rank}")?;
                pattern.iter().try_for_each(|p| write!(f, ":{p}"))
            }
        }
    }
}

impl FromStr for Train {
    type Err = GraphError;

    fn from_str(text: &str) -> Result<Self, GraphError> {
        let refuse = |what: &str| {
            Err(GraphError::Unsupported(format!(
                "`{text}`: {what}; expected `head`, `last:K`, `all`, `lora:R` or `lora:R:PATTERN`"
            )))
        };
        let (kind, rest) = match text.split_once(':') {
            Some((kind, rest)) => (kind, Some(rest)),
            None => (text, None),
        };
        match (kind, rest) {
            ("head", None) => Ok(Self::Head),
            ("all", None) => Ok(Self::All),
            ("last", Some(layers)) => match layers.parse() {
                Ok(layers @ 1..) => Ok(Self::Last(layers)),
                _ => refuse("the number of layers is 1 or more"),
            },
            ("lora", Some(rest)) => {
                let (rank, pattern) = match rest.split_once(':') {
                    Some((rank, pattern)) => (rank, Some(pattern)),
                    None => (rest, None),
                };
                let Ok(rank @ 1..=MAX_RANK) = rank.parse() else {
                    return refuse("the rank is a number from 1 to 4096");
                };
                if let Some(pattern) = pattern
                    && let Err(error) = glob::Pattern::new(pattern)
                {
                    return refuse(&format!("the pattern is not a glob ({error})"));
                }
                Ok(Self::Lora {
                    rank,
                    pattern: pattern.map(str::to_owned),
                })
            }
            ("last" | "lora", None) => refuse("a number is missing"),
            _ => refuse("not a choice of what trains"),
        }
    }
}

impl From<Train> for String {
    fn from(train: Train) -> Self {
        train.to_string()
    }
}

impl TryFrom<String> for Train {
    type Error = GraphError;

    fn try_from(text: String) -> Result<Self, GraphError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_correspond() {
        for text in [
            "head",
            "last:2",
            "all",
            "lora:8",
            "lora:4:*.attention.*.weight",
        ] {
            let train: Train = text.parse().unwrap();
            assert_eq!(train.to_string(), text);
            let json = serde_json::to_string(&train).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Train>(&json).unwrap(), train);
        }
        assert!(!Train::default().encoder());
    }

    #[test]
    fn what_is_no_choice_is_refused() {
        for text in [
            "",
            "heads",
            "head:1",
            "last",
            "last:0",
            "last:-1",
            "last:two",
            "lora",
            "lora:0",
            "lora:5000",
            "lora:8:[",
            "ALL",
        ] {
            let error = text.parse::<Train>().unwrap_err().to_string();
            assert!(error.contains("expected `head`"), "{error}");
        }
    }
}
