//! The forward graph of an encoder, written from `config.json` and `model.safetensors`.
//!
//! The graph takes `input_ids` and `attention_mask` (`[batch, tokens]`, i64) and `response_mask`
//! (`[batch, tokens]`, f32, 1 on the tokens to pool) and gives `features` (`[batch, 3 * hidden]`):
//! the first token's state, then mean and maximum over the response's tokens. A row without response
//! tokens gets zeros for the last two. Everything is f32 and made of standard operators but for
//! `Gelu` of `com.microsoft`, which stock runtimes have and which has a gradient.
//!
//! [`training_forward`] writes the encoder alone, for training: it gives the tokens' states, and its
//! parameters have the values of the file.

use std::path::Path;

use safetensors::SafeTensors;
use serde::Deserialize;

use super::GraphError;
use super::builder::{Builder, MICROSOFT, float, int, ints};
use super::proto::{ModelProto, elem};
use weights::Weights;

mod mpnet;
mod weights;

#[cfg(test)]
mod tests;

/// Name of the token input.
pub const INPUT_IDS: &str = "input_ids";
/// Name of the input that tells tokens from padding.
pub const ATTENTION_MASK: &str = "attention_mask";
/// Name of the input that tells the response's tokens from the others.
pub const RESPONSE_MASK: &str = "response_mask";
/// Name of the output.
pub const FEATURES: &str = "features";
/// Name of the output of the graph for training: `[batch, tokens, hidden]`.
pub const TOKEN_STATES: &str = "last_hidden_state";
/// Blocks of `hidden` features in the output: first token, mean, maximum.
pub const POOLS: usize = 3;

/// Largest `config.json` that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Added to the attention scores of padding. Finite, so that a row of only padding gives no NaN.
const MASKED: f32 = -1e9;

/// An encoder as a graph, and what a caller must know to feed it.
#[derive(Clone, PartialEq, Eq)]
pub struct Backbone {
    /// The bytes of the `.onnx` model.
    pub onnx: Vec<u8>,
    /// Width of a token's state; the output is [`POOLS`] times as wide.
    pub hidden: usize,
    /// Most tokens a text may have.
    pub max_positions: usize,
    /// Number of token ids.
    pub vocabulary: usize,
    /// The kind of encoder.
    pub architecture: Architecture,
}

impl std::fmt::Debug for Backbone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backbone")
            .field("onnx_bytes", &self.onnx.len())
            .field("hidden", &self.hidden)
            .field("max_positions", &self.max_positions)
            .field("vocabulary", &self.vocabulary)
            .field("architecture", &self.architecture)
            .finish()
    }
}

/// Kinds of encoders that can be written as a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// BERT with absolute positions; token types are all 0.
    Bert,
    /// `MPNet`: positions start after the padding id, relative position bias shared by all layers.
    Mpnet,
}

/// The part of `config.json` that shapes the graph.
#[derive(Debug, Deserialize)]
struct Config {
    model_type: String,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "default_epsilon")]
    layer_norm_eps: f32,
    #[serde(default = "default_activation")]
    hidden_act: String,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default = "default_padding")]
    pad_token_id: usize,
    #[serde(default = "default_buckets")]
    relative_attention_num_buckets: usize,
}

fn default_epsilon() -> f32 {
    1e-12
}

fn default_activation() -> String {
    "gelu".into()
}

fn default_padding() -> usize {
    1
}

fn default_buckets() -> usize {
    32
}

/// Where an architecture keeps the weights of a layer, below `encoder.layer.N.`.
struct LayerNames {
    query: &'static str,
    key: &'static str,
    value: &'static str,
    attention_output: &'static str,
    attention_norm: &'static str,
}

const BERT_LAYER: LayerNames = LayerNames {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
};

const MPNET_LAYER: LayerNames = LayerNames {
    query: "attention.attn.q",
    key: "attention.attn.k",
    value: "attention.attn.v",
    attention_output: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
};

/// Writes the forward graph of the model in `folder`, from its `config.json` and
/// `model.safetensors`.
///
/// # Errors
/// [`GraphError::Read`] or [`GraphError::File`], naming the file: missing, malformed, of another
/// architecture, or with weights of other names, shapes or element types than the configuration says.
pub fn backbone_model(folder: &Path) -> Result<Backbone, GraphError> {
    let (model, config, architecture) = write_forward(folder, Purpose::Features)?;
    Ok(Backbone {
        onnx: model.to_bytes(),
        hidden: config.hidden_size,
        max_positions: config.usable_positions(architecture),
        vocabulary: config.vocab_size,
        architecture,
    })
}

/// Writes the forward graph of the model in `folder` for training.
///
/// It takes [`INPUT_IDS`] and [`ATTENTION_MASK`] and gives [`TOKEN_STATES`]. Attention scores are
/// scaled when it runs, not in the weights of the queries, so that every parameter is that of the
/// file, transposed and joined at most: `encoder.layer.N.attention.qkv.weight` has the columns of
/// queries, keys and values side by side, and `embeddings.positions` the first token type added.
///
/// # Errors
/// As [`backbone_model`].
pub fn training_forward(folder: &Path) -> Result<ModelProto, GraphError> {
    Ok(write_forward(folder, Purpose::Training)?.0)
}

/// What a graph is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Pooled features, as fast as can be.
    Features,
    /// States of tokens, with parameters fit for training.
    Training,
}

fn write_forward(
    folder: &Path,
    purpose: Purpose,
) -> Result<(ModelProto, Config, Architecture), GraphError> {
    let config_path = folder.join("config.json");
    let weights_path = folder.join("model.safetensors");
    let config = super::read_bounded(&config_path, MAX_CONFIG_BYTES)?;
    let config: Config = serde_json::from_slice(&config)
        .map_err(|error| GraphError::Malformed(format!("not an encoder's settings: {error}")))
        .map_err(|error| GraphError::in_file(&config_path, error))?;
    let architecture = config
        .check()
        .map_err(|error| GraphError::in_file(&config_path, error))?;
    let bytes = super::read_bounded(&weights_path, super::proto::MAX_MODEL_BYTES)?;
    let model = SafeTensors::deserialize(&bytes)
        .map_err(|error| GraphError::Malformed(format!("not a safetensors file: {error}")))
        .and_then(|tensors| forward(&config, architecture, purpose, &Weights::new(tensors)))
        .map_err(|error| GraphError::in_file(&weights_path, error))?;
    Ok((model, config, architecture))
}

impl Config {
    /// The architecture, once the settings are known to be supported.
    fn check(&self) -> Result<Architecture, GraphError> {
        let unsupported = |what: String| Err(GraphError::Unsupported(what));
        let architecture = match self.model_type.as_str() {
            "bert" => Architecture::Bert,
            "mpnet" => Architecture::Mpnet,
            other => {
                return unsupported(format!("model type `{other}`: expected `bert` or `mpnet`"));
            }
        };
        let sizes = [
            self.hidden_size,
            self.num_attention_heads,
            self.intermediate_size,
            self.vocab_size,
            self.max_position_embeddings,
        ];
        // the upper bound keeps products of two sizes far from overflow
        if sizes.iter().any(|&size| size == 0 || size > 1 << 24)
            || self.num_hidden_layers > 1000
            || !self.hidden_size.is_multiple_of(self.num_attention_heads)
        {
            return unsupported(format!(
                "sizes that make no encoder: hidden {}, heads {}, layers {}, vocabulary {}",
                self.hidden_size, self.num_attention_heads, self.num_hidden_layers, self.vocab_size
            ));
        }
        if self.layer_norm_eps.is_nan() || self.layer_norm_eps < 0.0 {
            return unsupported(format!("layer norm epsilon {}", self.layer_norm_eps));
        }
        match self.position_embedding_type.as_deref() {
            None | Some("absolute") => {}
            Some(other) => return unsupported(format!("position embedding `{other}`")),
        }
        if self.usable_positions(architecture) == 0 {
            return unsupported("no positions after the padding's".into());
        }
        if architecture == Architecture::Mpnet
            && (self.relative_attention_num_buckets < 4
                || !self.relative_attention_num_buckets.is_multiple_of(4)
                || self.usable_positions(architecture) > 1 << 12)
        {
            return unsupported("relative positions of an unusual size".into());
        }
        self.activation()?;
        Ok(architecture)
    }

    /// Operator and domain of the activation.
    fn activation(&self) -> Result<(&'static str, &'static str), GraphError> {
        match self.hidden_act.as_str() {
            "gelu" => Ok((MICROSOFT, "Gelu")),
            "gelu_new" | "gelu_pytorch_tanh" => Ok((MICROSOFT, "FastGelu")),
            "relu" => Ok(("", "Relu")),
            other => Err(GraphError::Unsupported(format!(
                "activation `{other}`: expected `gelu`, `gelu_new` or `relu`"
            ))),
        }
    }

    fn usable_positions(&self, architecture: Architecture) -> usize {
        match architecture {
            Architecture::Bert => self.max_position_embeddings,
            Architecture::Mpnet => self
                .max_position_embeddings
                .saturating_sub(self.pad_token_id + 1),
        }
    }
}

/// The values that every layer reads.
struct Shared {
    /// `[1, heads or 1, tokens or 1, tokens]`, added to the attention scores.
    score_bias: String,
    purpose: Purpose,
}

fn forward(
    config: &Config,
    architecture: Architecture,
    purpose: Purpose,
    weights: &Weights<'_>,
) -> Result<ModelProto, GraphError> {
    let mut graph = Builder::new("backbone");
    let rows = ["batch".into(), "tokens".into()];
    graph.input(INPUT_IDS, elem::INT64, &rows);
    graph.input(ATTENTION_MASK, elem::INT64, &rows);
    if purpose == Purpose::Features {
        graph.input(RESPONSE_MASK, elem::FLOAT, &rows);
    }

    let tokens = graph.op("Shape", &[INPUT_IDS], &[int("start", 1), int("end", 2)]);
    let mut state = embeddings(&mut graph, config, architecture, weights, &tokens)?;
    let mut score_bias = padding_bias(&mut graph);
    let names = match architecture {
        Architecture::Bert => &BERT_LAYER,
        Architecture::Mpnet => {
            let relative = mpnet::relative_bias(&mut graph, config, weights, &tokens)?;
            score_bias = graph.op("Add", &[&relative, &score_bias], &[]);
            &MPNET_LAYER
        }
    };
    let shared = Shared {
        score_bias,
        purpose,
    };
    for layer in 0..config.num_hidden_layers {
        state = encoder_layer(&mut graph, config, weights, names, layer, &state, &shared)?;
    }
    match purpose {
        Purpose::Features => pools(&mut graph, config, &state),
        Purpose::Training => {
            graph.op_to("", "Identity", &[&state], &[TOKEN_STATES], &[]);
            let dims = [
                "batch".into(),
                "tokens".into(),
                dim(config.hidden_size).into(),
            ];
            graph.output(TOKEN_STATES, elem::FLOAT, &dims);
        }
    }
    Ok(graph.finish())
}

fn embeddings(
    graph: &mut Builder,
    config: &Config,
    architecture: Architecture,
    weights: &Weights<'_>,
    tokens: &str,
) -> Result<String, GraphError> {
    let hidden = config.hidden_size;
    let word = weights.as_is(
        graph,
        "embeddings.word_embeddings.weight",
        &[config.vocab_size, hidden],
    )?;
    let mut position = weights.f32(
        "embeddings.position_embeddings.weight",
        &[config.max_position_embeddings, hidden],
    )?;
    let first = match architecture {
        Architecture::Bert => {
            // token types are all 0: their row is added to each position once, here
            let types = weights.first_row("embeddings.token_type_embeddings.weight", hidden)?;
            for row in position.chunks_exact_mut(hidden) {
                row.iter_mut().zip(&types).for_each(|(p, t)| *p += t);
            }
            0
        }
        Architecture::Mpnet => config.pad_token_id + 1,
    };
    let position = &position[first * hidden..];
    let usable = dim(position.len() / hidden);
    let table = graph.f32("embeddings.positions", &[usable, dim(hidden)], position);
    let words = graph.op("Gather", &[&word, INPUT_IDS], &[]);
    // not Gather over Range: runtime 1.31.1 fails on that pair
    let zero = graph.ints(&[0]);
    let positions = graph.op("Slice", &[&table, &zero, tokens, &zero], &[]);
    let sum = graph.op("Add", &[&words, &positions], &[]);
    layer_norm(graph, config, weights, "embeddings.LayerNorm", &sum)
}

/// 0 where there is a token, [`MASKED`] where there is padding: `[batch, 1, 1, tokens]`.
fn padding_bias(graph: &mut Builder) -> String {
    let mask = graph.op("Cast", &[ATTENTION_MASK], &[int("to", elem::FLOAT.into())]);
    let one = graph.scalar(1.0);
    let padding = graph.op("Sub", &[&one, &mask], &[]);
    let low = graph.scalar(MASKED);
    let bias = graph.op("Mul", &[&padding, &low], &[]);
    let axes = graph.ints(&[1, 2]);
    graph.op("Unsqueeze", &[&bias, &axes], &[])
}

fn encoder_layer(
    graph: &mut Builder,
    config: &Config,
    weights: &Weights<'_>,
    names: &LayerNames,
    layer: usize,
    state: &str,
    shared: &Shared,
) -> Result<String, GraphError> {
    let name = |part: &str| format!("encoder.layer.{layer}.{part}");
    let (hidden, wide) = (config.hidden_size, config.intermediate_size);

    let context = attention(graph, config, weights, names, layer, state, shared)?;
    let attended = weights.linear(
        graph,
        &name(names.attention_output),
        (hidden, hidden),
        &context,
    )?;
    let sum = graph.op("Add", &[&attended, state], &[]);
    let state = layer_norm(graph, config, weights, &name(names.attention_norm), &sum)?;

    let inner = weights.linear(graph, &name("intermediate.dense"), (hidden, wide), &state)?;
    let (domain, activation) = config.activation()?;
    let active = graph.op_in(domain, activation, &[&inner], &[]);
    let outer = weights.linear(graph, &name("output.dense"), (wide, hidden), &active)?;
    let sum = graph.op("Add", &[&outer, &state], &[]);
    layer_norm(graph, config, weights, &name("output.LayerNorm"), &sum)
}

/// Multi-head attention with queries, keys and values from one product: `[batch, tokens, hidden]`.
fn attention(
    graph: &mut Builder,
    config: &Config,
    weights: &Weights<'_>,
    names: &LayerNames,
    layer: usize,
    state: &str,
    shared: &Shared,
) -> Result<String, GraphError> {
    let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
    let width = hidden / heads;
    let name = |part: &str| format!("encoder.layer.{layer}.{part}");
    let parts = [names.query, names.key, names.value].map(name);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a head is a few hundred wide at most"
    )]
    let scale = 1.0 / (width as f32).sqrt();
    // scaling the queries' weights saves scaling them in every call
    let folded = match shared.purpose {
        Purpose::Features => scale,
        Purpose::Training => 1.0,
    };
    let mixed = weights.joined_linear(
        graph,
        &name("attention.qkv"),
        &parts,
        hidden,
        &[folded, 1.0, 1.0],
        state,
    )?;

    let shape = graph.ints(&[0, 0, 3 * dim(heads), dim(width)]);
    let mixed = graph.op("Reshape", &[&mixed, &shape], &[]);
    let sizes = graph.ints(&[dim(heads); 3]);
    let [query, key, value] = ["query", "key", "value"].map(|part| graph.fresh(part));
    graph.op_to(
        "",
        "Split",
        &[&mixed, &sizes],
        &[&query, &key, &value],
        &[int("axis", 2)],
    );
    let query = match shared.purpose {
        Purpose::Features => query,
        Purpose::Training => {
            let scale = graph.scalar(scale);
            graph.op("Mul", &[&query, &scale], &[])
        }
    };
    let heads_first = [ints("perm", &[0, 2, 1, 3])];
    let query = graph.op("Transpose", &[&query], &heads_first);
    let key = graph.op("Transpose", &[&key], &[ints("perm", &[0, 2, 3, 1])]);
    let value = graph.op("Transpose", &[&value], &heads_first);
    let scores = graph.op("MatMul", &[&query, &key], &[]);
    let scores = graph.op("Add", &[&scores, &shared.score_bias], &[]);
    let weights = graph.op("Softmax", &[&scores], &[int("axis", -1)]);
    let context = graph.op("MatMul", &[&weights, &value], &[]);
    let context = graph.op("Transpose", &[&context], &heads_first);
    let shape = graph.ints(&[0, 0, dim(hidden)]);
    Ok(graph.op("Reshape", &[&context, &shape], &[]))
}

fn layer_norm(
    graph: &mut Builder,
    config: &Config,
    weights: &Weights<'_>,
    name: &str,
    input: &str,
) -> Result<String, GraphError> {
    let gamma = weights.as_is(graph, &format!("{name}.weight"), &[config.hidden_size])?;
    let beta = weights.as_is(graph, &format!("{name}.bias"), &[config.hidden_size])?;
    let [output, mean, deviation] = ["norm", "norm_mean", "norm_inverse"].map(|n| graph.fresh(n));
    // mean and deviation are named because a training graph needs them
    graph.op_to(
        "",
        "LayerNormalization",
        &[input, &gamma, &beta],
        &[&output, &mean, &deviation],
        &[float("epsilon", config.layer_norm_eps), int("axis", -1)],
    );
    Ok(output)
}

/// First token, mean and maximum over the response's tokens, side by side.
fn pools(graph: &mut Builder, config: &Config, state: &str) {
    let first = graph.initializer(super::proto::TensorProto::from_i64(
        "first_token",
        &[],
        &[0],
    ));
    let first = graph.op("Gather", &[state, &first], &[int("axis", 1)]);

    let (zero, one) = (graph.scalar(0.0), graph.scalar(1.0));
    let tokens_axis = graph.ints(&[1]);
    let keep = [int("keepdims", 1)];
    let count = graph.op("ReduceSum", &[RESPONSE_MASK, &tokens_axis], &keep);
    let row = graph.op("Unsqueeze", &[RESPONSE_MASK, &tokens_axis], &[]);
    let sum = graph.op("MatMul", &[&row, state], &[]);
    let sum = graph.op("Squeeze", &[&sum, &tokens_axis], &[]);
    let divisor = graph.op("Max", &[&count, &one], &[]);
    let mean = graph.op("Div", &[&sum, &divisor], &[]);

    let last = graph.ints(&[2]);
    let inside = graph.op("Greater", &[RESPONSE_MASK, &zero], &[]);
    let inside = graph.op("Unsqueeze", &[&inside, &last], &[]);
    let lowest = graph.scalar(f32::MIN);
    let masked = graph.op("Where", &[&inside, state, &lowest], &[]);
    let top = graph.op(
        "ReduceMax",
        &[&masked],
        &[ints("axes", &[1]), int("keepdims", 0)],
    );
    let any = graph.op("Greater", &[&count, &zero], &[]);
    let top = graph.op("Where", &[&any, &top, &zero], &[]);

    graph.op_to(
        "",
        "Concat",
        &[&first, &mean, &top],
        &[FEATURES],
        &[int("axis", 1)],
    );
    let width = dim(POOLS * config.hidden_size);
    graph.output(FEATURES, elem::FLOAT, &["batch".into(), width.into()]);
}

/// A size as a tensor dimension.
fn dim(size: usize) -> i64 {
    i64::try_from(size).expect("sizes are checked to be small")
}
