//! A forward model as it comes: read, brought to one form, and what it gives.

use std::path::{Path, PathBuf};

use super::{names, normal};
use crate::graph::GraphError;
use crate::graph::proto::{
    DimProto, DimValue, GraphProto, MAX_MODEL_BYTES, ModelProto, NodeProto, TensorProto,
    ValueInfoProto, elem,
};

/// Outputs of exports that hold the state of every token.
const TOKEN_STATES: [&str; 3] = ["last_hidden_state", "token_embeddings", "hidden_states"];

/// Largest width of features and of states.
const MAX_WIDTH: usize = 1 << 20;

/// What a forward model gives for each row of its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// A reward: `[rows]` or `[rows, 1]`.
    Reward,
    /// Features of the text: `[rows, width]`.
    Features {
        /// Features of a row.
        width: usize,
    },
    /// A state of each token: `[rows, tokens, width]`.
    TokenStates {
        /// Width of a state.
        width: usize,
    },
}

/// A forward model, fit for training: weights are f32 initializers of their own, operators are those
/// of operator set 17 or later.
#[derive(Clone, Debug)]
pub struct ForwardModel {
    pub(super) model: ModelProto,
    pub(super) output: String,
    gives: Gives,
    files: Vec<PathBuf>,
}

impl ForwardModel {
    /// Reads an `.onnx` file, with the external data beside it.
    ///
    /// `output` names the output to train on; by default a reward where there is one, else states of
    /// tokens, else features.
    ///
    /// # Errors
    /// [`GraphError::Read`] or [`GraphError::File`] naming the file; inside, what [`ForwardModel::new`]
    /// refuses.
    pub fn read(path: &Path, output: Option<&str>) -> Result<Self, GraphError> {
        let (model, files) = ModelProto::read_with_files(path)?;
        let read = Self::new(model, output).map_err(|error| GraphError::in_file(path, error))?;
        Ok(Self { files, ..read })
    }

    /// Takes a model whose tensors are all in memory.
    ///
    /// # Errors
    /// [`GraphError::Forward`] for weights that are not f32, quantized operators, a fixed number of
    /// rows, a cache of past keys, or an output that is neither reward, features nor states of tokens.
    pub fn new(mut model: ModelProto, output: Option<&str>) -> Result<Self, GraphError> {
        normal::normalise(&mut model)?;
        let graph = model.graph.as_mut().ok_or_else(no_graph)?;
        check_inputs(graph)?;
        let (output, gives) = choose_output(graph, output)?;
        graph.output.retain(|v| v.name == output);
        names::prune(graph);
        Ok(Self {
            model,
            output,
            gives,
            files: Vec::new(),
        })
    }

    /// What it gives.
    #[must_use]
    pub fn gives(&self) -> Gives {
        self.gives
    }

    /// The output that is trained on.
    #[must_use]
    pub fn output(&self) -> &str {
        &self.output
    }

    /// The files it was read from; none for a model from memory.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Names of its inputs.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.graph().input.iter().map(|v| v.name.as_str())
    }

    /// Whether a token sees earlier ones only, so that the last one's state is the text's: judged by
    /// the triangular mask that exports of decoders build or hold, and by how decoders call their
    /// table of tokens.
    #[must_use]
    pub fn causal(&self) -> bool {
        let graph = self.graph();
        let square = |dims: &[i64]| matches!(dims, [1, 1, n, m] if n == m && *n > 1);
        let built = |g: &GraphProto| g.node.iter().any(|node| node.op_type == "Trilu");
        let held = |t: &TensorProto| t.data_type == elem::BOOL && square(&t.dims);
        let decoder = |t: &TensorProto| t.name.ends_with("embed_tokens.weight");
        built(graph) || graph.initializer.iter().any(|t| held(t) || decoder(t))
    }

    pub(super) fn graph(&self) -> &GraphProto {
        self.model.graph.as_ref().expect("checked when it was made")
    }
}

pub(super) fn no_graph() -> GraphError {
    GraphError::Malformed("the model has no graph".into())
}

fn check_inputs(graph: &GraphProto) -> Result<(), GraphError> {
    for value in &graph.input {
        let name = &value.name;
        if name.starts_with("past_key_values") || name.starts_with("past.") {
            return Err(GraphError::Forward {
                what: format!("input `{name}` is a cache of past keys"),
                hint: "export the model without a cache (`use_cache=False`; with optimum: the \
                       task `feature-extraction` or `text-classification`)",
            });
        }
        let first = dims(value).and_then(|dims| dims.first());
        if let Some(size) = first.and_then(size_of) {
            return Err(GraphError::Forward {
                what: format!("input `{name}` has a fixed number of rows, {size}"),
                hint: "export the model with `dynamic_axes` for rows and tokens of every input",
            });
        }
    }
    if graph.input.is_empty() {
        return Err(GraphError::Malformed("the model has no inputs".into()));
    }
    Ok(())
}

fn dims(value: &ValueInfoProto) -> Option<&[DimProto]> {
    let shape = value.tensor_type()?.shape.as_ref()?;
    Some(&shape.dim)
}

fn size_of(dim: &DimProto) -> Option<i64> {
    match dim.value {
        Some(DimValue::Size(size)) => Some(size),
        _ => None,
    }
}

/// What an output is, as far as its shape tells.
fn kind_of(graph: &GraphProto, value: &ValueInfoProto) -> Option<Gives> {
    let width = |last: &DimProto| {
        size_of(last)
            .or_else(|| width_before(graph, &value.name))
            .and_then(|size| usize::try_from(size).ok())
            .filter(|size| (1..=MAX_WIDTH).contains(size))
    };
    match dims(value)? {
        [_] => Some(Gives::Reward),
        [_, last] => match width(last)? {
            1 => Some(Gives::Reward),
            width => Some(Gives::Features { width }),
        },
        [_, _, last] => Some(Gives::TokenStates {
            width: width(last)?,
        }),
        _ => None,
    }
}

/// The last dimension of a value that shape inference did not see: that of the weights it comes from.
fn width_before(graph: &GraphProto, value: &str) -> Option<i64> {
    let mut value = value;
    let dims = |name: &str| {
        let tensor = graph.initializer.iter().find(|t| t.name == name);
        tensor.map(|t| t.dims.as_slice())
    };
    for _ in 0..16 {
        let maker = |n: &&NodeProto| n.output.iter().any(|o| o == value);
        let node = graph.node.iter().find(maker)?;
        let weight = |index| node.input_at(index).and_then(dims);
        match node.op_type.as_str() {
            "LayerNormalization" | "SimplifiedLayerNormalization" => {
                return weight(1)?.last().copied();
            }
            "MatMul" => return weight(1)?.last().copied(),
            "Gemm" => {
                let [a, b] = weight(1)? else { return None };
                return Some(if node.int("transB", 0) == 0 { *b } else { *a });
            }
            "Add" | "Mul" => {
                if let Some([width]) = weight(0).or_else(|| weight(1)) {
                    return Some(*width);
                }
                value = node.input_at(0)?;
            }
            "Identity" | "Cast" | "Tanh" | "Relu" | "Dropout" => value = node.input_at(0)?,
            _ => return None,
        }
    }
    None
}

fn choose_output(graph: &GraphProto, asked: Option<&str>) -> Result<(String, Gives), GraphError> {
    let outputs: Vec<&ValueInfoProto> = match asked {
        None => graph.output.iter().collect(),
        Some(name) => graph.output.iter().filter(|v| v.name == name).collect(),
    };
    let names = |outputs: &[&ValueInfoProto]| {
        let described: Vec<String> = outputs.iter().map(|v| described(v)).collect();
        described.join(", ")
    };
    if outputs.is_empty() {
        let all: Vec<&ValueInfoProto> = graph.output.iter().collect();
        return Err(GraphError::Forward {
            what: format!(
                "no output `{}`: the model has {}",
                asked.unwrap_or_default(),
                names(&all)
            ),
            hint: "name one of the model's outputs",
        });
    }
    let wide = |v: &ValueInfoProto| {
        let f32 = v.tensor_type().map(|t| t.elem_type);
        f32.is_none_or(|e| e == elem::FLOAT)
    };
    let kinds: Vec<(&str, Gives)> = outputs
        .iter()
        .filter(|v| wide(v))
        .filter_map(|v| Some((v.name.as_str(), kind_of(graph, v)?)))
        .collect();
    let rank = |&(name, gives): &(&str, Gives)| match gives {
        Gives::Reward => 0,
        Gives::TokenStates { .. } if TOKEN_STATES.contains(&name) => 1,
        Gives::TokenStates { .. } => 2,
        Gives::Features { .. } => 3,
    };
    let Some((name, gives)) = kinds.iter().copied().min_by_key(rank) else {
        return Err(GraphError::Forward {
            what: format!(
                "expected an f32 output of shape [rows], [rows, width] or [rows, tokens, width]; \
                 the model has {}",
                names(&outputs)
            ),
            hint: "export a model that gives a reward, features or states of tokens, in f32, with \
                   the shapes of its outputs",
        });
    };
    if matches!(gives, Gives::TokenStates { .. }) && name == "logits" && asked.is_none() {
        return Err(GraphError::Forward {
            what: "output `logits` has a score for each token of the vocabulary".into(),
            hint: "export the model without its language model head (with optimum: the task \
                   `feature-extraction`), or as a sequence classifier with one label",
        });
    }
    Ok((name.to_owned(), gives))
}

fn described(value: &ValueInfoProto) -> String {
    let shape = dims(value).map_or_else(
        || "of unknown shape".to_owned(),
        |dims| {
            let dims: Vec<String> = dims
                .iter()
                .map(|dim| match &dim.value {
                    Some(DimValue::Size(size)) => size.to_string(),
                    Some(DimValue::Name(name)) => name.clone(),
                    None => "?".into(),
                })
                .collect();
            format!("[{}]", dims.join(", "))
        },
    );
    format!("`{}` {shape}", value.name)
}

/// The most bytes that copies of shared weights may take.
pub(super) const MAX_COPIED_BYTES: u64 = MAX_MODEL_BYTES;
