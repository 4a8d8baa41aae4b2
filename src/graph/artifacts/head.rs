//! Artifacts of a reward head on a frozen encoder: read, and resized to the features at hand.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::Artifacts;
use crate::graph::checkpoint::Parameter;
use crate::graph::optimizer::OptimizerSettings;
use crate::graph::proto::{DimProto, DimValue, GraphProto, ModelProto, TypeValue, elem};
use crate::graph::{GraphError, element_count};

/// Name of the features of the chosen responses: an f32 input, `[pairs, width]`.
pub const CHOSEN: &str = "chosen";
/// Name of the features of the rejected responses: an f32 input, `[pairs, width]`.
pub const REJECTED: &str = "rejected";

/// Largest width or hidden width that a head may be resized to.
const MAX_WIDTH: usize = 1 << 20;

/// The heads that come with the crate.
pub const BUNDLED: [&str; 5] = ["linear", "mlp", "mlp-relu", "mlp-tanh", "mlp-layernorm"];

/// The artifacts of one head.
#[derive(Clone, Debug)]
pub struct Head {
    artifacts: Artifacts,
    width: usize,
    hidden: Option<usize>,
}

impl Head {
    /// Reads a folder of artifacts.
    ///
    /// # Errors
    /// As [`Artifacts::read`]; [`GraphError::File`] for artifacts that do not train a head.
    pub fn load(folder: &Path) -> Result<Self, GraphError> {
        Self::new(Artifacts::read(folder)?).map_err(|error| GraphError::in_file(folder, error))
    }

    /// A head that comes with the crate, one of [`BUNDLED`].
    ///
    /// # Errors
    /// [`GraphError::Unsupported`] for an unknown name.
    pub fn bundled(name: &str) -> Result<Self, GraphError> {
        macro_rules! files {
            ($head:literal) => {
                [
                    include_bytes!(concat!(
                        "../../../pipelines/heads/",
                        $head,
                        "/training_model.onnx"
                    ))
                    .as_slice(),
                    include_bytes!(concat!(
                        "../../../pipelines/heads/",
                        $head,
                        "/eval_model.onnx"
                    ))
                    .as_slice(),
                    include_bytes!(concat!(
                        "../../../pipelines/heads/",
                        $head,
                        "/optimizer_model.onnx"
                    ))
                    .as_slice(),
                    include_bytes!(concat!("../../../pipelines/heads/", $head, "/checkpoint"))
                        .as_slice(),
                ]
            };
        }
        let [training, eval, optimizer, checkpoint] = match name {
            "linear" => files!("linear"),
            "mlp" => files!("mlp"),
            "mlp-relu" => files!("mlp-relu"),
            "mlp-tanh" => files!("mlp-tanh"),
            "mlp-layernorm" => files!("mlp-layernorm"),
            _ => {
                return Err(GraphError::Unsupported(format!(
                    "unknown head `{name}`: expected one of {}",
                    BUNDLED.join(", ")
                )));
            }
        };
        Self::new(Artifacts::from_bytes(
            training, eval, optimizer, checkpoint,
        )?)
    }

    /// Takes the artifacts of a head.
    ///
    /// # Errors
    /// [`GraphError::Unsupported`] for an optimizer that is not `AdamW`, [`GraphError::Malformed`] for a
    /// graph without [`CHOSEN`] and [`REJECTED`].
    pub fn new(artifacts: Artifacts) -> Result<Self, GraphError> {
        let OptimizerSettings::AdamW(_) = artifacts.optimizer else {
            let what = "a head's optimizer: expected AdamW, found SGD";
            return Err(GraphError::Unsupported(what.into()));
        };
        let graph = artifacts.training.graph()?;
        let chosen = data_width(graph, CHOSEN)?;
        let rejected = data_width(graph, REJECTED)?;
        if chosen != rejected {
            return Err(GraphError::Malformed(format!(
                "the widths of `{CHOSEN}` and `{REJECTED}` differ: {chosen} and {rejected}"
            )));
        }
        let sizes: BTreeSet<usize> = artifacts
            .parameters()
            .iter()
            .filter(|p| p.trainable)
            .flat_map(|p| &p.dims)
            .filter_map(|&dim| usize::try_from(dim).ok())
            .filter(|&size| size > 1 && size != chosen)
            .collect();
        Ok(Self {
            hidden: (sizes.len() == 1).then(|| sizes.first().copied()).flatten(),
            width: chosen,
            artifacts,
        })
    }

    /// Features per text.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Units of the hidden layer; `None` when there is none, or more than one width of them.
    #[must_use]
    pub fn hidden(&self) -> Option<usize> {
        self.hidden
    }

    /// All parameters, trainable and frozen.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        self.artifacts.parameters()
    }

    /// The head as artifacts.
    #[must_use]
    pub fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// The head as artifacts, taken apart.
    #[must_use]
    pub fn into_artifacts(self) -> Artifacts {
        self.artifacts
    }

    /// The head for features `width` wide, with `hidden` units where it has a hidden layer, and new
    /// initial values drawn from `seed`: weights uniform within `1 / sqrt(inputs)` of 0, scales of
    /// layer norms 1, biases 0, and the weights that give the reward 0, so that a head begins without
    /// a preference.
    ///
    /// # Errors
    /// [`GraphError::Unsupported`] for widths of 0 or beyond reason, and for heads whose sizes cannot
    /// be told apart or stand in constants.
    pub fn resized(&self, width: usize, hidden: usize, seed: u64) -> Result<Self, GraphError> {
        let sizes = Sizes::new(self, width, hidden)?;
        let mut head = self.clone();
        for model in [&mut head.artifacts.training, &mut head.artifacts.eval] {
            sizes.apply(model)?;
        }
        let scales = layer_norm_scales(self.artifacts.eval.graph()?);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        for parameter in &mut head.artifacts.checkpoint.parameters {
            let resized: Vec<i64> = parameter.dims.iter().map(|&d| sizes.of(d)).collect();
            if !parameter.trainable {
                if resized != parameter.dims {
                    return Err(GraphError::Unsupported(format!(
                        "frozen parameter `{}` has the width of the features",
                        parameter.name
                    )));
                }
                continue;
            }
            let elements = element_count(&resized)
                .ok_or_else(|| GraphError::Unsupported("a head of that size".into()))?;
            parameter.data = match resized.as_slice() {
                _ if scales.contains(&parameter.name) => vec![1.0; elements],
                [inputs, outputs] if *outputs > 1 => uniform(&mut random, *inputs, elements),
                _ => vec![0.0; elements],
            };
            parameter.dims = resized;
        }
        head.width = width;
        head.hidden = self.hidden.map(|_| hidden);
        Ok(head)
    }
}

fn data_width(graph: &GraphProto, name: &str) -> Result<usize, GraphError> {
    let input = graph.input.iter().find(|v| v.name == name);
    let tensor = input.and_then(|v| v.tensor_type());
    let dims = tensor
        .filter(|t| t.elem_type == elem::FLOAT)
        .and_then(|t| t.shape.as_ref())
        .map(|shape| shape.dim.as_slice());
    if let Some(
        [
            _,
            DimProto {
                value: Some(DimValue::Size(width)),
            },
        ],
    ) = dims
        && let Ok(width @ 1..) = usize::try_from(*width)
    {
        return Ok(width);
    }
    Err(GraphError::Malformed(format!(
        "the training model needs an f32 input `{name}` of shape [pairs, width]"
    )))
}

/// The parameters that scale a layer norm.
fn layer_norm_scales(graph: &GraphProto) -> HashSet<String> {
    let norms = graph.node.iter().filter(|node| {
        ["LayerNormalization", "SimplifiedLayerNormalization"].contains(&node.op_type.as_str())
    });
    norms
        .filter_map(|node| node.input_at(1).map(str::to_owned))
        .collect()
}

/// `elements` numbers uniform within `1 / sqrt(inputs)` of 0, as `PyTorch` begins linear layers.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "24 random bits and a width fit f32 well enough"
)]
fn uniform(random: &mut ChaCha8Rng, inputs: i64, elements: usize) -> Vec<f32> {
    let bound = (1.0 / (inputs as f64).sqrt()) as f32;
    // spelled out, so that no other version of a library changes the numbers of a seed
    let mut unit = || (random.next_u32() >> 8) as f32 / (1u32 << 24) as f32;
    (0..elements)
        .map(|_| (2.0 * unit() - 1.0) * bound)
        .collect()
}

/// Old sizes and what becomes of them.
struct Sizes {
    width: (i64, i64),
    hidden: Option<(i64, i64)>,
}

impl Sizes {
    fn new(head: &Head, width: usize, hidden: usize) -> Result<Self, GraphError> {
        let unsupported = |what: &str| Err(GraphError::Unsupported(what.to_owned()));
        if !(1..=MAX_WIDTH).contains(&width) || !(1..=MAX_WIDTH).contains(&hidden) {
            return unsupported("a head of width 0 or of more than a million");
        }
        if head.width == 1 {
            return unsupported("resizing a head for a single feature");
        }
        let widths = head
            .parameters()
            .iter()
            .filter(|p| p.trainable)
            .flat_map(|p| &p.dims);
        let other = |&&dim: &&i64| dim > 1 && usize::try_from(dim) != Ok(head.width);
        if head.hidden.is_none() && widths.clone().any(|dim| other(&dim)) {
            return unsupported("resizing a head with several hidden widths");
        }
        let pair = |from: usize, to: usize| {
            let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
            (number(from), number(to))
        };
        Ok(Self {
            width: pair(head.width, width),
            hidden: head.hidden.map(|old| pair(old, hidden)),
        })
    }

    fn of(&self, dim: i64) -> i64 {
        match self.hidden {
            Some((from, to)) if dim == from => to,
            _ if dim == self.width.0 => self.width.1,
            _ => dim,
        }
    }

    /// Rewrites the shapes of inputs, and refuses sizes that stand in constants.
    fn apply(&self, model: &mut ModelProto) -> Result<(), GraphError> {
        let Some(graph) = &mut model.graph else {
            return Ok(());
        };
        // shapes of inner values are stale now; the runtime infers them again
        graph.value_info.clear();
        for value in &mut graph.input {
            let Some(TypeValue::Tensor(tensor)) =
                value.r#type.as_mut().and_then(|t| t.value.as_mut())
            else {
                continue;
            };
            for dim in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim) {
                if let Some(DimValue::Size(size)) = &mut dim.value {
                    *size = self.of(*size);
                }
            }
        }
        for tensor in &graph.initializer {
            let sized = tensor.dims.iter().any(|&dim| self.of(dim) != dim);
            let holds = tensor.data_type == elem::INT64
                && tensor
                    .to_i64()?
                    .iter()
                    .any(|&value| self.of(value) != value);
            if sized || holds {
                return Err(GraphError::Unsupported(format!(
                    "constant `{}` holds a size of the head, which cannot be changed",
                    tensor.name
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
