//! Which initializers of a forward model are parameters, where in the model they stand, and which of
//! them train.
//!
//! A parameter is known by what reads it, not by its name: exports call the weights of linear layers
//! `onnx::MatMul_123`. Its layer comes from its own name or from the names of the nodes that read it.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::graph::GraphError;
use crate::graph::builder::MICROSOFT;
use crate::graph::proto::{GraphProto, NodeProto, TensorProto, elem};

use super::Train;
use super::nameless;

/// Parts of names before a layer's number.
const LAYER_WORDS: [&str; 6] = ["layer", "layers", "h", "block", "blocks", "albert_layers"];

/// Parts of names of a reward head.
const HEAD_WORDS: [&str; 10] = [
    "classifier",
    "score",
    "head",
    "reward",
    "reward_head",
    "regression_head",
    "rm_head",
    "v_head",
    "value_head",
    "out_proj",
];

/// Parts of names of tables that are computed, not learned.
const ROTATIONS: [&str; 5] = ["inv_freq", "rotary", "cos_cache", "sin_cache", "alibi"];

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Before the layers, or read by several parts: embeddings, shared position biases.
    Embeddings,
    /// In a layer.
    Layer(usize),
    /// After the last layer: pooler, last norm.
    After,
    /// In the reward head.
    Head,
}

/// A parameter of the forward model.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The initializer's name.
    pub(super) name: String,
    /// Its own name where that says something, else one made from the node that reads it.
    pub(super) readable: String,
    /// Where it stands.
    pub(super) place: Place,
}

/// A product with a weight matrix.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    /// Position of the node.
    pub(super) node: usize,
    /// The weight's initializer.
    pub(super) weight: String,
    /// Whether the initializer is `[outputs, inputs]` instead of `[inputs, outputs]`.
    pub(super) transposed: bool,
}

/// Everything that is known of a model's parameters.
#[derive(Debug)]
pub(super) struct Parameters {
    /// In the order of the initializers.
    pub(super) found: Vec<Found>,
    /// In the order of the nodes.
    pub(super) linear: Vec<Linear>,
    /// Numbers of the layers.
    pub(super) layers: BTreeSet<usize>,
}

/// How a node uses an initializer, maybe through a view.
struct Use<'a> {
    node: usize,
    slot: usize,
    tensor: &'a TensorProto,
    transposed: bool,
}

impl Parameters {
    /// Finds the parameters of a graph. `own_head`: the graph ends in a reward, so that its last
    /// linear layer is the reward head.
    pub(super) fn find(graph: &GraphProto, own_head: bool) -> Self {
        let uses = uses(graph);
        let mut by_name: HashMap<&str, Vec<&Use<'_>>> = HashMap::new();
        for one in &uses {
            by_name.entry(&one.tensor.name).or_default().push(one);
        }
        let mut found = Vec::new();
        for tensor in &graph.initializer {
            let Some(uses) = by_name.get(tensor.name.as_str()) else {
                continue;
            };
            let is_parameter = |one: &&Use<'_>| is_parameter(one, &graph.node[one.node]);
            if !trainable_type(tensor) || !uses.iter().any(is_parameter) {
                continue;
            }
            let readers: Vec<&NodeProto> = uses.iter().map(|one| &graph.node[one.node]).collect();
            let place = layer_of(&tensor.name)
                .or_else(|| readers.iter().filter_map(|node| layer_of(&node.name)).min())
                .map_or(Place::Embeddings, Place::Layer);
            found.push(Found {
                name: tensor.name.clone(),
                readable: readable(&tensor.name, &readers),
                place,
            });
        }
        let linear: Vec<Linear> = uses
            .iter()
            .filter_map(|one| linear(one, &graph.node[one.node]))
            .collect();
        nameless::place(graph, &mut found, &linear);
        let layers = found
            .iter()
            .filter_map(|f| match f.place {
                Place::Layer(layer) => Some(layer),
                _ => None,
            })
            .collect();
        let mut parameters = Self {
            found,
            linear,
            layers,
        };
        parameters.place_rest(graph, &by_name, own_head);
        parameters
    }

    /// Tells what comes after the layers from what comes before.
    fn place_rest(
        &mut self,
        graph: &GraphProto,
        uses: &HashMap<&str, Vec<&Use<'_>>>,
        own_head: bool,
    ) {
        let last = self.layers.last().copied();
        let of_last: HashSet<&str> = self
            .found
            .iter()
            .filter(|f| last.is_some_and(|last| f.place == Place::Layer(last)))
            .map(|f| f.name.as_str())
            .collect();
        let after = downstream(graph, &of_last);
        let reads_after = |one: &&&Use<'_>| {
            let inputs = graph.node[one.node].input.iter();
            inputs.into_iter().any(|name| after.contains(name.as_str()))
        };
        for found in self
            .found
            .iter_mut()
            .filter(|f| f.place == Place::Embeddings)
        {
            let uses = &uses[found.name.as_str()];
            if uses.iter().all(|one| reads_after(&one)) {
                found.place = Place::After;
            }
        }
        if own_head {
            self.place_head(uses, last.is_some());
        }
    }

    /// The reward head of a model that has one: what is called so, else the last linear layer and
    /// what comes after it.
    fn place_head(&mut self, uses: &HashMap<&str, Vec<&Use<'_>>>, has_layers: bool) {
        let allowed = |place: Place| match place {
            Place::After => true,
            Place::Embeddings => !has_layers,
            _ => false,
        };
        let called = |f: &Found| {
            let mut words = f
                .readable
                .split(['.', '/', '_'])
                .chain(f.readable.split(['.', '/']));
            words.any(|word| HEAD_WORDS.contains(&word))
        };
        if self.found.iter().any(|f| allowed(f.place) && called(f)) {
            for found in self.found.iter_mut().filter(|f| allowed(f.place)) {
                if called(found) {
                    found.place = Place::Head;
                }
            }
            return;
        }
        let place_of: HashMap<&str, Place> = self
            .found
            .iter()
            .map(|f| (f.name.as_str(), f.place))
            .collect();
        let last = self
            .linear
            .iter()
            .rev()
            .find(|l| place_of.get(l.weight.as_str()).is_some_and(|p| allowed(*p)));
        let Some(last) = last.map(|l| l.node) else {
            return;
        };
        for found in self.found.iter_mut().filter(|f| allowed(f.place)) {
            let uses = &uses[found.name.as_str()];
            if uses.iter().all(|one| one.node >= last) {
                found.place = Place::Head;
            }
        }
    }

    /// The names of the parameters that train in place; beside low-rank products those
    /// of the head.
    ///
    /// # Errors
    /// [`GraphError::Forward`] when the model has no layers that can be told apart, or too few.
    pub(super) fn chosen(&self, train: &Train) -> Result<HashSet<String>, GraphError> {
        let first = match train {
            Train::Last(layers) => Some(self.first_of_last(*layers)?),
            _ => None,
        };
        let chosen = self.found.iter().filter(|found| match train {
            Train::All => true,
            Train::Head | Train::Lora { .. } => found.place == Place::Head,
            Train::Last(_) => match found.place {
                Place::Embeddings => false,
                Place::Layer(layer) => first.is_some_and(|first| layer >= first),
                Place::After | Place::Head => true,
            },
        });
        Ok(chosen.map(|found| found.name.clone()).collect())
    }

    fn first_of_last(&self, wanted: usize) -> Result<usize, GraphError> {
        if self.layers.is_empty() {
            return Err(GraphError::Forward {
                what: format!(
                    "`last:{wanted}`: no layers found in the names of weights and nodes \
                     (`layer.4`, `layers.4`, `h.4`, `block.4`)"
                ),
                hint: "train `all`, `lora:R` or `head`, or export the model with torch.onnx.export, \
                       which names nodes after modules",
            });
        }
        let before = wanted.saturating_sub(1);
        let first = self.layers.iter().rev().nth(before);
        first.copied().ok_or_else(|| GraphError::Forward {
            what: format!(
                "`last:{wanted}`: the model has {} layers",
                self.layers.len()
            ),
            hint: "ask for fewer layers, or train `all`",
        })
    }

    /// The linear layers that low-rank products go beside: those whose weight's name matches, or without a
    /// pattern those of the layers, or of the whole model where no layers can be told apart.
    ///
    /// # Errors
    /// [`GraphError::Forward`] when there are none.
    pub(super) fn beside(&self, pattern: Option<&str>) -> Result<Vec<&Linear>, GraphError> {
        let by_name: HashMap<&str, &Found> =
            self.found.iter().map(|f| (f.name.as_str(), f)).collect();
        let glob = pattern
            .map(glob::Pattern::new)
            .transpose()
            .map_err(|error| GraphError::Unsupported(format!("pattern: {error}")))?;
        let wanted = |l: &&Linear| {
            let Some(found) = by_name.get(l.weight.as_str()) else {
                return false;
            };
            match &glob {
                Some(glob) => glob.matches(&found.name) || glob.matches(&found.readable),
                None if self.layers.is_empty() => found.place != Place::Head,
                None => matches!(found.place, Place::Layer(_)),
            }
        };
        let chosen: Vec<&Linear> = self.linear.iter().filter(wanted).collect();
        if chosen.is_empty() {
            return Err(GraphError::Forward {
                what: match pattern {
                    Some(pattern) => format!("no linear layer's weight matches `{pattern}`"),
                    None => "no linear layers found".to_owned(),
                },
                hint: "patterns are globs over whole names, as `*.query.weight`; \
                       `--train all --dry-run --list` lists the names",
            });
        }
        Ok(chosen)
    }
}

/// Whether an initializer can be a parameter: f32, more than one number, not a table of rotations,
/// not a vector that stood in the graph as a constant (norms without a shift have one of zeros).
fn trainable_type(tensor: &TensorProto) -> bool {
    let numbers = crate::graph::element_count(&tensor.dims);
    tensor.data_type == elem::FLOAT
        && numbers.is_some_and(|n| n > 1)
        && !ROTATIONS.iter().any(|word| tensor.name.contains(word))
        && !(tensor.dims.len() < 2 && tensor.name.contains("Constant"))
}

/// Where initializers are read, views of them looked through.
fn uses(graph: &GraphProto) -> Vec<Use<'_>> {
    let mut known: HashMap<&str, (&TensorProto, bool)> = graph
        .initializer
        .iter()
        .map(|tensor| (tensor.name.as_str(), (tensor, false)))
        .collect();
    let mut uses = Vec::new();
    for (index, node) in graph.node.iter().enumerate() {
        let view = match node.op_type.as_str() {
            "Transpose" => Some(true),
            "Identity" => Some(false),
            _ => None,
        };
        if let (Some(flips), Some(input), Some(output)) =
            (view, node.input_at(0), node.output_at(0))
            && let Some(&(tensor, transposed)) = known.get(input)
            && tensor.dims.len() == 2
        {
            known.insert(output, (tensor, transposed != flips));
            continue;
        }
        for (slot, name) in node.input.iter().enumerate() {
            if let Some(&(tensor, transposed)) = known.get(name.as_str()) {
                uses.push(Use {
                    node: index,
                    slot,
                    tensor,
                    transposed,
                });
            }
        }
    }
    uses
}

/// Whether a node uses an initializer as a parameter.
fn is_parameter(one: &Use<'_>, node: &NodeProto) -> bool {
    let dims = &one.tensor.dims;
    if [".weight", ".bias"]
        .iter()
        .any(|end| one.tensor.name.ends_with(end))
    {
        return true;
    }
    let vector = dims.iter().rev().skip(1).all(|&d| d == 1) && !dims.is_empty();
    match node.op_type.as_str() {
        "MatMul" | "FusedMatMul" | "Gemm" => dims.len() == 2 || one.slot == 2,
        "Add" | "Mul" | "Sub" => vector,
        "LayerNormalization" | "SimplifiedLayerNormalization" | "Conv" | "PRelu" => one.slot > 0,
        // tables of tokens, of positions, of relative distances
        "Gather" | "Slice" | "GatherElements" | "Expand" => one.slot == 0 && dims.len() == 2,
        _ => node.domain == MICROSOFT && !dims.is_empty(),
    }
}

fn linear(one: &Use<'_>, node: &NodeProto) -> Option<Linear> {
    let plain = match node.op_type.as_str() {
        "MatMul" => true,
        #[expect(clippy::float_cmp, reason = "1 is the default, written as it stands")]
        "Gemm" => node.int("transA", 0) == 0 && node.float("alpha", 1.0) == 1.0,
        _ => false,
    };
    let flips = node.op_type == "Gemm" && node.int("transB", 0) != 0;
    (plain && one.slot == 1 && one.tensor.dims.len() == 2 && trainable_type(one.tensor)).then(
        || Linear {
            node: one.node,
            weight: one.tensor.name.clone(),
            transposed: one.transposed != flips,
        },
    )
}

/// Values that depend on any of these.
fn downstream<'a>(graph: &'a GraphProto, of: &HashSet<&str>) -> HashSet<&'a str> {
    let mut after: HashSet<&str> = HashSet::new();
    for node in &graph.node {
        let mut reads = node.names_read().into_iter();
        if reads.any(|name| of.contains(name) || after.contains(name)) {
            after.extend(node.output.iter().map(String::as_str));
        }
    }
    after.remove("");
    after
}

/// The number after the first part of a name that means layers: `encoder.layer.4.output` is in 4.
fn layer_of(name: &str) -> Option<usize> {
    let parts: Vec<&str> = name.split(['.', '/', ':']).collect();
    parts.windows(2).find_map(|pair| {
        LAYER_WORDS
            .contains(&pair[0])
            .then(|| pair[1].parse().ok())
            .flatten()
    })
}

/// A name that says what a parameter is.
fn readable(name: &str, readers: &[&NodeProto]) -> String {
    if !name.starts_with("onnx::") && !name.contains("Constant") {
        return name.to_owned();
    }
    let Some(node) = readers.iter().find(|node| node.name.contains('/')) else {
        return name.to_owned();
    };
    let mut parts: Vec<&str> = node
        .name
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    parts.pop(); // the operator
    if parts.is_empty() {
        return name.to_owned();
    }
    let last = match node.op_type.as_str() {
        "Add" => "bias",
        _ => "weight",
    };
    format!("{}.{last}", parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_read_from_names() {
        for (name, layer) in [
            ("encoder.layer.4.output.dense.weight", Some(4)),
            ("model.layers.11.mlp.up_proj.weight", Some(11)),
            ("transformer.h.0.attn.c_attn.weight", Some(0)),
            ("encoder.block.3.layer.0.SelfAttention.q.weight", Some(3)),
            ("/bert/encoder/layer.7/attention/self/query/MatMul", Some(7)),
            ("/model/layers.2/self_attn/q_proj/MatMul", Some(2)),
            ("embeddings.word_embeddings.weight", None),
            ("onnx::MatMul_123", None),
            ("LayerNorm.1.weight", None),
            ("layer.norm", None),
        ] {
            assert_eq!(layer_of(name), layer, "{name}");
        }
    }

    #[test]
    fn weights_without_names_are_called_by_their_readers() {
        let node = NodeProto {
            op_type: "MatMul".into(),
            name: "/encoder/layer.0/attention/self/query/MatMul".into(),
            ..NodeProto::default()
        };
        let name = readable("onnx::MatMul_77", &[&node]);
        assert_eq!(name, "encoder.layer.0.attention.self.query.weight");
        assert_eq!(readable("a.weight", &[&node]), "a.weight");
    }
}
