//! How a file holds its pairs: detected from its columns and first rows.

use std::fmt;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};

use super::columns::{Columns, PROMPT_NAMES, RESPONSE_NAMES, closest_first};
use super::rows::{BatchRows, CellKind};
use super::turns::ASSISTANT;
use super::{PairsError, Result};

/// The known ways of holding pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShapeKind {
    /// Two whole transcripts with `\n\nHuman:` and `\n\nAssistant:`.
    Transcripts,
    /// A prompt and two responses as strings.
    Strings,
    /// Lists of `{role, content}` behind an explicit prompt.
    Lists,
    /// Lists of `{role, content}`; what they share is the prompt.
    ImplicitLists,
}

/// A [`ShapeKind`] with the columns it was found in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// How the columns are read.
    pub kind: ShapeKind,
    /// Columns of the prompt, joined by a line break; empty where it is implicit.
    pub prompt: Vec<String>,
    /// Column of the preferred side.
    pub chosen: String,
    /// Column of the other side.
    pub rejected: String,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ShapeKind::Transcripts => "HH transcripts",
            ShapeKind::Strings => "prompt and strings",
            ShapeKind::Lists => "prompt and lists of turns",
            ShapeKind::ImplicitLists => "lists of turns, shared turns are the prompt",
        };
        write!(f, "{kind} (")?;
        if !self.prompt.is_empty() {
            write!(f, "`{}`, ", self.prompt.join("` + `"))?;
        }
        write!(f, "`{}`, `{}`)", self.chosen, self.rejected)
    }
}

impl Shape {
    /// All columns that are read.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.prompt
            .iter()
            .chain([&self.chosen, &self.rejected])
            .map(String::as_str)
    }

    /// Prepares the rows of a batch that has this shape's columns.
    ///
    /// # Errors
    /// If the columns are missing or of another type.
    pub fn rows(&self, batch: &RecordBatch) -> Result<BatchRows, arrow::error::ArrowError> {
        BatchRows::new(self, batch)
    }
}

/// What detection looks at.
pub(super) struct Detector<'a> {
    pub path: &'a Path,
    pub schema: &'a Schema,
    pub columns: &'a Columns,
}

impl Detector<'_> {
    /// Finds the shape; `first` gives the first rows where the schema does not tell.
    pub(super) fn detect(&self, first: impl FnOnce() -> Result<RecordBatch>) -> Result<Shape> {
        let (chosen, rejected) = self.responses()?;
        let kinds = (self.kind(&chosen)?, self.kind(&rejected)?);
        let mut shape = Shape {
            kind: ShapeKind::Strings,
            prompt: self.prompt()?,
            chosen,
            rejected,
        };
        match kinds {
            (CellKind::Text, CellKind::Text) => {
                // an explicit `--columns prompt=` needs no look at the rows
                let named = self.columns.prompt.as_ref().is_some_and(|p| !p.is_empty());
                if !named {
                    let rows = first()?;
                    if are_transcripts(&shape, &rows) {
                        shape.kind = ShapeKind::Transcripts;
                        shape.prompt.clear();
                    } else if shape.prompt.is_empty() {
                        return Err(self.no_shape(format!(
                            "`{}` and `{}` are neither transcripts with `Human:` and `Assistant:` nor is there a prompt column such as `prompt` or `instruction`",
                            shape.chosen, shape.rejected
                        )));
                    }
                }
            }
            (CellKind::Turns, CellKind::Turns) => {
                // joining several prompts makes sense for strings only
                shape.prompt.truncate(1);
                shape.kind = if shape.prompt.is_empty() {
                    ShapeKind::ImplicitLists
                } else {
                    ShapeKind::Lists
                };
            }
            _ => {
                return Err(self.no_shape(format!(
                    "one of `{}` and `{}` is text, the other a list",
                    shape.chosen, shape.rejected
                )));
            }
        }
        Ok(shape)
    }

    fn responses(&self) -> Result<(String, String)> {
        let (chosen, rejected) = (&self.columns.chosen, &self.columns.rejected);
        for column in [chosen, rejected].into_iter().flatten() {
            self.require(column)?;
        }
        if let (Some(chosen), Some(rejected)) = (chosen, rejected) {
            return Ok((chosen.clone(), rejected.clone()));
        }
        let found = RESPONSE_NAMES.iter().find_map(|(good, bad)| {
            let chosen = chosen.clone().or_else(|| self.find(good))?;
            let rejected = rejected.clone().or_else(|| self.find(bad))?;
            (chosen != rejected).then_some((chosen, rejected))
        });
        found.ok_or_else(|| {
            self.no_shape(
                "expected columns `chosen` and `rejected`, or one of the known variants of these names"
                    .into(),
            )
        })
    }

    fn prompt(&self) -> Result<Vec<String>> {
        if let Some(named) = &self.columns.prompt {
            for column in named {
                self.require(column)?;
                self.kind(column)?;
            }
            return Ok(named.clone());
        }
        let usable = |name: &&str| self.find(name).filter(|column| self.kind(column).is_ok());
        let Some(prompt) = PROMPT_NAMES.iter().find_map(usable) else {
            return Ok(Vec::new());
        };
        // Alpaca's two-part prompt
        let mut columns = vec![prompt];
        if columns[0].eq_ignore_ascii_case("instruction") {
            columns.extend(usable(&"input").filter(|c| matches!(self.kind(c), Ok(CellKind::Text))));
        }
        Ok(columns)
    }

    fn find(&self, name: &str) -> Option<String> {
        let fields = self.schema.fields();
        let exact = fields.iter().find(|f| f.name() == name);
        exact
            .or_else(|| fields.iter().find(|f| f.name().eq_ignore_ascii_case(name)))
            .map(|field| field.name().clone())
    }

    fn require(&self, column: &str) -> Result<()> {
        if self.schema.column_with_name(column).is_some() {
            return Ok(());
        }
        Err(PairsError::NoColumn {
            path: self.path.to_owned(),
            column: column.to_owned(),
            columns: closest_first(
                column,
                self.schema.fields().iter().map(|f| f.name().as_str()),
            ),
        })
    }

    fn kind(&self, column: &str) -> Result<CellKind> {
        let found = self
            .schema
            .field_with_name(column)
            .map_or(&DataType::Null, |field| field.data_type());
        CellKind::of(found).ok_or_else(|| PairsError::Column {
            path: self.path.to_owned(),
            column: column.to_owned(),
            expected: "text, or a list of `{role, content}`",
            found: found.to_string(),
        })
    }

    fn no_shape(&self, problem: String) -> PairsError {
        PairsError::NoShape {
            path: self.path.to_owned(),
            problem,
            columns: describe_columns(self.schema),
        }
    }
}

/// Columns with their types, the first few.
fn describe_columns(schema: &Schema) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<String> = schema
        .fields()
        .iter()
        .take(SHOWN)
        .map(|field| format!("`{}` ({})", field.name(), field.data_type()))
        .collect();
    if schema.fields().len() > SHOWN {
        names.push(format!("and {} more", schema.fields().len() - SHOWN));
    }
    names.join(", ")
}

/// Whether most of the first rows that hold something are transcripts.
fn are_transcripts(shape: &Shape, batch: &RecordBatch) -> bool {
    let plain = Shape {
        kind: ShapeKind::Strings,
        prompt: Vec::new(),
        ..shape.clone()
    };
    let Ok(rows) = plain.rows(batch) else {
        return false;
    };
    let (mut held, mut transcripts) = (0, 0);
    for row in 0..rows.len() {
        let pair = rows.whole(row);
        if pair.chosen.is_empty() && pair.rejected.is_empty() {
            continue;
        }
        held += 1;
        let is_one =
            |text: &str| text.contains(ASSISTANT) && text.trim_start().starts_with("Human:");
        transcripts += usize::from(is_one(&pair.chosen) || is_one(&pair.rejected));
    }
    transcripts * 2 > held
}
