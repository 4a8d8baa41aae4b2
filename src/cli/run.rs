//! `prefclean run`: the whole job.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::judges::JudgeArgs;
use super::machine::MachineArgs;
use super::progress::TerminalProgress;
use super::{Outcome, print};
use crate::actions::Action;
use crate::filter::Curriculum;
use crate::graph::artifacts::make::Train;
use crate::pairs::ShardCut;
use crate::pipeline::{self, RunConfig, RunRequest};
use crate::report::{self, Report, VerdictKind};
use crate::tags::calibrate::Basis;

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  prefclean run hh-rlhf.parquet -o clean.parquet
  prefclean run 'data/train-*.parquet' -o clean.parquet --fdr 0.05
  prefclean run data/ -o cleaned/ --max-shard-size 500MB
  prefclean run pairs.jsonl.gz --run-dir audit --json
  prefclean run pairs.parquet --show-config > mine.toml")]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub struct RunArgs {
    /// Parquet, Arrow, JSON Lines or CSV files (text also .gz, .zst), folders, or globs
    #[arg(required_unless_present = "show_config")]
    inputs: Vec<String>,

    /// Cleaned file to write, or a folder for a dataset as the hub lays it out; without it only the run directory is made
    #[arg(short, long, value_name = "FILE|FOLDER", help_heading = "Output")]
    output: Option<PathBuf>,

    /// Cut the dataset into so many files: FOLDER/data/train-00000-of-00005.parquet and a card
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=99_999),
        requires = "output",
        conflicts_with = "max_shard_size",
        help_heading = "Output"
    )]
    shards: Option<u32>,

    /// Cut the dataset into files of at most this size, such as 500MB or 1GiB; default for a folder: 500MB
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "output", help_heading = "Output")]
    max_shard_size: Option<u64>,

    /// Folder of report, tags and everything else; default: beside the output, NAME.prefclean
    #[arg(long, value_name = "FOLDER", help_heading = "Output")]
    run_dir: Option<PathBuf>,

    /// Leave out the columns that start with `prefclean_`
    #[arg(long, help_heading = "Output")]
    no_extra_columns: bool,

    /// Print the report as JSON instead of a table
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// Keep both trained reward models in the run directory, as training artifacts; see `export`
    #[arg(long, help_heading = "Output")]
    keep_models: bool,

    /// Write the dynamics as Dataset Cartography's `dynamics_epoch_N.jsonl` too
    #[arg(long, help_heading = "Output")]
    write_dynamics: bool,

    /// No progress, no notes, no table
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,

    /// End with exit code 1 when the verdict is this; may be given more than once
    #[arg(long, value_name = "FINDING", help_heading = "Output")]
    fail_on: Vec<FailOn>,

    /// Explain one pair of a finished run: why it has its tag
    #[arg(long, value_name = "PAIR_ID", help_heading = "Output")]
    explain: Option<String>,

    /// Run file: crm, independent, quick, or a TOML file; default: crm
    #[arg(
        long,
        value_name = "NAME|FILE",
        default_value = "crm",
        hide_default_value = true,
        help_heading = "Settings"
    )]
    pipeline: String,

    /// Print the checked settings as a run file and stop
    #[arg(long, help_heading = "Settings")]
    show_config: bool,

    /// Say what would be done, with an estimate of time and memory, and stop
    #[arg(long, help_heading = "Settings")]
    dry_run: bool,

    /// Which columns hold what: prompt=NAME,chosen=NAME,rejected=NAME, or `response_a`, `response_b` and
    /// `winner` (with `a_wins=VALUE,b_wins=VALUE`), or `responses` and `scores`; default: detected
    #[arg(long, value_name = "LIST", help_heading = "Settings")]
    columns: Option<String>,

    /// Column that names a pair's source, for the report; default: `source` where there is one
    #[arg(long, value_name = "COLUMN", help_heading = "Settings")]
    source_column: Option<String>,

    /// False-discovery rate of the tag `incorrect`, 0.001 to 0.5; default: 0.1
    #[arg(long, value_name = "RATE", help_heading = "Settings")]
    fdr: Option<f64>,

    /// What the bound on wrong tags rests on: held-out, anchor or shape; default: see --show-config
    #[arg(long, value_parser = super::tag::basis, help_heading = "Settings")]
    basis: Option<Basis>,

    /// Largest share of the pairs that may be removed as incorrect, 0 to 1; default: 0.3
    #[arg(long, value_name = "SHARE", help_heading = "Settings")]
    max_remove: Option<f64>,

    /// Column whose every value is held to the same share
    #[arg(long, value_name = "COLUMN", help_heading = "Settings")]
    max_remove_per: Option<String>,

    /// What is never on both sides of cross-fitting: `content`, `prompt`, `opening` (the first human turn)
    /// or a column, such as a topic; default: content
    #[arg(long, value_name = "KIND|COLUMN", help_heading = "Settings")]
    cross_fit_by: Option<String>,

    /// What becomes of pairs tagged incorrect: drop, flip, soft-label, target-margin, keep, review; default: drop
    #[arg(long, value_name = "ACTION", help_heading = "Settings")]
    on_incorrect: Option<Action>,

    /// The same for pairs tagged ambiguous; default: keep
    #[arg(long, value_name = "ACTION", help_heading = "Settings")]
    on_ambiguous: Option<Action>,

    /// Least probability of a wrong label at which `flip` flips, above 0.5; default: 0.9
    #[arg(long, value_name = "P", help_heading = "Settings")]
    flip_at_least: Option<f64>,

    #[command(flatten)]
    judges: JudgeArgs,

    /// Seed of plantings, views, initial heads and shuffles; default: 0
    #[arg(long, help_heading = "Settings")]
    seed: Option<u64>,

    /// Backbone of both models: minilm, mpnet, or a folder; default: minilm
    #[arg(long, value_name = "NAME|FOLDER", help_heading = "Models")]
    backbone: Option<String>,

    /// Backbone of model b alone
    #[arg(long, value_name = "NAME|FOLDER", help_heading = "Models")]
    backbone_b: Option<String>,

    /// Head of both models: linear, mlp, mlp-relu, mlp-tanh, mlp-layernorm, or a folder of training artifacts
    #[arg(long, value_name = "NAME|FOLDER", help_heading = "Models")]
    head: Option<String>,

    /// Training artifacts over tokens that train in the second pass, of both models or of a and b; see `artifacts`
    #[arg(
        long,
        value_name = "FOLDER[,FOLDER_B]",
        value_delimiter = ',',
        help_heading = "Models"
    )]
    artifacts: Vec<String>,

    /// Train nothing: judge by the `dynamics_epoch_N.jsonl` of a reward model trained elsewhere, or of two
    #[arg(
        long,
        value_name = "FOLDER[,FOLDER_B]",
        value_delimiter = ',',
        help_heading = "Models"
    )]
    dynamics: Vec<String>,

    /// Column whose values are the `guid`s of those files; default: they are pair ids or row numbers from 0
    #[arg(long, value_name = "COLUMN", help_heading = "Models")]
    dynamics_ids: Option<String>,

    /// File with the `guid`s of pairs whose labels were swapped on purpose before that training, one in a line
    #[arg(
        long,
        value_name = "FILE",
        requires = "dynamics",
        help_heading = "Models"
    )]
    planted: Option<String>,

    /// Longest text in tokens; default: 192
    #[arg(long, value_name = "TOKENS", help_heading = "Models")]
    max_length_tokens: Option<usize>,

    /// Tokens that a response is sure of; default: 114
    #[arg(long, value_name = "TOKENS", help_heading = "Models")]
    response_tokens: Option<usize>,

    /// What trains in the second pass: head, last:K (the encoder's last K layers), all, or lora:R; default: head
    #[arg(long, value_name = "WHAT", help_heading = "Training")]
    train: Option<Train>,

    /// Epochs of the second pass
    #[arg(long, help_heading = "Training")]
    epochs: Option<usize>,

    /// What ranks the labels; `prefclean compare` shows what each does on your data; default: gaussian-process,
    /// beside two models that crm trains
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    method: Option<String>,

    /// Order of the pairs in an epoch
    #[arg(long, value_enum, help_heading = "Training")]
    curriculum: Option<CurriculumArg>,

    #[command(flatten)]
    machine: MachineArgs,

    /// Start afresh instead of going on from the run directory
    #[arg(long, help_heading = "Runtime")]
    no_resume: bool,
}

/// What `--fail-on` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// The models cannot tell wrong labels from right ones
    CannotTell,
    /// Pairs are tagged incorrect
    Incorrect,
    /// Rows cannot be read as pairs
    Unusable,
}

/// [`Curriculum`] as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CurriculumArg {
    /// Shuffled; dropped per batch
    None,
    /// Easy to hard; dropped per batch (cancels the filter: for comparison)
    GlobalSort,
    /// Growing stages; dropped over the stage
    Staged,
}

impl RunArgs {
    /// Run file, then flags, checked.
    fn config(&self) -> anyhow::Result<RunConfig> {
        let mut config = RunConfig::load(&self.pipeline)?;
        let set = |target: &mut String, value: &Option<String>| {
            if let Some(value) = value {
                target.clone_from(value);
            }
        };
        set(&mut config.data.columns, &self.columns);
        set(&mut config.data.source_column, &self.source_column);
        set(&mut config.data.cap_column, &self.max_remove_per);
        set(&mut config.cross_fit.by, &self.cross_fit_by);
        for model in [&mut config.model_a, &mut config.model_b] {
            set(&mut model.backbone, &self.backbone);
            set(&mut model.head, &self.head);
        }
        set(&mut config.model_b.backbone, &self.backbone_b);
        match &self.artifacts[..] {
            [] => {}
            [one] => {
                config.model_a.artifacts.clone_from(one);
                config.model_b.artifacts.clone_from(one);
            }
            [a, b] => {
                config.model_a.artifacts.clone_from(a);
                config.model_b.artifacts.clone_from(b);
            }
            more => anyhow::bail!(
                "`--artifacts` names {} folders: expected one, or one for each model",
                more.len()
            ),
        }
        config.tags.basis = self.basis.unwrap_or(config.tags.basis);
        config.tags.fdr = self.fdr.unwrap_or(config.tags.fdr);
        config.tags.max_remove = self.max_remove.unwrap_or(config.tags.max_remove);
        let actions = &mut config.actions;
        actions.incorrect = self.on_incorrect.unwrap_or(actions.incorrect);
        actions.ambiguous = self.on_ambiguous.unwrap_or(actions.ambiguous);
        actions.flip_at_least = self.flip_at_least.unwrap_or(actions.flip_at_least);
        if !self.dynamics.is_empty() {
            config.trajectories.folders.clone_from(&self.dynamics);
        }
        set(&mut config.trajectories.ids, &self.dynamics_ids);
        set(&mut config.trajectories.planted, &self.planted);
        self.judges.set(&mut config.judges);
        config.seed = self.seed.unwrap_or(config.seed);
        let tokens = &mut config.tokens;
        tokens.max_length_tokens = self.max_length_tokens.unwrap_or(tokens.max_length_tokens);
        tokens.response_tokens = self.response_tokens.unwrap_or(tokens.response_tokens);
        if let Some(train) = &self.train {
            config.fine_tuning.train.clone_from(train);
        }
        if let Some(epochs) = self.epochs {
            if config.trains_encoders() {
                config.fine_tuning.epochs = epochs;
            } else {
                config.second_pass.epochs = epochs;
            }
        }
        if let Some(method) = &self.method {
            config.rank_by(method)?;
        }
        if let Some(curriculum) = self.curriculum {
            config.second_pass.curriculum = match curriculum {
                CurriculumArg::None => Curriculum::None,
                CurriculumArg::GlobalSort => Curriculum::GlobalSort,
                CurriculumArg::Staged => Curriculum::Staged,
            };
        }
        config.validate()?;
        Ok(config)
    }

    /// Where the dataset is cut into files, if the output is a folder.
    fn cut(&self) -> Option<ShardCut> {
        if let Some(n) = self.shards {
            return Some(ShardCut::Count(n));
        }
        if let Some(bytes) = self.max_shard_size {
            return Some(ShardCut::Bytes(bytes));
        }
        let output = self.output.as_ref()?;
        let names_folder = output.as_os_str().to_string_lossy().ends_with('/') || output.is_dir();
        names_folder.then_some(ShardCut::Bytes(SHARD_BYTES))
    }

    fn request(&self) -> anyhow::Result<RunRequest> {
        Ok(RunRequest {
            inputs: self.inputs.clone(),
            output: self.output.clone(),
            shards: self.cut(),
            run_dir: self.run_dir.clone(),
            config: self.config()?,
            machine: self.machine.machine(),
            extra_columns: !self.no_extra_columns,
            resume: !self.no_resume,
            keep_models: self.keep_models,
            write_dynamics: self.write_dynamics,
        })
    }
}

/// Files of a dataset folder are at most this large, as in the hub's own tools.
const SHARD_BYTES: u64 = 500_000_000;

/// A size in bytes, as `500MB`, `1GiB` or `4096`.
fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err("expected a size such as 500MB or 1GiB".to_owned()),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "expected a size such as 500MB or 1GiB".to_owned())?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a size is not negative, and too large a one is as good as none"
    )]
    let bytes = (number * unit as f64) as u64;
    if bytes == 0 {
        return Err("a file has at least one byte".to_owned());
    }
    Ok(bytes)
}

/// Runs the command.
pub(super) fn run(args: &RunArgs) -> anyhow::Result<Outcome> {
    if args.show_config {
        print(&args.config()?.to_toml())?;
        return Ok(Outcome::Done);
    }
    let request = args.request()?;
    if args.dry_run {
        print(&dry_run(&pipeline::estimate(&request)?))?;
        return Ok(Outcome::Done);
    }
    if let Some(pair) = &args.explain {
        // the first argument may be the folder of a finished run
        let named = request.inputs.first().map(PathBuf::from);
        let run_dir = named
            .filter(|path| path.join("manifest.json").exists())
            .unwrap_or_else(|| request.run_dir());
        print(&pipeline::explain(&run_dir, pair)?)?;
        return Ok(Outcome::Done);
    }
    let progress = TerminalProgress::new(args.quiet);
    let finished = pipeline::run(&request, &progress)?;
    show(&finished.report, args.json, args.quiet)?;
    Ok(judge(&finished.report, &args.fail_on))
}

/// Prints a report as a table or as JSON.
pub(super) fn show(report: &Report, json: bool, quiet: bool) -> anyhow::Result<()> {
    if json {
        print(&(serde_json::to_string_pretty(report)? + "\n"))?;
    } else if !quiet {
        print(&report::summary(report, super::table_style()))?;
    }
    Ok(())
}

fn judge(report: &Report, fail_on: &[FailOn]) -> Outcome {
    let found = fail_on.iter().any(|finding| match finding {
        FailOn::CannotTell => report.verdict.kind == VerdictKind::CannotTell,
        FailOn::Incorrect => report.counts.incorrect > 0,
        FailOn::Unusable => report.counts.unusable > 0,
    });
    if found {
        Outcome::Findings
    } else {
        Outcome::Done
    }
}

/// An estimate in words.
fn dry_run(estimate: &pipeline::Estimate) -> String {
    let megabytes = |bytes: u64| bytes >> 20;
    format!(
        "would read {} rows as {}\nwould write {}\ntime: at most about {:.0} s, if no text is in the cache\n\
         memory: about {} MB; features on disk: at most {} MB\n",
        estimate.rows,
        estimate.shape,
        estimate.run_dir.display(),
        estimate.seconds_at_most,
        megabytes(estimate.memory_bytes),
        megabytes(estimate.disk_bytes),
    )
}
