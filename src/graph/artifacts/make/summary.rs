//! What of a model trains, part by part.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::compose::Composed;
use super::lora;
use super::parameters::Place;

/// Neighbouring parts of a model of which the same trains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is.
    #[serde(serialize_with = "as_text")]
    pub name: PartName,
    /// Number of tensors.
    pub parameters: usize,
    /// Numbers in them.
    pub numbers: u64,
    /// Numbers that train.
    pub trainable: u64,
}

/// What a [`Part`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartName {
    /// What stands before the layers.
    Embeddings,
    /// Layers, first and last.
    Layers(usize, usize),
    /// What comes after the layers, but for the head.
    After,
    /// Added products of low rank.
    LowRank,
    /// Constants between features and head.
    Standardisation,
    /// The reward head.
    Head,
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embeddings => f.write_str("embeddings"),
            Self::Layers(first, last) if first == last => write!(f, "layer {first}"),
            Self::Layers(first, last) => write!(f, "layers {first} to {last}"),
            Self::After => f.write_str("after the layers"),
            Self::LowRank => f.write_str("low-rank products"),
            Self::Standardisation => f.write_str("standardisation"),
            Self::Head => f.write_str("head"),
        }
    }
}

fn as_text<S: Serializer>(name: &PartName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(name)
}

impl Composed {
    /// The parts of the model in the order in which a text passes them; layers side by side of which
    /// all trains, or nothing, are one part.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        let mut single: BTreeMap<PartName, Part> = BTreeMap::new();
        for (parameter, place) in self.parameters.iter().zip(&self.places) {
            let (weight, end) = lora::factor_of(&parameter.name);
            let name = match place {
                _ if !end.is_empty() => PartName::LowRank,
                Place::Embeddings => PartName::Embeddings,
                Place::Layer(layer) => PartName::Layers(*layer, *layer),
                Place::After => PartName::After,
                Place::Head if weight.starts_with("features.") => PartName::Standardisation,
                Place::Head => PartName::Head,
            };
            let numbers = parameter.data.len() as u64;
            let part = single.entry(name).or_insert(Part {
                name,
                parameters: 0,
                numbers: 0,
                trainable: 0,
            });
            part.parameters += 1;
            part.numbers += numbers;
            part.trainable += if parameter.trainable { numbers } else { 0 };
        }
        let mut parts: Vec<Part> = Vec::new();
        for part in single.into_values() {
            match (parts.last_mut(), part.name) {
                (Some(before), PartName::Layers(_, last))
                    if matches!(before.name, PartName::Layers(..))
                        && share(before) == share(&part) =>
                {
                    let PartName::Layers(first, _) = before.name else {
                        continue;
                    };
                    before.name = PartName::Layers(first, last);
                    before.parameters += part.parameters;
                    before.numbers += part.numbers;
                    before.trainable += part.trainable;
                }
                _ => parts.push(part),
            }
        }
        parts
    }
}

/// Whether all, nothing or some of a part trains.
fn share(part: &Part) -> u8 {
    match part.trainable {
        0 => 0,
        n if n == part.numbers => 2,
        _ => 1,
    }
}
