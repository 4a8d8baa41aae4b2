//! What columns of the data say of rows and pairs: values, sources and groups, references, and what noise
//! depends on.

use std::collections::{BTreeSet, HashMap};

use arrow::array::Array;

use super::PipelineError;
use super::config::DataConfig;
use super::ingest::Ingested;
use super::workbench::Workbench;
use crate::noise::{Facts, Known, NoiseModel, margin_of};
use crate::pairs::PairSource;
use crate::tags::evaluate::Reference;

/// A column's distinct values, and which one each row, or each pair, has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Values {
    /// In order of appearance in the rows.
    pub(super) names: Vec<String>,
    codes: Vec<Option<u32>>,
}

impl Values {
    /// Those of the rows; without a column, none.
    ///
    /// # Errors
    /// When there is no such column, or it holds neither text nor numbers.
    pub(super) fn of_rows(
        source: &PairSource,
        column: Option<&str>,
    ) -> Result<Self, PipelineError> {
        let mut read = Self::default();
        let Some(column) = column else {
            return Ok(read);
        };
        let mut known: HashMap<String, u32> = HashMap::new();
        for batch in source.batches_of([column])? {
            let batch = batch?;
            let Some(values) = batch.text_column(column) else {
                return Err(PipelineError::Config(format!(
                    "column `{column}` holds no text or numbers to group by"
                )));
            };
            for i in 0..values.len() {
                if values.is_null(i) {
                    read.codes.push(None);
                    continue;
                }
                let value = values.value(i);
                let code = known.get(value).copied().unwrap_or_else(|| {
                    let code =
                        u32::try_from(read.names.len()).expect("groups are counted in 32 bits");
                    read.names.push(value.to_owned());
                    known.insert(value.to_owned(), code);
                    code
                });
                read.codes.push(Some(code));
            }
        }
        Ok(read)
    }

    /// Those of the pairs that are trained on.
    ///
    /// # Errors
    /// As [`of_rows`](Self::of_rows).
    pub(super) fn of_pairs(
        source: &PairSource,
        bench: &Workbench<'_>,
        column: &str,
    ) -> Result<Self, PipelineError> {
        let Self { names, codes } = Self::of_rows(source, Some(column))?;
        let rows = bench.ingested.rows.iter().zip(codes);
        let of_pair = rows.filter_map(|(row, code)| row.trained().map(|_| code));
        Ok(Self {
            names,
            codes: of_pair.collect(),
        })
    }

    /// Position in `names` of what a row or pair has.
    pub(super) fn code(&self, at: usize) -> Option<u32> {
        self.codes.get(at).copied().flatten()
    }

    /// What a row or pair has.
    pub(super) fn at(&self, at: usize) -> Option<&str> {
        let code = self.code(at)?;
        Some(&self.names[code as usize])
    }

    /// Of all rows or pairs in turn.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.codes.len()).map(|at| self.at(at))
    }

    /// The values that a row or pair has.
    pub(super) fn distinct(&self) -> BTreeSet<&str> {
        self.iter().flatten().collect()
    }
}

/// What a row belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RowGroups {
    pub(super) sources: Values,
    /// Groups within which the share of removed pairs is limited.
    pub(super) caps: Values,
}

impl RowGroups {
    /// Reads the source column, where there is one, and that of `data.cap_column`.
    pub(super) fn read(
        source: &PairSource,
        source_column: Option<&str>,
        config: &DataConfig,
    ) -> Result<Self, PipelineError> {
        let cap_column = Some(config.cap_column.as_str()).filter(|name| !name.is_empty());
        Ok(Self {
            sources: Values::of_rows(source, source_column)?,
            caps: Values::of_rows(source, cap_column)?,
        })
    }
}

/// The source column: the user's, or `source` where there is one that is not part of the pair.
pub(super) fn source_column(
    source: &PairSource,
    config: &DataConfig,
) -> Result<Option<String>, PipelineError> {
    let named = &config.source_column;
    if !named.is_empty() {
        source.column(named)?;
        return Ok(Some(named.clone()));
    }
    Ok(source.column("source").is_ok().then(|| "source".to_owned()))
}

/// What a column says of each pair's label: `[n_pairs]`.
///
/// # Errors
/// When the column cannot be read, or says nothing of any pair.
pub(super) fn references(
    source: &PairSource,
    bench: &Workbench<'_>,
    column: &str,
) -> Result<Vec<Option<Reference>>, PipelineError> {
    let values = Values::of_pairs(source, bench, column)?;
    let references: Vec<Option<Reference>> = values
        .iter()
        .map(|value| value.and_then(Reference::parse))
        .collect();
    if references.iter().all(Option::is_none) {
        return Err(PipelineError::NoReference {
            column: column.to_owned(),
            found: shown(&values.distinct()),
        });
    }
    Ok(references)
}

/// The columns that noise depends on, by pair.
pub(super) struct NoiseColumns {
    value: Option<Values>,
    margins: Vec<Values>,
}

impl NoiseColumns {
    /// Reads what `noise` asks for.
    pub(super) fn read(
        noise: &NoiseModel,
        source: &PairSource,
        bench: &Workbench<'_>,
    ) -> Result<Self, PipelineError> {
        let column = |name: &str| Values::of_pairs(source, bench, name);
        let margins = noise.margin_columns().iter().map(|name| column(name));
        Ok(Self {
            value: noise.text_column().map(column).transpose()?,
            margins: margins.collect::<Result<_, _>>()?,
        })
    }

    /// What a draw has to know of some pairs, in their order.
    pub(super) fn facts(
        &self,
        ingested: &Ingested,
        pairs: impl IntoIterator<Item = usize>,
    ) -> Facts {
        let mut facts = Facts::default();
        for i in pairs {
            let number = |of: &Values| of.at(i)?.trim().parse::<f64>().ok();
            let known = Known {
                value: self.value.as_ref().and_then(|values| values.at(i)),
                margin: margin_of(&self.margins, number),
                stratum: None,
            };
            let pair = &ingested.pairs[i];
            let most = i64::from(i32::MAX);
            let longer = pair.length_difference.clamp(-most, most);
            let longer = i32::try_from(longer).expect("was just clamped");
            facts.push_measured(pair.id.content, longer, known);
        }
        facts
    }
}

/// A few values, for a message.
pub(super) fn shown(values: &BTreeSet<&str>) -> String {
    if values.is_empty() {
        return "nothing".to_owned();
    }
    let more = values.len().saturating_sub(8);
    let quoted = values.iter().take(8).map(|value| {
        let cut: String = value.chars().take(40).collect();
        format!("`{}`", cut.escape_debug())
    });
    let mut text = quoted.collect::<Vec<_>>().join(", ");
    if more > 0 {
        text = format!("{text} and {more} more");
    }
    text
}
