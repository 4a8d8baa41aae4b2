//! Forward model, pooling, reward head and loss as one graph with named parameters.

use std::collections::{HashMap, HashSet};

use crate::graph::GraphError;
use crate::graph::backbone::{ATTENTION_MASK, FEATURES, INPUT_IDS, RESPONSE_MASK};
use crate::graph::builder::Builder;
use crate::graph::checkpoint::Parameter;
use crate::graph::lower::{LEARNING_RATE, LOSS, MARGIN, PAIR_LOSS, STEP};
use crate::graph::proto::{DimProto, GraphProto, ModelProto, ValueInfoProto, elem};

use super::forward::{ForwardModel, Gives, no_graph};
use super::loss::{self, LossOptions, TARGET_MARGIN, WEIGHT};
use super::parameters::{Parameters, Place};
use super::pooling::{self, Pool, PoolOver};
use super::random::Normal;
use super::{Train, lora, names};

/// Name of the reward of each row in the graphs, `[rows]`.
pub const REWARD: &str = "reward";
/// Name of the weights of an added reward head, `[width, 1]`.
pub const HEAD_WEIGHT: &str = "head.weight";
/// Name of the frozen means that features are centred by, `[width]`.
pub const FEATURES_MEAN: &str = "features.mean";
/// Name of the frozen numbers that centred features are multiplied with, `[width]`.
pub const FEATURES_SCALE: &str = "features.scale";

/// Names that values of the forward model must not have.
const RESERVED: [&str; 13] = [
    LOSS,
    MARGIN,
    PAIR_LOSS,
    LEARNING_RATE,
    STEP,
    REWARD,
    FEATURES,
    HEAD_WEIGHT,
    FEATURES_MEAN,
    FEATURES_SCALE,
    WEIGHT,
    TARGET_MARGIN,
    "lazy_reset_grad",
];

/// How a forward model becomes a reward model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComposeOptions {
    /// What trains.
    pub train: Train,
    /// How states of tokens become features, side by side. Empty: `last` for a causal model, else
    /// `cls`, `mean`, `max`. Unused where the model gives features or a reward.
    pub pools: Vec<Pool>,
    /// Over which tokens `mean` and `max` are taken.
    pub pool_over: PoolOver,
    /// What happens between features and the added head.
    pub standardisation: Option<Standardisation>,
    /// Initial values of the added head.
    pub head: HeadStart,
    /// The loss.
    pub loss: LossOptions,
    /// Scale of low-rank products times their rank; `2 * rank` where none is given.
    pub lora_alpha: Option<f32>,
    /// Seed of initial values.
    pub seed: u64,
}

/// Features become `(features - mean) * scale`, column by column; a scale of 0 masks a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardisation {
    /// What is subtracted.
    pub mean: Vec<f32>,
    /// What the difference is multiplied with.
    pub scale: Vec<f32>,
}

/// Initial values of an added reward head. It has no bias: that would cancel in every margin.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum HeadStart {
    /// [`HeadStart::Zero`] when the head trains alone, else [`HeadStart::Normal`].
    #[default]
    Auto,
    /// Zeros: no preference at first. The encoder has a gradient of zero until the head has moved.
    Zero,
    /// Normal with variance `1 / (width + 1)` (Stiennon et al. 2020, arXiv:2009.01325), from the seed:
    /// the encoder has a gradient from the first step on.
    Normal,
    /// Given values, such as those of a head that was trained on frozen features.
    Given(Vec<f32>),
}

/// A reward model with its loss, parameters apart.
#[derive(Clone, Debug)]
pub struct Composed {
    /// Forward graph and loss. Inputs: data, then every parameter. Output: the loss. Values inside:
    /// [`REWARD`], [`MARGIN`], [`PAIR_LOSS`], and [`FEATURES`] where the head was added.
    pub model: ModelProto,
    /// Trainable parameters first, then frozen ones, with initial values.
    pub parameters: Vec<Parameter>,
    /// Where each parameter stands, in the same order.
    pub places: Vec<Place>,
    /// Names that say what each parameter is, in the same order.
    pub readable: Vec<String>,
    /// The poolings, where the head was added to states of tokens.
    pub pools: Vec<Pool>,
}

/// Puts a reward head (where the model has none) and the loss onto a forward model, and says which
/// parameters train.
///
/// # Errors
/// [`GraphError::Forward`] where `train` finds no layers, the pooling lacks an input, or a
/// standardisation does not have the width of the features; [`GraphError::Unsupported`] for options
/// out of range.
pub fn compose(forward: ForwardModel, options: &ComposeOptions) -> Result<Composed, GraphError> {
    options.loss.validate()?;
    let gives = forward.gives();
    let pools = pools(&forward, options);
    let ForwardModel {
        mut model, output, ..
    } = forward;
    let opset = model.opset();
    let mut graph = model.graph.take().ok_or_else(no_graph)?;
    graph.output.clear();
    let output = free_names(&mut graph, output)?;

    let found = Parameters::find(&graph, gives == Gives::Reward);
    let chosen = found.chosen(&options.train)?;
    let mut random = Normal::new(options.seed);
    let mut parameters = Vec::new();
    if let Train::Lora { rank, pattern } = &options.train {
        let beside = found.beside(pattern.as_deref())?;
        #[expect(clippy::cast_precision_loss, reason = "a rank is small")]
        let rank_number = *rank as f32;
        let scale = options.lora_alpha.map_or(2.0, |alpha| alpha / rank_number);
        parameters = lora::add(&mut graph, &beside, *rank, scale, &mut random)?;
    }
    take_parameters(&mut graph, &found, &chosen, &mut parameters)?;

    let dims = |v: &ValueInfoProto| v.tensor_type().and_then(|t| t.shape.clone());
    let inputs: HashMap<String, Vec<DimProto>> = graph
        .input
        .iter()
        .map(|v| {
            (
                v.name.clone(),
                dims(v).map_or_else(Vec::new, |shape| shape.dim),
            )
        })
        .collect();
    let mut b = builder_of(graph, opset)?;
    let mut reward = output;
    if let Gives::TokenStates { width } | Gives::Features { width } = gives {
        let mut features = reward;
        let mut features_width = width;
        if matches!(gives, Gives::TokenStates { .. }) {
            require_masks(&mut b, &inputs, &pools, options.pool_over)?;
            features = pooling::pool(&mut b, &features, &pools, options.pool_over);
            features_width = width * pools.len();
        }
        reward = add_head(
            &mut b,
            &features,
            features_width,
            options,
            &mut random,
            &mut parameters,
        )?;
    }
    let flat = b.ints(&[-1]);
    b.op_to("", "Reshape", &[&reward, &flat], &[REWARD], &[]);
    loss::bradley_terry(&mut b, REWARD, options.loss);
    finish(b, &model, parameters, &found, pools)
}

fn pools(forward: &ForwardModel, options: &ComposeOptions) -> Vec<Pool> {
    if !matches!(forward.gives(), Gives::TokenStates { .. }) {
        return Vec::new();
    }
    if !options.pools.is_empty() {
        return options.pools.clone();
    }
    if forward.causal() {
        vec![Pool::Last]
    } else {
        vec![Pool::Cls, Pool::Mean, Pool::Max]
    }
}

/// Renames values of the forward model that have names with a meaning here.
fn free_names(graph: &mut GraphProto, output: String) -> Result<String, GraphError> {
    let taken = |v: &&ValueInfoProto| RESERVED.contains(&v.name.as_str());
    if let Some(value) = graph.input.iter().find(taken) {
        return Err(GraphError::Forward {
            what: format!(
                "the name `{}` of an input has a meaning in training",
                value.name
            ),
            hint: "export the model with other names of inputs",
        });
    }
    let made = graph.node.iter().flat_map(|n| &n.output);
    let tensors = graph.initializer.iter().map(|t| &t.name);
    let changes: HashMap<String, String> = made
        .chain(tensors)
        .filter(|name| RESERVED.contains(&name.as_str()))
        .map(|name| (name.clone(), format!("forward.{name}")))
        .collect();
    names::rename(graph, &changes);
    Ok(changes.get(&output).cloned().unwrap_or(output))
}

/// Moves the values of parameters from the graph into `parameters`.
fn take_parameters(
    graph: &mut GraphProto,
    found: &Parameters,
    chosen: &HashSet<String>,
    parameters: &mut Vec<Parameter>,
) -> Result<(), GraphError> {
    let names: HashSet<&str> = found.found.iter().map(|f| f.name.as_str()).collect();
    let (weights, constants) = std::mem::take(&mut graph.initializer)
        .into_iter()
        .partition(|t| names.contains(t.name.as_str()));
    graph.initializer = constants;
    for tensor in weights {
        parameters.push(Parameter {
            data: tensor.to_f32()?,
            trainable: chosen.contains(&tensor.name),
            name: tensor.name,
            dims: tensor.dims,
        });
    }
    Ok(())
}

/// A builder that goes on where a graph ends.
fn builder_of(graph: GraphProto, opset: i64) -> Result<Builder, GraphError> {
    let mut b = Builder::with_opset("reward_model", opset);
    b.reserve(RESERVED);
    for value in &graph.input {
        let tensor = value.tensor_type().ok_or_else(|| {
            GraphError::Unsupported(format!("input `{}` is not a tensor", value.name))
        })?;
        let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
        b.input(&value.name, tensor.elem_type, dims);
    }
    for tensor in graph.initializer {
        b.initializer(tensor);
    }
    for node in graph.node {
        b.node(node);
    }
    Ok(b)
}

/// Sees to the inputs that the pooling reads.
fn require_masks(
    b: &mut Builder,
    inputs: &HashMap<String, Vec<DimProto>>,
    pools: &[Pool],
    over: PoolOver,
) -> Result<(), GraphError> {
    let needs = pooling::inputs(pools, over);
    if needs.attention && !inputs.contains_key(ATTENTION_MASK) {
        return Err(GraphError::Forward {
            what: format!("the model has no input `{ATTENTION_MASK}`, which the pooling reads"),
            hint: "export the model with its attention mask, or pool `cls` or over the response",
        });
    }
    if needs.response && !inputs.contains_key(RESPONSE_MASK) {
        let like = inputs.get(ATTENTION_MASK).or_else(|| inputs.get(INPUT_IDS));
        let dims = like
            .cloned()
            .unwrap_or(vec!["rows".into(), "tokens".into()]);
        b.input(RESPONSE_MASK, elem::FLOAT, &dims);
    }
    Ok(())
}

/// Adds standardisation and reward head; gives the reward, `[rows, 1]`.
fn add_head(
    b: &mut Builder,
    features: &str,
    width: usize,
    options: &ComposeOptions,
    random: &mut Normal,
    parameters: &mut Vec<Parameter>,
) -> Result<String, GraphError> {
    let dim = i64::try_from(width).unwrap_or(i64::MAX);
    let check = |what: &str, values: &[f32]| {
        if values.len() == width && values.iter().all(|v| v.is_finite()) {
            return Ok(());
        }
        Err(GraphError::Unsupported(format!(
            "{what}: expected {width} finite numbers, one per feature, found {}",
            values.len()
        )))
    };
    match &options.standardisation {
        None => b.op_to("", "Identity", &[features], &[FEATURES], &[]),
        Some(Standardisation { mean, scale }) => {
            for (name, values) in [(FEATURES_MEAN, mean), (FEATURES_SCALE, scale)] {
                check(name, values)?;
                parameters.push(Parameter {
                    name: name.into(),
                    dims: vec![dim],
                    data: values.clone(),
                    trainable: false,
                });
            }
            let centred = b.call("Sub", &[features, FEATURES_MEAN]);
            b.op_to("", "Mul", &[&centred, FEATURES_SCALE], &[FEATURES], &[]);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a width")]
    let deviation = 1.0 / ((width + 1) as f64).sqrt();
    let data = match &options.head {
        HeadStart::Given(values) => {
            check(HEAD_WEIGHT, values)?;
            values.clone()
        }
        HeadStart::Auto if options.train.encoder() => random.draw(width, deviation),
        HeadStart::Normal => random.draw(width, deviation),
        HeadStart::Auto | HeadStart::Zero => vec![0.0; width],
    };
    parameters.push(Parameter {
        name: HEAD_WEIGHT.into(),
        dims: vec![dim, 1],
        data,
        trainable: true,
    });
    Ok(b.call("MatMul", &[FEATURES, HEAD_WEIGHT]))
}

/// Declares the parameters as inputs, and puts them in order.
fn finish(
    mut b: Builder,
    from: &ModelProto,
    mut parameters: Vec<Parameter>,
    found: &Parameters,
    pools: Vec<Pool>,
) -> Result<Composed, GraphError> {
    parameters.sort_by_key(|p| !p.trainable); // stable: otherwise as in the model
    if !parameters.iter().any(|p| p.trainable) {
        return Err(GraphError::Forward {
            what: "nothing trains: no parameter of that part was found".into(),
            hint: "train `all`, `last:K` or `lora:R`",
        });
    }
    for parameter in &parameters {
        let dims: Vec<DimProto> = parameter.dims.iter().map(|&d| d.into()).collect();
        b.input(&parameter.name, elem::FLOAT, &dims);
    }
    let mut model = b.finish();
    model.ir_version = match model.opset() {
        ..=18 => 8,
        19..=20 => 9,
        _ => 10,
    };
    for set in &from.opset_import {
        if !model
            .opset_import
            .iter()
            .any(|own| own.domain == set.domain)
        {
            model.opset_import.push(set.clone());
        }
    }
    let by_name: HashMap<&str, (Place, &str)> = found
        .found
        .iter()
        .map(|f| (f.name.as_str(), (f.place, f.readable.as_str())))
        .collect();
    let describe = |p: &Parameter| {
        let (of, end) = lora::factor_of(&p.name);
        let known = by_name.get(of).copied();
        let (place, readable) = known.unwrap_or((Place::Head, of));
        (place, format!("{readable}{end}"))
    };
    let (places, readable) = parameters.iter().map(describe).unzip();
    Ok(Composed {
        model,
        parameters,
        places,
        readable,
        pools,
    })
}
