//! Rows of a batch as pairs.

use std::borrow::Cow;

use arrow::array::{Array, AsArray, LargeListArray, LargeStringArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields};
use arrow::error::ArrowError;

use super::id::Normalised;
use super::turns::{self, ASSISTANT, Turn};
use super::{ContentId, Orientation, PairId, RepeatCounter, Shape, ShapeKind, UnusableReason};

/// The texts of a pair as read: nothing trimmed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawPair {
    /// Everything before the last response.
    pub prompt: String,
    /// The preferred response.
    pub chosen: String,
    /// The other response.
    pub rejected: String,
}

impl RawPair {
    /// The same pair with its label swapped.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self {
            prompt: self.prompt,
            chosen: self.rejected,
            rejected: self.chosen,
        }
    }
}

/// The texts of a pair, borrowed from the batch wherever it holds them as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairText<'a> {
    /// Everything before the last response.
    pub prompt: Cow<'a, str>,
    /// The preferred response.
    pub chosen: Cow<'a, str>,
    /// The other response.
    pub rejected: Cow<'a, str>,
}

impl PairText<'_> {
    /// The same texts with a life of their own.
    #[must_use]
    pub fn into_raw(self) -> RawPair {
        RawPair {
            prompt: self.prompt.into_owned(),
            chosen: self.chosen.into_owned(),
            rejected: self.rejected.into_owned(),
        }
    }
}

/// A row of a batch: what it is about, and its pair if it is usable.
///
/// An unusable row has an identity too: by its texts if they can be split, else by all it holds.
#[derive(Debug, Clone)]
pub struct RowContent<'a> {
    /// Hash of the normalised texts, unchanged when the label is swapped.
    pub content: ContentId,
    /// Which side the label prefers.
    pub orientation: Orientation,
    /// The pair, or why there is none.
    pub pair: Result<PairText<'a>, UnusableReason>,
}

/// What a column can be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellKind {
    Text,
    Turns,
}

impl CellKind {
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Self::Text),
            DataType::Dictionary(_, values) => Self::of(values).filter(|&kind| kind == Self::Text),
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _) => match item.data_type() {
                DataType::Struct(fields) => turn_fields(fields).map(|_| Self::Turns),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Positions of the role and the text in the struct of a turn.
fn turn_fields(fields: &Fields) -> Option<(usize, usize)> {
    [("role", "content"), ("from", "value")]
        .into_iter()
        .find_map(|(role, content)| {
            let (role_at, role) = fields.find(role)?;
            let (content_at, content) = fields.find(content)?;
            let is_text = |f: &Field| CellKind::of(f.data_type()) == Some(CellKind::Text);
            (is_text(role) && is_text(content)).then_some((role_at, content_at))
        })
}

enum Cells {
    Text(LargeStringArray),
    Turns(Box<TurnCells>),
}

struct TurnCells {
    list: LargeListArray,
    role: LargeStringArray,
    content: LargeStringArray,
}

impl Cells {
    fn new(batch: &RecordBatch, column: &str) -> Result<Self, ArrowError> {
        let array = batch.column_by_name(column).ok_or_else(|| {
            ArrowError::SchemaError(format!("column `{column}` is not in the batch"))
        })?;
        let text = |array: &dyn Array| -> Result<LargeStringArray, ArrowError> {
            Ok(cast(array, &DataType::LargeUtf8)?.as_string().clone())
        };
        match CellKind::of(array.data_type()) {
            Some(CellKind::Text) => Ok(Self::Text(text(array)?)),
            Some(CellKind::Turns) => {
                let item = match array.data_type() {
                    DataType::List(item)
                    | DataType::LargeList(item)
                    | DataType::ListView(item)
                    | DataType::LargeListView(item)
                    | DataType::FixedSizeList(item, _) => item.clone(),
                    _ => unreachable!("`CellKind::Turns` is a list"),
                };
                let list: LargeListArray =
                    cast(array, &DataType::LargeList(item))?.as_list().clone();
                let turns = list.values().as_struct();
                let (role, content) =
                    turn_fields(turns.fields()).expect("`CellKind::Turns` has a role and a text");
                Ok(Self::Turns(Box::new(TurnCells {
                    role: text(turns.column(role))?,
                    content: text(turns.column(content))?,
                    list,
                })))
            }
            None => Err(ArrowError::SchemaError(format!(
                "column `{column}` holds neither text nor turns"
            ))),
        }
    }

    fn text(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Turns(_) => None,
        }
    }

    fn turns(&self, row: usize) -> Result<Vec<Turn<'_>>, UnusableReason> {
        let Self::Turns(cells) = self else {
            // a plain prompt before lists is one human message
            let text = self.text(row).ok_or(UnusableReason::NullField)?;
            return Ok(vec![Turn {
                role: "user",
                content: text,
            }]);
        };
        let TurnCells {
            list,
            role,
            content,
        } = &**cells;
        if list.is_null(row) {
            return Err(UnusableReason::NullField);
        }
        let offsets = list.value_offsets();
        let at = |row: usize| usize::try_from(offsets[row]).expect("offsets are not negative");
        (at(row)..at(row + 1))
            .map(|i| {
                if list.values().is_null(i) || role.is_null(i) || content.is_null(i) {
                    return Err(UnusableReason::NullField);
                }
                Ok(Turn {
                    role: role.value(i),
                    content: content.value(i),
                })
            })
            .collect()
    }

    /// All text of a cell, whatever its form.
    fn whole(&self, row: usize) -> Cow<'_, str> {
        match self {
            Self::Text(_) => self.text(row).unwrap_or_default().into(),
            Self::Turns(_) => turns::render(&self.turns(row).unwrap_or_default()).into(),
        }
    }
}

/// The pair columns of a batch, ready to be read row by row, from several threads at once.
pub struct BatchRows {
    kind: ShapeKind,
    prompt: Vec<Cells>,
    chosen: Cells,
    rejected: Cells,
    len: usize,
}

impl BatchRows {
    pub(super) fn new(shape: &Shape, batch: &RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            kind: shape.kind,
            prompt: shape
                .prompt
                .iter()
                .map(|column| Cells::new(batch, column))
                .collect::<Result<_, _>>()?,
            chosen: Cells::new(batch, &shape.chosen)?,
            rejected: Cells::new(batch, &shape.rejected)?,
            len: batch.num_rows(),
        })
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pair in a row of the batch, as texts of its own.
    ///
    /// # Errors
    /// The first [`UnusableReason`] that holds, if the row is no usable pair.
    ///
    /// # Panics
    /// If `row` is not below [`len`](Self::len).
    pub fn pair(&self, row: usize) -> Result<RawPair, UnusableReason> {
        self.content(row).pair.map(PairText::into_raw)
    }

    /// The identity of a row and its pair, borrowed where possible. Hashes the texts.
    ///
    /// # Panics
    /// If `row` is not below [`len`](Self::len).
    #[must_use]
    pub fn content(&self, row: usize) -> RowContent<'_> {
        match self.texts(row) {
            Ok(pair) => {
                let texts = Normalised::new(&pair.prompt, &pair.chosen, &pair.rejected);
                let (content, orientation) = texts.content_id();
                // white space is not part of the identity: sides that differ in it alone
                // could not be told apart
                let unusable = if texts.has_empty_response() {
                    Some(UnusableReason::EmptyResponse)
                } else if texts.has_identical_sides() {
                    Some(UnusableReason::IdenticalSides)
                } else {
                    None
                };
                RowContent {
                    content,
                    orientation,
                    pair: unusable.map_or(Ok(pair), Err),
                }
            }
            Err(reason) => {
                let whole = self.whole_text(row);
                let (content, orientation) =
                    ContentId::of(&whole.prompt, &whole.chosen, &whole.rejected);
                RowContent {
                    content,
                    orientation,
                    pair: Err(reason),
                }
            }
        }
    }

    /// The id of a row, repeats counted, and its pair; rows must come in order.
    ///
    /// # Panics
    /// If `row` is not below [`len`](Self::len).
    pub fn identify(
        &self,
        row: usize,
        repeats: &mut RepeatCounter,
    ) -> (PairId, Result<PairText<'_>, UnusableReason>) {
        let found = self.content(row);
        (repeats.next(found.content, found.orientation), found.pair)
    }

    /// Prompt and responses of a row wherever it can be split into them: they may be empty or
    /// the same.
    ///
    /// # Errors
    /// [`NullField`](UnusableReason::NullField), [`BrokenTurns`](UnusableReason::BrokenTurns) or
    /// [`PromptsDiffer`](UnusableReason::PromptsDiffer).
    ///
    /// # Panics
    /// If `row` is not below [`len`](Self::len).
    pub fn texts(&self, row: usize) -> Result<PairText<'_>, UnusableReason> {
        Ok(match self.kind {
            ShapeKind::Transcripts => {
                let (chosen, rejected) = self.sides(row)?;
                turns::split_transcripts(chosen, rejected)?
            }
            ShapeKind::Strings => {
                let (chosen, rejected) = self.sides(row)?;
                let prompt = self.prompt(row)?;
                turns::check_responses(&prompt, chosen, rejected)?;
                PairText {
                    prompt,
                    chosen: chosen.into(),
                    rejected: rejected.into(),
                }
            }
            ShapeKind::Lists => {
                let (chosen, rejected) = (self.chosen.turns(row)?, self.rejected.turns(row)?);
                let prompt = match self.prompt.first() {
                    Some(cells) => cells.turns(row)?,
                    None => Vec::new(),
                };
                let held = turns::holds_prompt(&chosen, &prompt)
                    && turns::holds_prompt(&rejected, &prompt);
                let context = if held {
                    String::new()
                } else {
                    turns::render(&prompt)
                };
                turns::split_turns(&context, &chosen, &rejected)?
            }
            ShapeKind::ImplicitLists => {
                turns::split_turns("", &self.chosen.turns(row)?, &self.rejected.turns(row)?)?
            }
        })
    }

    /// What a row holds, usable or not: whole columns as text, nulls as nothing.
    ///
    /// # Panics
    /// If `row` is not below [`len`](Self::len).
    #[must_use]
    pub fn whole(&self, row: usize) -> RawPair {
        self.whole_text(row).into_raw()
    }

    /// As [`whole`](Self::whole), borrowed where possible.
    ///
    /// # Panics
    /// If `row` is not below [`len`](Self::len).
    #[must_use]
    pub fn whole_text(&self, row: usize) -> PairText<'_> {
        let prompt = match &self.prompt[..] {
            [only] => only.whole(row),
            several => {
                let texts: Vec<_> = several.iter().map(|cells| cells.whole(row)).collect();
                texts.join("\n").into()
            }
        };
        PairText {
            prompt,
            chosen: self.chosen.whole(row),
            rejected: self.rejected.whole(row),
        }
    }

    fn sides(&self, row: usize) -> Result<(&str, &str), UnusableReason> {
        self.chosen
            .text(row)
            .zip(self.rejected.text(row))
            .ok_or(UnusableReason::NullField)
    }

    /// The explicit prompt; all columns but the first may be null or empty.
    fn prompt(&self, row: usize) -> Result<Cow<'_, str>, UnusableReason> {
        let mut prompt = Cow::Borrowed("");
        for (i, cells) in self.prompt.iter().enumerate() {
            let text = match cells {
                Cells::Text(_) if i > 0 => cells.text(row).unwrap_or_default(),
                Cells::Text(_) => cells.text(row).ok_or(UnusableReason::NullField)?,
                Cells::Turns(_) => {
                    prompt.to_mut().push_str(&turns::render(&cells.turns(row)?));
                    prompt += ASSISTANT;
                    continue;
                }
            };
            if i > 0 && !text.is_empty() {
                prompt += "\n";
            }
            // adding to nothing borrows
            prompt += text;
        }
        Ok(prompt)
    }
}
