//! What only training knew: models, health, token policy, versions, timings.

use std::time::Instant;

use super::PipelineError;
use super::evidence::RowState;
use super::health::{accuracy, health};
use super::manifest::Facts;
use super::models::{Models, view_columns};
use super::run::Trained;
use super::workbench::Workbench;
use crate::filter::Curriculum;
use crate::graph::artifacts::make::Train;
use crate::methods::ROUNDS;
use crate::pairs::PairSource;
use crate::report;

#[expect(clippy::cast_precision_loss, reason = "rates for people")]
pub(super) fn facts(
    bench: &Workbench<'_>,
    models: &Models<'_>,
    trained: &Trained,
    source: &PairSource,
    clock: &Clock,
) -> Result<Facts, PipelineError> {
    let (method, ranking) = (
        bench.config.training_method()?,
        bench.config.ranking_method()?,
    );
    let Workbench {
        config,
        ingested,
        backbones,
        encoded,
        ..
    } = bench;
    let device = bench.devices[0];
    let pass = config.settings().deciding;
    let filter = &config.second_pass;
    let model = |which: usize| {
        let settings = config.models()[which];
        let backbone = &backbones[bench.backbone_of[which]];
        let width = view_columns(settings, models.features[which].width(), 0).len();
        let pools: Vec<String> = settings
            .pools
            .iter()
            .map(|pool| format!("{pool:?}").to_lowercase())
            .collect();
        let fit = trained.cross_fit.as_ref();
        report::ModelInfo {
            backbone: backbone.name.clone(),
            view: format!(
                "{:.0}% of the {} features, drawn by seed",
                100.0 * settings.feature_share,
                pools.join(" + ")
            ),
            head: match (models.given(which), &config.fine_tuning.train) {
                (Some(given), _) => format!(
                    "{}; in the second pass the artifacts `{}`",
                    settings.head,
                    given.folder.display()
                ),
                (None, Train::Head) => settings.head.clone(),
                (None, train) => format!("{}, trained with the encoder's {train}", settings.head),
            },
            features: u32::try_from(width).unwrap_or(u32::MAX),
            accuracy: fit.map(|fit| accuracy(&fit.margins[which])),
        }
    };
    let trained_pairs = ingested.pairs.len()
        * ROUNDS
        * (config.first_pass.epochs + method.epochs(&config.settings()));
    let mut versions = vec![
        report::Named {
            name: "prefclean".into(),
            value: env!("CARGO_PKG_VERSION").into(),
        },
        report::Named {
            name: "ONNX Runtime".into(),
            value: models.runtime.build_info().into(),
        },
    ];
    for backbone in backbones {
        versions.push(report::Named {
            name: backbone.name.clone(),
            value: format!(
                "weights, configuration and tokenizer {}",
                &backbone.digests.model[..16]
            ),
        });
    }
    for (which, name) in ["a", "b"].into_iter().enumerate() {
        if let Some(given) = models.given(which) {
            versions.push(report::Named {
                name: format!("artifacts of model {name}"),
                value: format!(
                    "`{}`: graphs, parameters and tokenizer {}",
                    given.folder.display(),
                    &given.digest[..16]
                ),
            });
        }
    }
    Ok(Facts {
        shape: source.shape().to_string(),
        unique_texts: ingested.texts[0].len() as u64,
        source_column: ingested.source_column.clone(),
        first_pass_noise: trained.first_noise.clone(),
        models: report::Models {
            a: model(0),
            b: model(1),
            health: health(
                &trained.rounds,
                &trained.plantings,
                trained.cross_fit.as_ref(),
                method.exchange(),
            ),
        },
        training: report::Training {
            method: format!("{}: {}", method.info().name, method.info().rule),
            ranking: format!("{}: {}", ranking.info().name, ranking.info().rule),
            curriculum: match filter.curriculum {
                Curriculum::None => "none",
                Curriculum::GlobalSort => "global-sort",
                Curriculum::Staged => "staged",
            }
            .into(),
            first_pass_epochs: u32::try_from(config.first_pass.epochs).unwrap_or(u32::MAX),
            epochs: u32::try_from(pass.epochs).unwrap_or(u32::MAX),
            steps: trained.steps,
            batch_pairs: u32::try_from(pass.batch_size_pairs).unwrap_or(u32::MAX),
            drop_rate: trained.rounds[0]
                .dynamics
                .drop_rates
                .iter()
                .copied()
                .fold(0.0, f64::max),
            pairs_per_second: (trained.seconds > 0.0)
                .then(|| trained_pairs as f64 / trained.seconds),
        },
        tokens: report::Tokens {
            policy: format!(
                "[CLS], the end of the prompt, [SEP], the beginning of the response, [SEP]: at most {} tokens, \
                 of which the response is sure of {}",
                config.tokens.max_length_tokens, config.tokens.response_tokens
            ),
            max_length_tokens: u32::try_from(config.tokens.max_length_tokens).unwrap_or(u32::MAX),
            texts: encoded.texts as u64,
            truncated_texts: ingested.cut.texts,
            truncated_pairs: ingested.cut.pairs,
            undecidable: ingested
                .rows
                .iter()
                .filter(|row| matches!(row.state, RowState::Undecidable(_)))
                .count() as u64,
        },
        versions,
        device: format!("{device} ({})", device.provider()),
        timings: clock.laps.clone(),
    })
}

/// Seconds per stage.
pub(super) struct Clock {
    last: Instant,
    laps: Vec<report::Timing>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            last: Instant::now(),
            laps: Vec::new(),
        }
    }
}

impl Clock {
    /// Seconds per stage so far.
    pub(super) fn laps(&self) -> Vec<report::Timing> {
        self.laps.clone()
    }

    pub(super) fn lap(&mut self, stage: &str) {
        self.laps.push(report::Timing {
            stage: stage.to_owned(),
            seconds: self.last.elapsed().as_secs_f64(),
        });
        self.last = Instant::now();
    }
}
