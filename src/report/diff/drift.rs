//! What moved without being a change of any one pair: lengths, languages, shortcuts, sources.

use crate::diff::{Diff, Drift, LengthDrift, ShortcutDrift, SourceDrift, Versions};
use crate::report::document::{
    Block, Cell, Chart, Column, Estimated, Forest, Plot, Section, Table, Tone,
};
use crate::report::text::{count, counted, number, percent, share};

/// Most languages that are shown.
const MAX_LANGUAGES: usize = 12;

pub(super) fn drift_section(diff: &Diff) -> Section {
    let shown: Vec<&ShortcutDrift> = (diff.drift.shortcuts.iter())
        .filter(|drift| drift.old.pairs + drift.new.pairs > 0)
        .collect();
    let mut blocks = vec![lengths_table(&diff.drift.lengths)];
    blocks.extend(languages_table(&diff.drift));
    if !shown.is_empty() {
        blocks.push(shortcuts_table(&shown));
        blocks.push(Block::Text(
            "Win rate: how often the chosen response is the one that has more of it. Intervals are 95%, as if the versions were independent samples: too wide where they share pairs."
                .to_owned(),
        ));
        let rows = shown
            .iter()
            .filter(|drift| drift.old.pairs.min(drift.new.pairs) > 0);
        let rows: Vec<Estimated> = rows
            .map(|drift| Estimated {
                label: drift.feature.clone(),
                n: drift.new.pairs,
                value: drift.difference,
                interval: Some(drift.interval),
            })
            .collect();
        if !rows.is_empty() {
            blocks.push(Block::Plot(Plot {
                name: "shortcut-drift",
                caption: "Difference of win rates, new minus old. A line that leaves 0 out has moved beyond chance.".to_owned(),
                wide: true,
                chart: Chart::Forest(Forest {
                    title: "What the label goes with".to_owned(),
                    below: "new minus old".to_owned(),
                    x_name: "difference of win rates".to_owned(),
                    zero: 0.0,
                    percent: true,
                    sides: ["less than before".to_owned(), "more than before".to_owned()],
                    rows,
                }),
            }));
        }
    }
    Section {
        title: "Drift".to_owned(),
        detail: false,
        blocks,
    }
}

fn lengths_table(lengths: &[LengthDrift]) -> Block {
    let rows = lengths.iter().map(|drift| {
        let (old, new) = (drift.old, drift.new);
        let both = |a: u64, b: u64| {
            if a == b {
                count(a)
            } else {
                format!("{} → {}", count(a), count(b))
            }
        };
        vec![
            Cell::text(&drift.text),
            Cell::text(format!("{:.1} → {:.1}", old.mean, new.mean)),
            Cell::text(format!("{:+.1}", new.mean - old.mean).replacen('-', "−", 1)),
            Cell::text(both(old.p10, new.p10)),
            Cell::text(both(old.median, new.median)),
            Cell::text(both(old.p90, new.p90)),
            Cell::text(both(old.max, new.max)),
        ]
    });
    Block::Table(Table {
        columns: vec![
            Column::text("characters"),
            Column::number("mean"),
            Column::number("difference"),
            Column::number("10%"),
            Column::number("median"),
            Column::number("90%"),
            Column::number("longest"),
        ],
        rows: rows.collect(),
    })
}

/// Shares of the sampled texts in each language.
fn languages_table(drift: &Drift) -> Option<Block> {
    let of = drift.languages_of;
    let shares = |texts: Versions| {
        let (old, new) = (share(texts.old, of.old), share(texts.new, of.new));
        let (old, new) = (percent(old), percent(new));
        Cell::text(if old == new {
            old
        } else {
            format!("{old} → {new}")
        })
    };
    let rows = drift.languages.iter().take(MAX_LANGUAGES).map(|drift| {
        vec![
            Cell::text(&drift.language),
            shares(drift.prompt),
            shares(drift.chosen),
            shares(drift.rejected),
        ]
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty()).then(|| {
        Block::Table(Table {
            columns: vec![
                Column::text("language"),
                Column::number("prompts"),
                Column::number("chosen"),
                Column::number("rejected"),
            ],
            rows,
        })
    })
}

fn shortcuts_table(shown: &[&ShortcutDrift]) -> Block {
    let rows = shown.iter().map(|drift| {
        let tone = if drift.moved {
            Tone::Warning
        } else {
            Tone::Plain
        };
        vec![
            Cell::text(&drift.feature),
            Cell::text(percent(drift.old.rate)),
            Cell::text(percent(drift.new.rate)),
            Cell::text(number(drift.difference)).toned(tone),
            Cell::text(format!(
                "{} to {}",
                number(drift.interval[0]),
                number(drift.interval[1])
            )),
            Cell::text(count(drift.new.pairs)),
        ]
    });
    Block::Table(Table {
        columns: vec![
            Column::text("chosen has more"),
            Column::number("old"),
            Column::number("new"),
            Column::number("difference"),
            Column::number("95% interval"),
            Column::number("pairs that differ"),
        ],
        rows: rows.collect(),
    })
}

pub(super) fn sources_section(diff: &Diff) -> Section {
    let name = |source: &SourceDrift| match &source.source {
        Some(name) => Cell::code(name),
        None => Cell::text("(none)"),
    };
    let rows = diff.drift.sources.iter().map(|source| {
        vec![
            name(source),
            Cell::text(count(source.old)),
            Cell::text(count(source.new)),
            Cell::text(count(source.flipped)),
            Cell::text(count(source.edited)),
            Cell::text(count(source.removed)),
            Cell::text(count(source.added)),
        ]
    });
    let mut blocks = vec![Block::Table(Table {
        columns: vec![
            Column::text("source"),
            Column::number("old rows"),
            Column::number("new rows"),
            Column::number("flipped"),
            Column::number("edited"),
            Column::number("removed"),
            Column::number("added"),
        ],
        rows: rows.collect(),
    })];
    if diff.drift.more_sources > 0 {
        blocks.push(Block::Text(format!(
            "… and {}.",
            counted(diff.drift.more_sources, "more source")
        )));
    }
    Section {
        title: "Sources".to_owned(),
        detail: false,
        blocks,
    }
}
