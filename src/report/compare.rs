//! Methods side by side, as a [`Document`].

use super::document::{
    Block, Cell, Chart, Column, Document, Estimated, Forest, Plot, Section, Table, Tile, Tone,
};
use super::text::{count, percent};
use crate::compare::{Comparison, MethodRow, NoiseTable};
use crate::methods;
use crate::tags::stats::Estimate;

/// Names of the plots' files, one for each noise; further noises have tables only.
const PLOTS: [&str; 8] = [
    "auroc-1", "auroc-2", "auroc-3", "auroc-4", "auroc-5", "auroc-6", "auroc-7", "auroc-8",
];

/// The report of a comparison; `default` is the method of `run`.
#[must_use]
pub fn document(comparison: &Comparison, default: &str) -> Document {
    let mut sections: Vec<Section> = comparison
        .tables
        .iter()
        .enumerate()
        .map(|(i, table)| noise_section(table, default, PLOTS.get(i).copied()))
        .collect();
    sections.push(reading(comparison));
    sections.push(methods_section(comparison));
    Document {
        title: comparison.inputs.join(", "),
        kind: "prefclean compare".to_owned(),
        headline: headline(comparison),
        outcome: "Intervals are Student's t over seeds, at 95%; seeds draw noise, views, initial heads and \
                  shuffles anew."
            .to_owned(),
        tone: Tone::Plain,
        tiles: tiles(comparison),
        sections,
        made: format!("Made by prefclean {}.", env!("CARGO_PKG_VERSION")),
    }
}

fn headline(comparison: &Comparison) -> String {
    let clear: Vec<String> = comparison
        .tables
        .iter()
        .filter_map(|table| {
            Some(format!(
                "{} with {}",
                table.best.as_ref()?,
                noise_in_words(&table.noise)
            ))
        })
        .collect();
    if clear.is_empty() {
        "No method is clearly the best under any noise.".to_owned()
    } else {
        format!("Clearly the best: {}.", clear.join(", "))
    }
}

fn tiles(comparison: &Comparison) -> Vec<Tile> {
    let methods = comparison
        .tables
        .first()
        .map_or(0, |table| table.rows.len());
    let tile = |name: &str, value: String| Tile {
        name: name.to_owned(),
        value,
        ..Tile::default()
    };
    vec![
        tile("pairs", count(comparison.pairs as u64)),
        tile("methods", methods.to_string()),
        tile("seeds", comparison.seeds.len().to_string()),
    ]
}

fn noise_section(table: &NoiseTable, default: &str, plot: Option<&'static str>) -> Section {
    let mut blocks = vec![Block::Text(format!(
        "{} of {:.0} decided pairs have a wrong label.",
        percent(table.true_rate),
        table.decided
    ))];
    blocks.push(Block::Table(ranking(table, default)));
    blocks.push(Block::Text(
        "What each would drop by its own rule:".to_owned(),
    ));
    blocks.push(Block::Table(dropping(table, default)));
    let mut rows: Vec<&MethodRow> = table
        .rows
        .iter()
        .filter(|row| row.auroc.is_some())
        .collect();
    let mean = |row: &MethodRow| row.auroc.map_or(0.0, |auroc| auroc.mean);
    rows.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    if let Some(name) = plot.filter(|_| !rows.is_empty()) {
        blocks.push(Block::Plot(Plot {
            name,
            caption: "How well each method ranks wrong labels above right ones; 0.5 is chance."
                .to_owned(),
            wide: true,
            chart: Chart::Forest(Forest {
                title: format!("Detection, {}", noise_in_words(&table.noise)),
                below: "mean over seeds, 95% interval".to_owned(),
                x_name: "AUROC of wrong labels".to_owned(),
                zero: 0.5,
                percent: false,
                sides: ["worse than chance".to_owned(), "better".to_owned()],
                rows: rows
                    .iter()
                    .map(|row| Estimated {
                        label: row.method.clone(),
                        n: 0,
                        value: mean(row),
                        interval: row
                            .auroc
                            .and_then(|auroc| auroc.interval)
                            .map(|interval| [interval.low, interval.high]),
                    })
                    .collect(),
            }),
        }));
    }
    Section {
        title: capitalised(&noise_in_words(&table.noise)),
        detail: false,
        blocks,
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn noise_in_words(noise: &str) -> String {
    match noise.rsplit_once(':') {
        None => "no noise injected".to_owned(),
        Some((kind, rate)) => {
            let share = rate.parse().map_or_else(|_| rate.to_owned(), percent);
            format!("{share} of labels swapped, {}", kind.replace(':', " "))
        }
    }
}

/// How well each method ranks.
fn ranking(table: &NoiseTable, default: &str) -> Table {
    let columns = [
        "AUROC",
        "less the default's",
        "average precision",
        "precision at true rate",
    ];
    table_of(table, default, &columns, |row| {
        let best = table.best.as_ref() == Some(&row.method);
        let auroc = estimate(row.auroc);
        vec![
            if best {
                Cell::text(format!("{auroc} best")).toned(Tone::Good)
            } else {
                Cell::text(auroc)
            },
            Cell::text(signed(row.over_default)),
            Cell::text(estimate(row.average_precision)),
            Cell::text(estimate(row.precision_at_true_rate)),
        ]
    })
}

/// What each method drops by its own rule, and what it costs to ask it.
fn dropping(table: &NoiseTable, default: &str) -> Table {
    let columns = [
        "precision",
        "recall",
        "clean lost",
        "η less true",
        "seconds",
        "peak MiB",
    ];
    table_of(table, default, &columns, |row| {
        let rate = signed(row.noise_rate_error);
        let rate = if row.own_noise_rate {
            rate
        } else {
            format!("({rate})")
        };
        let peak = row.peak_mib.map(|mib| format!("{mib:.0}"));
        let cells = [
            estimate(row.precision),
            estimate(row.recall),
            estimate(row.clean_lost),
            rate,
            format!("{:.1}", row.seconds),
            peak.unwrap_or_else(|| "–".to_owned()),
        ];
        cells.map(Cell::text).into()
    })
}

fn table_of(
    table: &NoiseTable,
    default: &str,
    columns: &[&str],
    cells: impl Fn(&MethodRow) -> Vec<Cell>,
) -> Table {
    let mut header = vec![Column::text("method")];
    header.extend(columns.iter().copied().map(Column::number));
    let rows = table.rows.iter().map(|row| {
        let name = if row.method == default {
            format!("{} (default)", row.method)
        } else {
            row.method.clone()
        };
        let mut all = vec![Cell::code(name)];
        all.extend(cells(row));
        all
    });
    Table {
        columns: header,
        rows: rows.collect(),
    }
}

/// `0.975 ± 0.004`.
fn estimate(estimate: Option<Estimate>) -> String {
    match estimate {
        None => "–".to_owned(),
        Some(Estimate {
            mean,
            interval: None,
        }) => format!("{mean:.3}"),
        Some(Estimate {
            mean,
            interval: Some(interval),
        }) => format!("{mean:.3} ± {:.3}", interval.width() / 2.0),
    }
}

/// The same with its sign, of a difference.
fn signed(of: Option<Estimate>) -> String {
    let text = estimate(of);
    if of.is_none() {
        return text;
    }
    if text.starts_with('-') {
        text.replacen('-', "−", 1)
    } else {
        format!("+{text}")
    }
}

fn reading(comparison: &Comparison) -> Section {
    let text = [
        format!("Truth: {}.", comparison.truth),
        "AUROC is the chance that a wrong label is more suspicious than a right one. At the true rate every method \
         drops as many pairs as are wrong. By its own rule it drops what its source says; clean lost is the share \
         of right labels dropped. η less true is the estimated \
         share of wrong labels less the true one; in brackets where the method makes no estimate and that of \
         planted flips stands in."
            .to_owned(),
        "A method is called best only where its AUROC is above every other's by a paired difference over seeds \
         whose interval leaves out 0, and only where labels are swapped: with none swapped all seeds judge the \
         same labels. Seconds count what methods share, such as held-out margins, for each that \
         uses it; peak memory is the whole process's."
            .to_owned(),
        format!("Settings: {}.", comparison.settings),
    ];
    Section {
        title: "How to read this".to_owned(),
        detail: true,
        blocks: text.map(Block::Text).into(),
    }
}

fn methods_section(comparison: &Comparison) -> Section {
    let names = comparison.tables.first().map(|table| &table.rows);
    let rows = names.into_iter().flatten().filter_map(|row| {
        let info = methods::find(&row.method).ok()?.info();
        Some(vec![
            Cell::code(info.name),
            Cell::text(info.rule),
            Cell::text(info.source),
        ])
    });
    Section {
        title: "Methods".to_owned(),
        detail: true,
        blocks: vec![Block::Table(Table {
            columns: ["method", "rule", "source"].map(Column::text).into(),
            rows: rows.collect(),
        })],
    }
}
