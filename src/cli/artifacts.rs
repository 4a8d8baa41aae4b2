//! `prefclean artifacts`: training artifacts from a forward model.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle as Lines};
use indicatif::HumanCount;
use serde::Serialize;

use super::Outcome;
use super::progress::TerminalProgress;
use crate::graph::GraphError;
use crate::graph::artifacts::make::{
    ComposeOptions, Composed, Correction, ForwardModel, Gives, LossOptions, Part, Pool, PoolOver,
    TARGET_MARGIN, Train, WEIGHT, compose,
};
use crate::graph::artifacts::{Artifacts, CHECKPOINT, EVAL_MODEL, OPTIMIZER_MODEL, TRAINING_MODEL};
use crate::graph::backbone::training_forward;
use crate::graph::optimizer::{AdamMode, AdamWSettings, OptimizerSettings};
use crate::setup::{Backbone, SetupOptions, ensure_model};

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// The files of a folder of artifacts.
const FILES: [&str; 4] = [TRAINING_MODEL, EVAL_MODEL, OPTIMIZER_MODEL, CHECKPOINT];

/// Files that make a tokenizer; what a folder has of them goes along with the model.
const TOKENIZER_FILES: [&str; 10] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
];

/// Arguments of `artifacts`.
#[derive(Debug, Args)]
#[command(after_help = "\
Adds pooling and a reward head where the model has none, the Bradley-Terry loss of pairs, and
the gradients of what trains. The four files are as `generate_artifacts` of onnxruntime-training
writes them. Rows 2i and 2i+1 of the data are the chosen and the rejected text of pair i.

What trains: `head` (the reward head alone), `last:K` (the last K layers and all that follows),
`all`, `lora:R` (added products of rank R beside the linear layers; the head too) or
`lora:R:PATTERN` (beside those whose weight's name matches the glob).

Examples:
  prefclean artifacts --from minilm --train last:2 -o minilm-last2
  prefclean artifacts --from mpnet --train 'lora:8:*attention*' -o mpnet-lora
  prefclean artifacts model.onnx --train all --label-smoothing 0.1 -o my-model
  prefclean artifacts encoder.onnx --pool mean --pool-over text -o my-encoder
  prefclean artifacts model.onnx --dry-run --list")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct ArtifactsArgs {
    /// Forward model (.onnx, f32): gives a reward, features or states of tokens for each row
    #[arg(
        value_name = "FORWARD",
        required_unless_present = "from",
        conflicts_with = "from"
    )]
    forward: Option<PathBuf>,

    /// Encoder instead of a forward model: minilm, mpnet, or a folder with config.json and model.safetensors
    #[arg(long, value_name = "NAME|FOLDER")]
    from: Option<Backbone>,

    /// Folder that the artifacts go to
    #[arg(
        short,
        long,
        value_name = "FOLDER",
        required_unless_present = "dry_run"
    )]
    output: Option<PathBuf>,

    /// What trains: head, last:K, all, lora:R, lora:R:PATTERN; default: last:2
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "last:2",
        hide_default_value = true
    )]
    train: Train,

    /// Output of the forward model to train on; default: a reward, else states of tokens, else features
    #[arg(
        long,
        value_name = "NAME",
        help_heading = "Model",
        conflicts_with = "from"
    )]
    forward_output: Option<String>,

    /// Features of a text: cls, mean, max, last, side by side; default: last for decoders, else cls,mean,max
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        help_heading = "Model"
    )]
    pool: Vec<Pool>,

    /// Tokens that mean and max are taken over; default: response
    #[arg(
        long,
        value_enum,
        value_name = "TOKENS",
        default_value = "response",
        hide_default_value = true,
        help_heading = "Model"
    )]
    pool_over: Over,

    /// Scale of low-rank products times their rank; default: twice the rank
    #[arg(long, value_name = "NUMBER", help_heading = "Model")]
    lora_alpha: Option<f32>,

    /// Seed of new weights; default: 0
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true,
        help_heading = "Model"
    )]
    seed: u64,

    /// Share of labels taken to be wrong, which keeps margins small; 0 to below 0.5
    #[arg(
        long,
        value_name = "SHARE",
        conflicts_with = "rdpo",
        help_heading = "Loss"
    )]
    label_smoothing: Option<f32>,

    /// Share of labels taken to be wrong, corrected for as in rDPO; 0 to below 0.5
    #[arg(long, value_name = "SHARE", help_heading = "Loss")]
    rdpo: Option<f32>,

    /// Subtract a margin of each pair: an input `target_margin`
    #[arg(long, help_heading = "Loss")]
    target_margin: bool,

    /// Weigh each pair: an input `weight`
    #[arg(long, help_heading = "Loss")]
    pair_weights: bool,

    /// Shares of old moments that AdamW keeps; default: 0.9,0.999
    #[arg(
        long,
        value_name = "B1,B2",
        value_parser = betas,
        default_value = "0.9,0.999",
        hide_default_value = true,
        help_heading = "Optimizer"
    )]
    betas: [f32; 2],

    /// Added to the divisor; default: 1e-8
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = not_negative,
        default_value = "1e-8",
        hide_default_value = true,
        help_heading = "Optimizer"
    )]
    epsilon: f32,

    /// Decay per step, times the learning rate; default: 0.01
    #[arg(
        long,
        value_name = "RATE",
        value_parser = not_negative,
        default_value = "0.01",
        hide_default_value = true,
        help_heading = "Optimizer"
    )]
    weight_decay: f32,

    /// Largest norm of all gradients together, 0 for none; default: 1
    #[arg(
        long,
        value_name = "NORM",
        value_parser = not_negative,
        default_value = "1",
        hide_default_value = true,
        help_heading = "Optimizer"
    )]
    clip: f32,

    /// Formula of AdamW; default: torch
    #[arg(
        long,
        value_enum,
        value_name = "FORMULA",
        default_value = "torch",
        hide_default_value = true,
        help_heading = "Optimizer"
    )]
    adam_mode: Mode,

    /// Replace artifacts that are there, the trained parameters in them too
    #[arg(long, help_heading = "Output")]
    force: bool,

    /// Show what would train, write nothing
    #[arg(long, help_heading = "Output")]
    dry_run: bool,

    /// List every parameter instead of the parts of the model
    #[arg(long, help_heading = "Output")]
    list: bool,

    /// Fetch nothing
    #[arg(long, help_heading = "Output")]
    offline: bool,

    /// Print JSON instead of a table
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// No notes, no table
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
}

/// Tokens to pool over.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Over {
    /// Those of the response: an input `response_mask`
    Response,
    /// All
    Text,
}

/// Formula of `AdamW`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// Decay, then the update
    Torch,
    /// The update, then decay, as onnxruntime-training has it by default
    HuggingFace,
}

fn number(text: &str) -> Result<f32, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|value: &f32| value.is_finite())
        .ok_or_else(|| "not a number".to_owned())
}

fn not_negative(text: &str) -> Result<f32, String> {
    match number(text)? {
        value @ 0.0.. => Ok(value),
        _ => Err("below 0".to_owned()),
    }
}

fn betas(text: &str) -> Result<[f32; 2], String> {
    let (first, second) = text.split_once(',').ok_or("expected two numbers")?;
    let betas = [number(first)?, number(second)?];
    if betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
        Ok(betas)
    } else {
        Err("not from 0 to below 1".to_owned())
    }
}

impl ArtifactsArgs {
    fn options(&self) -> ComposeOptions {
        ComposeOptions {
            train: self.train.clone(),
            pools: self.pool.clone(),
            pool_over: match self.pool_over {
                Over::Response => PoolOver::Response,
                Over::Text => PoolOver::Text,
            },
            loss: LossOptions {
                label_noise: self.rdpo.or(self.label_smoothing).unwrap_or(0.0),
                correction: if self.rdpo.is_some() {
                    Correction::Robust
                } else {
                    Correction::Smoothing
                },
                target_margin: self.target_margin,
                weight: self.pair_weights,
            },
            lora_alpha: self.lora_alpha,
            seed: self.seed,
            ..ComposeOptions::default()
        }
    }

    fn optimizer(&self) -> OptimizerSettings {
        OptimizerSettings::AdamW(AdamWSettings {
            beta1: self.betas[0],
            beta2: self.betas[1],
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            correct_bias: true,
            mode: match self.adam_mode {
                Mode::Torch => AdamMode::Torch,
                Mode::HuggingFace => AdamMode::HuggingFace,
            },
            max_gradient_norm: (self.clip > 0.0).then_some(self.clip),
        })
    }

    /// The forward model, and the folder that its tokenizer may be in.
    fn read(&self) -> anyhow::Result<(ForwardModel, PathBuf)> {
        if let Some(path) = &self.forward {
            let forward = ForwardModel::read(path, self.forward_output.as_deref())?;
            let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
            return Ok((forward, folder));
        }
        let backbone = self.from.clone().unwrap_or_default();
        let mut options = SetupOptions::from_env(backbone.clone())?;
        options.offline |= self.offline;
        let model = ensure_model(&options, &backbone, &TerminalProgress::new(self.quiet))?;
        let forward = ForwardModel::new(training_forward(&model.path)?, None)?;
        Ok((forward, model.path))
    }
}

/// What was made, for the table and for JSON.
#[derive(Serialize)]
struct Made {
    schema_version: u32,
    forward: String,
    forward_gives: &'static str,
    pool: Vec<Pool>,
    train: Train,
    /// Data that the artifacts take.
    inputs: Vec<String>,
    /// Numbers in all parameters.
    numbers: u64,
    /// Numbers that train.
    trainable: u64,
    parts: Vec<Part>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parameters: Vec<Row>,
    files: Vec<PathBuf>,
}

/// A parameter in the list.
#[derive(Serialize)]
struct Row {
    name: String,
    /// What it is, where the name does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    is: Option<String>,
    dims: Vec<i64>,
    trains: bool,
}

/// Makes the artifacts and says what trains.
pub(super) fn run(args: &ArtifactsArgs) -> anyhow::Result<Outcome> {
    let (forward, folder) = args.read()?;
    let name = match (&args.forward, &args.from) {
        (Some(path), _) => path.display().to_string(),
        (None, backbone) => backbone.clone().unwrap_or_default().to_string(),
    };
    if let Some(output) = &args.output {
        check_output(output, forward.files(), args.force)?;
    }
    let gives = match forward.gives() {
        Gives::Reward => "reward",
        Gives::Features { .. } => "features",
        Gives::TokenStates { .. } => "states of tokens",
    };
    let composed = compose(forward, &args.options())
        .with_context(|| format!("cannot make a reward model of `{name}`"))?;
    let mut made = describe(args, name, gives, &composed);
    let artifacts = composed
        .artifacts(args.optimizer())
        .with_context(|| format!("cannot make the gradients of `{}`", made.forward))?;
    if let (Some(output), false) = (&args.output, args.dry_run) {
        made.files = write(&artifacts, output, &folder)?;
    }
    let text = if args.json {
        serde_json::to_string_pretty(&made)? + "\n"
    } else if args.quiet {
        String::new()
    } else {
        render(&made)
    };
    super::print(&text)?;
    Ok(Outcome::Done)
}

/// Refuses to write over what the artifacts are made of, or over trained parameters.
fn check_output(output: &Path, inputs: &[PathBuf], force: bool) -> Result<(), GraphError> {
    let values = format!("{CHECKPOINT}.data");
    for name in FILES.into_iter().chain([values.as_str()]) {
        let file = output.join(name);
        if let Some(input) = inputs.iter().find(|input| same_file(input, &file)) {
            return Err(GraphError::Forward {
                what: format!("`{}` is an input", input.display()),
                hint: "choose another folder for the artifacts",
            });
        }
    }
    let checkpoint = output.join(CHECKPOINT);
    if checkpoint.exists() && !force {
        return Err(GraphError::Forward {
            what: format!("`{}` exists", checkpoint.display()),
            hint: "choose another folder, or replace the artifacts in it with `--force`",
        });
    }
    Ok(())
}

/// Whether two paths lead to one file that exists.
pub(super) fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

fn write(artifacts: &Artifacts, output: &Path, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = copy_tokenizer(folder, output)?;
    artifacts.write(output)?;
    files.splice(0..0, FILES.map(|name| output.join(name)));
    Ok(files)
}

/// Copies what there is of a tokenizer, and says which files that were.
pub(super) fn copy_tokenizer(from: &Path, to: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut copied = Vec::new();
    for name in TOKENIZER_FILES {
        let (source, target) = (from.join(name), to.join(name));
        if !source.is_file() {
            continue;
        }
        if !same_file(&source, &target) {
            let bytes = std::fs::read(&source)
                .with_context(|| format!("failed to read `{}`", source.display()))?;
            std::fs::create_dir_all(to)
                .with_context(|| format!("failed to make the folder `{}`", to.display()))?;
            crate::pairs::atomic_write(&target, &bytes)?;
        }
        copied.push(target);
    }
    Ok(copied)
}

fn describe(
    args: &ArtifactsArgs,
    forward: String,
    forward_gives: &'static str,
    composed: &Composed,
) -> Made {
    let parts = composed.parts();
    let parameters: std::collections::HashSet<&str> = composed
        .parameters
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    let graph_inputs = composed.model.graph.iter().flat_map(|graph| &graph.input);
    let mut listed: Vec<_> = (composed.parameters.iter())
        .zip(&composed.readable)
        .zip(&composed.places)
        .filter(|_| args.list)
        .collect();
    listed.sort_by_key(|(_, place)| **place); // stable: otherwise as in the model
    let rows = listed.into_iter().map(|((parameter, readable), _)| Row {
        name: parameter.name.clone(),
        is: (*readable != parameter.name).then(|| readable.clone()),
        dims: parameter.dims.clone(),
        trains: parameter.trainable,
    });
    Made {
        schema_version: SCHEMA_VERSION,
        forward,
        forward_gives,
        pool: composed.pools.clone(),
        train: args.train.clone(),
        inputs: graph_inputs
            .map(|value| value.name.clone())
            .filter(|name| !parameters.contains(name.as_str()))
            .collect(),
        numbers: parts.iter().map(|part| part.numbers).sum(),
        trainable: parts.iter().map(|part| part.trainable).sum(),
        parts,
        parameters: rows.collect(),
        files: Vec::new(),
    }
}

fn render(made: &Made) -> String {
    let mut text = String::new();
    let pools: Vec<String> = made.pool.iter().map(ToString::to_string).collect();
    let head = match made.forward_gives {
        "reward" => "its own reward".to_owned(),
        "features" => "features and a new reward head".to_owned(),
        _ => format!(
            "{} of the tokens' states and a new reward head",
            pools.join(", ")
        ),
    };
    // a String takes everything
    let _ = writeln!(text, "{}: {head}\n", made.forward);
    let mut table = Table::new();
    table.load_style(Lines::new().header_separator(LineStyle::none().fill('─').junction('─')));
    if made.parameters.is_empty() {
        table.set_header(["part", "parameters", "numbers", "train", "share"]);
        for part in &made.parts {
            table.add_row(vec![
                Cell::new(part.name),
                right(part.parameters as u64),
                right(part.numbers),
                right(part.trainable),
                share(part.trainable, part.numbers),
            ]);
        }
        table.add_row(vec![
            Cell::new("all"),
            right(made.parts.iter().map(|part| part.parameters as u64).sum()),
            right(made.numbers),
            right(made.trainable),
            share(made.trainable, made.numbers),
        ]);
    } else {
        table.set_header(["parameter", "shape", "trains"]);
        for row in &made.parameters {
            let name = match &row.is {
                Some(is) => format!("{is} ({})", row.name),
                None => row.name.clone(),
            };
            let dims: Vec<String> = row.dims.iter().map(ToString::to_string).collect();
            table.add_row(vec![name, dims.join(" x "), yes_or_no(row.trains)]);
        }
    }
    let _ = writeln!(text, "{table}\n");
    let _ = writeln!(text, "trains: {}", made.train);
    let masks = made.inputs.iter().map(|name| match name.as_str() {
        TARGET_MARGIN | WEIGHT => format!("{name} [pairs]"),
        _ => name.clone(),
    });
    let masks: Vec<String> = masks.collect();
    let _ = writeln!(text, "inputs: {}", masks.join(", "));
    match made.files.split_first() {
        None => text.push_str("nothing written: --dry-run\n"),
        Some((first, rest)) => {
            let folder = first.parent().unwrap_or(Path::new(""));
            let files = std::iter::once(first).chain(rest);
            let names: Vec<String> = files
                .filter_map(|file| file.file_name())
                .map(|name| name.to_string_lossy().into_owned())
                .collect();
            let _ = writeln!(
                text,
                "written to {}: {}",
                folder.display(),
                names.join(", ")
            );
        }
    }
    text
}

fn yes_or_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn right(value: u64) -> Cell {
    Cell::new(HumanCount(value)).set_alignment(CellAlignment::Right)
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn share(part: u64, whole: u64) -> Cell {
    let text = match part {
        0 => "-".to_owned(),
        part => format!("{:.1}%", 100.0 * part as f64 / whole as f64),
    };
    Cell::new(text).set_alignment(CellAlignment::Right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(betas("0.9, 0.95"), Ok([0.9, 0.95]));
        for text in ["0.9", "0.9,1", "-0.1,0.9", "a,b", "nan,0.9"] {
            assert!(betas(text).is_err(), "{text}");
        }
        assert!(not_negative("-1").is_err());
        assert!(not_negative("inf").is_err());
        assert_eq!(not_negative("0"), Ok(0.0));
    }
}
