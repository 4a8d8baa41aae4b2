//! The columns that noise depends on, in a batch of rows.

use arrow::array::{Array, Float64Array, LargeStringArray};

use super::{Known, NoiseModel};
use crate::pairs::{PairBatch, PairSource, PairsError};

/// What is known of the rows of a batch beside their texts.
#[derive(Debug, Clone)]
pub struct KnownColumns {
    value: Option<LargeStringArray>,
    margins: Vec<Float64Array>,
    stratum: Option<LargeStringArray>,
}

impl KnownColumns {
    /// Reads what `noise` needs, and the column `by` within whose values its rate is reached.
    ///
    /// # Errors
    /// [`PairsError::Column`] if a column is not in the batch or of another type.
    pub fn read(
        source: &PairSource,
        batch: &PairBatch,
        noise: &NoiseModel,
        by: Option<&str>,
    ) -> Result<Self, PairsError> {
        let wrong = |name: &str, expected| PairsError::Column {
            path: source.inputs()[batch.first.input].path.clone(),
            column: name.to_owned(),
            expected,
            found: source.schema().field_with_name(name).map_or_else(
                |_| "nothing".to_owned(),
                |field| field.data_type().to_string(),
            ),
        };
        let text = |name: &str| {
            let column = batch.text_column(name);
            column.ok_or_else(|| wrong(name, "text or numbers"))
        };
        let number = |name: &String| {
            let column = batch.number_column(name);
            column.ok_or_else(|| wrong(name, "numbers"))
        };
        Ok(Self {
            value: noise.text_column().map(text).transpose()?,
            margins: (noise.margin_columns().iter().map(number)).collect::<Result<_, _>>()?,
            stratum: by.map(text).transpose()?,
        })
    }

    /// What is known of a row.
    ///
    /// # Panics
    /// If `row` is not below the number of rows.
    #[must_use]
    pub fn at(&self, row: usize) -> Known<'_> {
        let number = |column: &Float64Array| column.is_valid(row).then(|| column.value(row));
        Known {
            value: text_at(self.value.as_ref(), row),
            margin: margin_of(&self.margins, number),
            stratum: text_at(self.stratum.as_ref(), row),
        }
    }
}

/// The margin that the columns of a noise model give: one holds it, of two it is the difference.
pub(crate) fn margin_of<T>(columns: &[T], number: impl Fn(&T) -> Option<f64>) -> Option<f64> {
    match columns {
        [margin] => number(margin),
        [chosen, rejected] => Some(number(chosen)? - number(rejected)?),
        _ => None,
    }
}

fn text_at(column: Option<&LargeStringArray>, row: usize) -> Option<&str> {
    column.and_then(|column| column.is_valid(row).then(|| column.value(row)))
}
