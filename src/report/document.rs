//! A report as data: headline, figures, sections of paragraphs, tables and plots.
//!
//! Commands whose report is a plain sequence (audit, diff) build a [`Document`]; its faces are
//! HTML, Markdown and the terminal, in the look of a run's report. Texts stand here as they are
//! in the data: each face escapes them.

/// How a note or a cell is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tone {
    /// As any text.
    #[default]
    Plain,
    /// Nothing to worry about.
    Good,
    /// Worth a look.
    Warning,
    /// Wrong.
    Error,
}

/// A whole report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Document {
    /// Heading: what was looked at.
    pub title: String,
    /// What kind of report it is, in two or three words, above the title.
    pub kind: String,
    /// The answer in a sentence or two, coloured by `tone`.
    pub headline: String,
    /// Colour of the headline.
    pub tone: Tone,
    /// Numbers beside the headline.
    pub tiles: Vec<Tile>,
    /// The body, in order.
    pub sections: Vec<Section>,
    /// Who made it and when, in the last line.
    pub made: String,
}

/// A number with its name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tile {
    /// What it is.
    pub name: String,
    /// The number, as shown.
    pub value: String,
    /// A remark under it.
    pub note: String,
    /// Its colour.
    pub tone: Tone,
}

/// A part with a heading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Whether it is folded at first (HTML, Markdown) and left out on a terminal.
    pub folded: bool,
    /// What is in it, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// A coloured note; `code` names a check or a column.
    Note {
        /// Its colour.
        tone: Tone,
        /// A name in literal type before the text, may be empty.
        code: String,
        /// The note.
        text: String,
    },
    /// A table.
    Table(Table),
    /// A plot, by its file name without extension; drawn by the caller's `Figures`.
    Plot {
        /// File name without extension, under `plots/`.
        name: String,
        /// What it shows and how to read it.
        caption: String,
        /// Whether it takes the width of the page.
        wide: bool,
    },
    /// A folded part inside a section (left out on a terminal).
    Folded {
        /// Its heading.
        title: String,
        /// What is in it.
        blocks: Vec<Block>,
    },
}

/// A table with a header.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Columns.
    pub columns: Vec<Column>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<Cell>>,
}

/// A column of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// Whether it holds numbers, which stand to the right.
    pub number: bool,
}

/// A cell of a table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// What it shows.
    pub text: String,
    /// Whether it is a name from the data or a code, in literal type.
    pub code: bool,
    /// Its colour.
    pub tone: Tone,
}
