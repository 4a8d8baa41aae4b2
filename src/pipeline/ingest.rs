//! Reads the inputs once: ids, reasons, lengths, and the texts' token ids.

use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::PipelineError;
use super::config::RunConfig;
use super::evidence::{RowEvidence, RowState};
use super::folds::FoldsBy;
use super::known::{RowGroups, Values, source_column};
use crate::pairs::{PairId, PairRow, PairSource, RawPair, UnusableReason};
use crate::progress::Progress;
use crate::reward::PairTexts;
use crate::tokens::{Encoded, Overlong, TextEncoder, Texts, TextsBuilder};

/// Rows tokenized at a time.
const CHUNK_ROWS: usize = 2048;

/// A dataset as numbers; its texts' tokens are in scratch files.
#[derive(Default)]
pub struct Ingested {
    /// Every row in reading order; trained rows point into `pairs`.
    pub rows: Vec<RowEvidence>,
    /// Pairs that can be trained on.
    pub pairs: Vec<IngestedPair>,
    /// Distinct texts under each tokenizer.
    pub texts: Vec<Arc<Texts>>,
    /// `ln(1 + characters)` of the response of each text under the first tokenizer, `[n_texts]`.
    pub log_lengths: Vec<f32>,
    /// Distinct values of the source column.
    pub sources: Vec<String>,
    /// Distinct values of the column that the cap holds for.
    pub cap_groups: Vec<String>,
    /// Name of the source column, where there is one.
    pub source_column: Option<String>,
    /// What the token policy cut.
    pub cut: Cut,
}

/// What the token policy cut, by the first backbone's tokenizer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// Distinct texts that lost tokens of the prompt or the response.
    pub texts: u64,
    /// Pairs with such a text.
    pub pairs: u64,
    /// Pairs with a cut response.
    pub response_pairs: u64,
}

/// A pair as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngestedPair {
    /// Its id.
    pub id: PairId,
    /// Chosen and rejected text for each model.
    pub texts: [PairTexts; 2],
    /// The same for each model as it is in the second pass.
    pub deciding_texts: [PairTexts; 2],
    /// Characters of the chosen response less those of the rejected one.
    pub length_difference: i64,
    /// Position in [`Ingested::sources`].
    pub source: Option<u32>,
    /// Position in [`Ingested::cap_groups`].
    pub cap_group: Option<u32>,
    /// Key of the group that is never on both sides of cross-fitting; `None`: only its content.
    pub fold_group: Option<u64>,
}

/// Reads all rows.
///
/// # Shapes
/// `encoders`: distinct ones, that of the first backbone first; `readers`: which ones models `a` and `b`
/// use, and then in the second pass.
///
/// # Errors
/// When an input cannot be read, or a text is too long and the policy says `error`.
pub fn ingest(
    source: &PairSource,
    encoders: &[TextEncoder],
    readers: [[usize; 2]; 2],
    config: &RunConfig,
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<Ingested, PipelineError> {
    let source_column = source_column(source, &config.data)?;
    let of_rows = RowGroups::read(source, source_column.as_deref(), &config.data)?;
    let folds_by = FoldsBy::new(&config.cross_fit.by);
    if let Some(column) = folds_by.column() {
        source.column(column)?;
    }
    let fold_values = Values::of_rows(source, folds_by.column())?;

    let mut builders = Vec::new();
    for _ in encoders {
        builders.push(TextsBuilder::new(scratch)?);
    }
    let mut ingested = Ingested {
        source_column,
        ..Ingested::default()
    };
    progress.begin("reading pairs", Some(source.rows()), "rows");
    let mut rows = source.pairs()?;
    loop {
        let chunk: Vec<PairRow> = rows.by_ref().take(CHUNK_ROWS).collect::<Result<_, _>>()?;
        if chunk.is_empty() {
            break;
        }
        let encoded: Vec<Option<Vec<[Encoded; 2]>>> = chunk
            .par_iter()
            .map(|row| {
                row.pair
                    .as_ref()
                    .ok()
                    .map(|pair| encode(pair, encoders))
                    .transpose()
            })
            .collect::<Result<_, _>>()?;
        for (row, sides) in chunk.iter().zip(encoded) {
            let state = match (&row.pair, sides) {
                (Ok(pair), Some(sides)) => {
                    let index = usize::try_from(row.at.index).expect("rows fit the address space");
                    let groups = Groups {
                        source: of_rows.sources.code(index),
                        cap: of_rows.caps.code(index),
                        fold: folds_by.group(pair, fold_values.code(index)),
                    };
                    add_pair(
                        &mut ingested,
                        &mut builders,
                        readers,
                        config,
                        row,
                        pair,
                        &sides,
                        groups,
                    )?
                }
                (Err(reason), _) => RowState::Unusable(row.id, *reason),
                (Ok(_), None) => unreachable!("every readable pair was tokenized"),
            };
            ingested.rows.push(RowEvidence {
                input: u32::try_from(row.at.input).expect("inputs are counted in 32 bits"),
                row: row.at.row,
                state,
            });
        }
        progress.advance(chunk.len() as u64);
    }
    progress.end();
    for builder in builders {
        ingested.texts.push(Arc::new(builder.finish()?));
    }
    ingested.sources = of_rows.sources.names;
    ingested.cap_groups = of_rows.caps.names;
    Ok(ingested)
}

fn encode(pair: &RawPair, encoders: &[TextEncoder]) -> Result<Vec<[Encoded; 2]>, PipelineError> {
    let sides = encoders
        .iter()
        .map(|encoder| encoder.encode_pair(&pair.prompt, &pair.chosen, &pair.rejected));
    Ok(sides.collect::<Result<_, _>>()?)
}

/// What a row belongs to.
#[derive(Debug, Clone, Copy)]
struct Groups {
    source: Option<u32>,
    cap: Option<u32>,
    fold: Option<u64>,
}

#[expect(
    clippy::too_many_arguments,
    reason = "one row's parts, taken apart once"
)]
fn add_pair(
    ingested: &mut Ingested,
    builders: &mut [TextsBuilder],
    readers: [[usize; 2]; 2],
    config: &RunConfig,
    row: &PairRow,
    pair: &RawPair,
    sides: &[[Encoded; 2]],
    groups: Groups,
) -> Result<RowState, PipelineError> {
    let cut = |side: &Encoded| side.prompt_cut || side.response_cut;
    if sides[0].iter().any(cut) {
        match config.tokens.overlong {
            Overlong::TruncateLeft => {
                ingested.cut.pairs += 1;
                ingested.cut.response_pairs +=
                    u64::from(sides[0].iter().any(|side| side.response_cut));
            }
            Overlong::Drop => return Ok(RowState::Unusable(row.id, UnusableReason::TooLong)),
            Overlong::Error => {
                return Err(PipelineError::TooLong {
                    pair: row.id,
                    row: row.at.row,
                    limit: config.tokens.max_length_tokens,
                });
            }
        }
    }
    let mut by_reader: Vec<PairTexts> = Vec::with_capacity(sides.len());
    for (builder, [chosen, rejected]) in builders.iter_mut().zip(sides) {
        let mut add = |side: &Encoded, response: &str| {
            let known = builder.len();
            let text = builder.add(side)?;
            if by_reader.is_empty() && builder.len() > known {
                ingested.cut.texts += u64::from(cut(side));
                ingested.log_lengths.push(log_length(response));
            }
            Ok::<_, PipelineError>(text)
        };
        let texts = [add(chosen, &pair.chosen)?, add(rejected, &pair.rejected)?];
        by_reader.push(texts);
    }
    let [texts, deciding_texts] = readers.map(|of| of.map(|reader| by_reader[reader]));
    if deciding_texts
        .iter()
        .all(|[chosen, rejected]| chosen == rejected)
    {
        return Ok(RowState::Undecidable(row.id));
    }
    let characters =
        |text: &str| i64::try_from(text.trim().chars().count()).expect("a text fits in memory");
    let position = u32::try_from(ingested.pairs.len()).expect("pairs are counted in 32 bits");
    ingested.pairs.push(IngestedPair {
        id: row.id,
        texts,
        deciding_texts,
        length_difference: characters(&pair.chosen) - characters(&pair.rejected),
        source: groups.source,
        cap_group: groups.cap,
        fold_group: groups.fold,
    });
    Ok(RowState::Trained(position))
}

/// `ln(1 + characters)` of a response, white space around it left out.
#[expect(clippy::cast_precision_loss, reason = "a text is short")]
fn log_length(response: &str) -> f32 {
    (response.trim().chars().count() as f32).ln_1p()
}
