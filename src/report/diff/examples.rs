//! Examples of each class of change, old beside new.

use crate::diff::{Example, ExampleRow, Excerpt};
use crate::report::document::{Block, Compared, Comparison, Passage, Section};
use crate::report::text::put;

pub(super) fn examples_section(examples: &[Example]) -> Section {
    let mut blocks = Vec::new();
    for of_class in examples.chunk_by(|a, b| a.class == b.class) {
        blocks.push(Block::Text(of_class[0].class.clone()));
        blocks.push(Block::Comparisons(
            of_class.iter().map(comparison).collect(),
        ));
    }
    Section {
        title: "Examples".to_owned(),
        detail: true,
        blocks,
    }
}

fn comparison(example: &Example) -> Comparison {
    let row = |row: &ExampleRow| format!("row {}", row.at.row);
    let place = match (&example.old, &example.new) {
        (Some(old), Some(new)) => format!("{} → {}", row(old), row(new)),
        (Some(only), None) | (None, Some(only)) => row(only),
        (None, None) => String::new(),
    };
    let mut title = format!("{}, {place}", example.class);
    if let Some(similarity) = example.similarity {
        let lowest = similarity.into_iter().fold(1.0, f64::min);
        put!(title, ", similarity {lowest:.2}");
        if example.flipped {
            title += ", label flipped too";
        }
    }
    if let Some(reason) = &example.reason {
        put!(title, ", {reason}");
    }
    let mut names = Vec::new();
    for row in [&example.old, &example.new].into_iter().flatten() {
        for name in [&row.at.input, &row.pair_id] {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    Comparison {
        title,
        names,
        texts: compared(example),
    }
}

/// The texts of an example, responses of the old version with their counterparts.
fn compared(example: &Example) -> Vec<Compared> {
    let passage = |excerpt: &Excerpt| Passage {
        text: excerpt.text.clone(),
        omitted_before: excerpt.omitted_before,
        omitted_after: excerpt.omitted_after,
    };
    let names = if example.flipped {
        ["prompt", "chosen, now rejected", "rejected, now chosen"]
    } else {
        ["prompt", "chosen", "rejected"]
    };
    let of = |row: &Option<ExampleRow>, crossed: bool| -> [Option<Passage>; 3] {
        match row {
            None => [None, None, None],
            Some(row) => {
                let sides = if crossed {
                    [&row.prompt, &row.rejected, &row.chosen]
                } else {
                    [&row.prompt, &row.chosen, &row.rejected]
                };
                sides.map(|excerpt| Some(passage(excerpt)))
            }
        }
    };
    let (old, new) = (of(&example.old, false), of(&example.new, example.flipped));
    names
        .into_iter()
        .zip(old.into_iter().zip(new))
        .map(|(name, (old, new))| Compared {
            name: name.to_owned(),
            old,
            new,
        })
        .collect()
}
