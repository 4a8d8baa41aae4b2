//! What changed between two versions, as a [`Document`].

mod drift;
mod examples;

use self::drift::{drift_section, sources_section};
use self::examples::examples_section;
use super::document::{Block, Cell, Column, Document, Note, Section, Table, Tile, Tone};
use super::text::{count, counted, percent, put, share};
use crate::diff::{CellExample, ColumnChange, Diff, Excerpt, Reason};

/// The report of a diff; `reasons` say why it fails, where it does.
#[must_use]
pub fn document(diff: &Diff, reasons: &[Reason]) -> Document {
    let counts = &diff.counts;
    let changes = counts.changes();
    let schema = &diff.columns;
    let same_columns =
        schema.added.is_empty() && schema.removed.is_empty() && schema.retyped.is_empty();
    let mut sections = vec![changes_section(diff)];
    if !reasons.is_empty() {
        sections.insert(0, gate_section(reasons));
    }
    if !(same_columns && schema.changed.is_empty()) {
        sections.push(columns_section(diff));
    }
    sections.push(drift_section(diff));
    if !diff.drift.sources.is_empty() {
        sections.push(sources_section(diff));
    }
    if !diff.examples.is_empty() {
        sections.push(examples_section(&diff.examples));
    }
    sections.push(how_section(diff));
    Document {
        title: format!("{} → {}", diff.old.name, diff.new.name),
        kind: "prefclean diff".to_owned(),
        headline: headline(diff, changes, same_columns),
        outcome: outcome(diff),
        tone: if !reasons.is_empty() {
            Tone::Error
        } else if changes == 0 && same_columns {
            Tone::Good
        } else if counts.flipped + counts.edited_and_flipped + counts.unusable_appeared > 0 {
            Tone::Warning
        } else {
            Tone::Plain
        },
        tiles: tiles(diff),
        sections,
        made: format!("Made by prefclean {}.", diff.made_by),
    }
}

fn headline(diff: &Diff, changes: u64, same_columns: bool) -> String {
    let counts = &diff.counts;
    if changes == 0 && same_columns {
        return format!(
            "No changes: all {} are in both versions.",
            counted(diff.old.rows, "row")
        );
    }
    let parts: Vec<String> = [
        (counts.flipped, "label flipped", "labels flipped"),
        (counts.edited, "pair edited", "pairs edited"),
        (
            counts.removed + counts.repeats_removed,
            "row removed",
            "rows removed",
        ),
        (
            counts.added + counts.repeats_added,
            "row added",
            "rows added",
        ),
        (
            counts.columns_changed,
            "row with other values",
            "rows with other values",
        ),
        (
            counts.unusable_appeared,
            "unusable row appeared",
            "unusable rows appeared",
        ),
        (
            counts.unusable_vanished,
            "unusable row vanished",
            "unusable rows vanished",
        ),
        (
            diff.columns.added.len() as u64,
            "column added",
            "columns added",
        ),
        (
            diff.columns.removed.len() as u64,
            "column removed",
            "columns removed",
        ),
        (
            diff.columns.retyped.len() as u64,
            "column retyped",
            "columns retyped",
        ),
    ]
    .into_iter()
    .filter(|(n, ..)| *n > 0)
    .map(|(n, one, many)| format!("{} {}", count(n), if n == 1 { one } else { many }))
    .collect();
    if parts.is_empty() {
        return "Other values in unusable rows only.".to_owned();
    }
    format!("{}.", parts.join(", "))
}

fn outcome(diff: &Diff) -> String {
    let counts = &diff.counts;
    let mut out = format!("{} unchanged.", counted(counts.unchanged, "pair"));
    if counts.moved > 0 {
        put!(
            out,
            " {} in another place, which is not counted as a change.",
            counted(counts.moved, "row")
        );
    }
    out
}

fn tiles(diff: &Diff) -> Vec<Tile> {
    let counts = &diff.counts;
    let old = diff.old.rows;
    let tile = |name: &str, n: u64, of: u64, tone: Tone| Tile {
        name: name.to_owned(),
        value: count(n),
        note: format!("{} of {}", percent(share(n, of)), counted(of, "row")),
        tone: if n == 0 { Tone::Plain } else { tone },
    };
    vec![
        Tile {
            name: "rows".to_owned(),
            value: format!("{} → {}", count(old), count(diff.new.rows)),
            note: format!(
                "usable pairs {} → {}",
                count(diff.old.usable),
                count(diff.new.usable)
            ),
            tone: Tone::Plain,
        },
        tile(
            "labels flipped",
            counts.flipped + counts.edited_and_flipped,
            old,
            Tone::Warning,
        ),
        tile("pairs edited", counts.edited, old, Tone::Plain),
        tile(
            "rows removed",
            counts.removed + counts.repeats_removed,
            old,
            Tone::Plain,
        ),
        tile(
            "rows added",
            counts.added + counts.repeats_added,
            diff.new.rows,
            Tone::Plain,
        ),
    ]
}

fn gate_section(reasons: &[Reason]) -> Section {
    Section {
        title: "Why this fails".to_owned(),
        detail: false,
        blocks: reasons
            .iter()
            .map(|reason| {
                Block::Note(Note {
                    tone: Tone::Error,
                    label: "fails".to_owned(),
                    code: reason.condition.to_string(),
                    text: format!("{} of {}.", count(reason.count), counted(reason.of, "row")),
                    ..Note::default()
                })
            })
            .collect(),
    }
}

fn changes_section(diff: &Diff) -> Section {
    let counts = &diff.counts;
    let (old, new) = (diff.old.rows, diff.new.rows);
    let mut rows = Vec::new();
    let mut row = |name: &str, n: u64, of: u64, note: String, always: bool| {
        if n > 0 || always {
            rows.push(vec![
                Cell::text(name),
                Cell::text(count(n)),
                Cell::text(percent(share(n, of))),
                Cell::text(note),
            ]);
        }
    };
    let none = String::new;
    row("unchanged", counts.unchanged, old, none(), true);
    row(
        "label flipped",
        counts.flipped,
        old,
        "texts are the same".to_owned(),
        true,
    );
    row("text edited", counts.edited, old, edits(diff), true);
    row("removed", counts.removed, old, none(), true);
    row(
        "added",
        counts.added,
        new,
        "share of the new version".to_owned(),
        true,
    );
    row(
        "repeats removed",
        counts.repeats_removed,
        old,
        "further rows of pairs that both versions have".to_owned(),
        false,
    );
    row(
        "repeats added",
        counts.repeats_added,
        new,
        "further rows of pairs that both versions have".to_owned(),
        false,
    );
    row(
        "other columns changed",
        counts.columns_changed,
        old,
        "texts and label are the same".to_owned(),
        true,
    );
    for reason in &diff.unusable {
        for (what, n, of) in [
            ("appeared", reason.appeared, new),
            ("vanished", reason.vanished, old),
        ] {
            row(
                &format!("unusable, {what}"),
                n,
                of,
                reason.reason.clone(),
                false,
            );
        }
    }
    row(
        "unusable in both",
        counts.unusable_unchanged,
        old,
        none(),
        false,
    );
    row(
        "unusable, other columns changed",
        counts.unusable_columns_changed,
        old,
        none(),
        false,
    );
    row(
        "moved",
        counts.moved,
        old,
        "row order only, not a change".to_owned(),
        false,
    );
    Section {
        title: "Rows".to_owned(),
        detail: false,
        blocks: vec![Block::Table(Table {
            columns: vec![
                Column::text("what became of them"),
                Column::number("rows"),
                Column::number("share"),
                Column::text(""),
            ],
            rows,
        })],
    }
}

fn edits(diff: &Diff) -> String {
    if diff.counts.edited == 0 {
        return String::new();
    }
    let edits = &diff.edits;
    let mut parts: Vec<String> = [
        ("prompt", edits.prompt),
        ("chosen", edits.chosen),
        ("rejected", edits.rejected),
    ]
    .into_iter()
    .filter(|(_, n)| *n > 0)
    .map(|(side, n)| format!("{side} {}", count(n)))
    .collect();
    if let Some(median) = edits.median_similarity {
        parts.push(format!("median similarity {median:.2}"));
    }
    if diff.counts.edited_and_flipped > 0 {
        parts.push(format!(
            "label flipped too {}",
            count(diff.counts.edited_and_flipped)
        ));
    }
    parts.join(", ")
}

fn columns_section(diff: &Diff) -> Section {
    let columns = &diff.columns;
    let mut blocks = Vec::new();
    let mut schema = Vec::new();
    for (what, list) in [("added", &columns.added), ("removed", &columns.removed)] {
        for column in list {
            schema.push(vec![
                Cell::code(&column.name),
                Cell::text(what),
                Cell::code(&column.data_type),
            ]);
        }
    }
    for column in &columns.retyped {
        schema.push(vec![
            Cell::code(&column.name),
            Cell::text("retyped"),
            Cell::code(format!("{} → {}", column.old, column.new)),
        ]);
    }
    if !schema.is_empty() {
        blocks.push(Block::Table(Table {
            columns: vec![
                Column::text("column"),
                Column::text("change"),
                Column::text("type"),
            ],
            rows: schema,
        }));
    }
    if !columns.changed.is_empty() {
        let rows = columns.changed.iter().map(|column| {
            vec![
                Cell::code(&column.name),
                Cell::text(count(column.changed)),
                Cell::text(percent(share(column.changed, columns.rows_compared))),
                Cell::code(column.examples.first().map_or_else(String::new, values)),
            ]
        });
        blocks.push(Block::Table(Table {
            columns: vec![
                Column::text("column"),
                Column::number("rows changed"),
                Column::number("share"),
                Column::text("first"),
            ],
            rows: rows.collect(),
        }));
        blocks.push(Block::Folded {
            title: "Values before and after".to_owned(),
            blocks: vec![values_table(&columns.changed)],
        });
    }
    Section {
        title: "Columns".to_owned(),
        detail: false,
        blocks,
    }
}

fn values(example: &CellExample) -> String {
    let value = |excerpt: &Option<Excerpt>| match excerpt {
        None => "null".to_owned(),
        Some(excerpt) if excerpt.omitted_after > 0 => format!("{}…", excerpt.text),
        Some(excerpt) => excerpt.text.clone(),
    };
    format!("{} → {}", value(&example.old), value(&example.new))
}

fn values_table(changed: &[ColumnChange]) -> Block {
    let rows = changed.iter().flat_map(|column| {
        column.examples.iter().map(|example| {
            vec![
                Cell::code(&column.name),
                Cell::text(example.old_row.row.to_string()),
                Cell::text(example.new_row.row.to_string()),
                Cell::code(values(example)),
            ]
        })
    });
    Block::Table(Table {
        columns: vec![
            Column::text("column"),
            Column::number("old row"),
            Column::number("new row"),
            Column::text("value"),
        ],
        rows: rows.collect(),
    })
}

fn how_section(diff: &Diff) -> Section {
    let version = |name: &str, dataset: &crate::diff::Dataset| {
        Block::Text(format!(
            "{name}: {}, {}, {}.",
            dataset.name,
            counted(dataset.inputs.len() as u64, "file"),
            dataset.shape
        ))
    };
    Section {
        title: "How it was compared".to_owned(),
        detail: true,
        blocks: vec![
            version("Old", &diff.old),
            version("New", &diff.new),
            Block::Text(format!(
                "Rows are the same pair when their normalised texts are (white space and Unicode composition do not count), whichever response is chosen. What is left over is an edit when prompts are the same, or both responses are, and each edited text is at least {:.2} alike: {}.",
                diff.settings.similarity, diff.settings.measure
            )),
        ],
    }
}

#[cfg(test)]
mod tests;
