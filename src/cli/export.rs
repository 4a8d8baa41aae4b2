//! `prefclean export`: the trained forward model of a folder of artifacts.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::Outcome;
use super::artifacts::{copy_tokenizer, same_file};
use crate::graph::GraphError;
use crate::graph::artifacts::make::export;
use crate::graph::artifacts::{CHECKPOINT, EVAL_MODEL, OPTIMIZER_MODEL, TRAINING_MODEL};
use crate::graph::checkpoint::Checkpoint;
use crate::graph::proto::ModelProto;

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Name of the model in the output folder.
const MODEL: &str = "model.onnx";

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(after_help = "\
The forward model with the parameters of the checkpoint, the loss taken out, low-rank products
merged into the weights. It gives `reward` for each row, and any ONNX Runtime runs it.

Inputs of the model: those of the forward model (`input_ids`, `attention_mask`: [rows, tokens],
int64), and where the pooling reads it `response_mask` ([rows, tokens], float: 1 on the response).

Examples:
  prefclean export minilm-last2 -o reward-model
  prefclean export minilm-last2 --checkpoint trained/checkpoint -o reward-model.onnx")]
pub struct ExportArgs {
    /// Folder that `prefclean artifacts` wrote
    #[arg(value_name = "ARTIFACTS")]
    artifacts: PathBuf,

    /// Folder for model.onnx and tokenizer, or a file that ends in .onnx for the model alone
    #[arg(short, long, value_name = "FOLDER|FILE")]
    output: PathBuf,

    /// Parameters to export; default: `checkpoint` of the artifacts
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    /// Print JSON instead of a line
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// Print nothing
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
}

/// What was written.
#[derive(Serialize)]
struct Exported {
    schema_version: u32,
    model: PathBuf,
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// Updates that the parameters have had, where the checkpoint says.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<i64>,
    tokenizer: Vec<PathBuf>,
}

/// Writes the model and says what it takes.
pub(super) fn run(args: &ExportArgs) -> anyhow::Result<Outcome> {
    let default = args.artifacts.join(CHECKPOINT);
    let checkpoint_path = args.checkpoint.as_ref().unwrap_or(&default);
    let eval_path = args.artifacts.join(EVAL_MODEL);
    let alone = args.output.extension().is_some_and(|e| e == "onnx");
    let target = if alone {
        args.output.clone()
    } else {
        args.output.join(MODEL)
    };
    let mut inputs: Vec<PathBuf> = [EVAL_MODEL, TRAINING_MODEL, OPTIMIZER_MODEL, CHECKPOINT]
        .map(|name| args.artifacts.join(name))
        .into();
    inputs.push(checkpoint_path.clone());
    if inputs.iter().any(|input| same_file(input, &target)) {
        let error = GraphError::Forward {
            what: format!("`{}` is an input", target.display()),
            hint: "choose another output",
        };
        return Err(error.into());
    }

    let eval = ModelProto::read(&eval_path)?;
    let checkpoint = Checkpoint::read(checkpoint_path)?;
    let steps = checkpoint.optimizers.first().map(|group| group.step);
    let model = export(&eval, checkpoint)
        .with_context(|| format!("cannot export `{}`", args.artifacts.display()))?;
    model.write(&target)?;
    let tokenizer = if alone {
        Vec::new()
    } else {
        copy_tokenizer(&args.artifacts, &args.output)?
    };

    let names = |values: &[crate::graph::proto::ValueInfoProto]| {
        values.iter().map(|value| value.name.clone()).collect()
    };
    let graph = model.graph.unwrap_or_default();
    let exported = Exported {
        schema_version: SCHEMA_VERSION,
        model: target,
        inputs: names(&graph.input),
        outputs: names(&graph.output),
        steps,
        tokenizer,
    };
    let text = if args.json {
        serde_json::to_string_pretty(&exported)? + "\n"
    } else if args.quiet {
        String::new()
    } else {
        render(&exported, alone)
    };
    super::print(&text)?;
    Ok(Outcome::Done)
}

fn render(exported: &Exported, alone: bool) -> String {
    let steps = match exported.steps {
        None => "parameters as they began".to_owned(),
        Some(steps) => format!("parameters after {steps} updates"),
    };
    let mut text = format!(
        "{}: {} -> {}; {steps}\n",
        exported.model.display(),
        exported.inputs.join(", "),
        exported.outputs.join(", ")
    );
    let names: Vec<&str> = exported
        .tokenizer
        .iter()
        .filter_map(|path| path.file_name().and_then(|name| name.to_str()))
        .collect();
    if !names.is_empty() {
        text += "tokenizer: ";
        text += &names.join(", ");
        text.push('\n');
    } else if !alone {
        text += "no tokenizer: the artifacts have none\n";
    }
    text
}
