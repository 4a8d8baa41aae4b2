//! The faces of a diff, with hostile text in every place.

use super::*;
use crate::diff::{
    ColumnType, Dataset, Example, ExampleRow, LanguageDrift, LengthDrift, Place, Retyped,
    SCHEMA_VERSION, ShortcutDrift, SourceDrift, Unusable, WinRate,
};
use crate::report::tests::check;
use crate::report::{TableStyle, text};

const HOSTILE: &str =
    "<script>x</script>\u{202e}\u{1b}[31m| a |\n# head\n```\n![x](http://example.com)";

fn excerpt(text: &str) -> Excerpt {
    Excerpt {
        text: text.to_owned(),
        omitted_before: 3,
        omitted_after: 4,
    }
}

fn row(text: &str) -> ExampleRow {
    ExampleRow {
        at: Place {
            input: HOSTILE.to_owned(),
            row: 7,
        },
        pair_id: "id".to_owned(),
        prompt: excerpt(HOSTILE),
        chosen: excerpt(text),
        rejected: excerpt("No."),
    }
}

fn sample() -> Diff {
    let dataset = Dataset {
        name: HOSTILE.to_owned(),
        rows: 100,
        usable: 99,
        ..Dataset::default()
    };
    let mut diff = Diff {
        schema_version: SCHEMA_VERSION,
        old: dataset.clone(),
        new: dataset,
        unusable: vec![Unusable::default()],
        ..Diff::default()
    };
    diff.counts.edited = 2;
    diff.counts.flipped = 1;
    diff.counts.moved = 5;
    diff.edits.by_similarity = vec![0; 10];
    diff.edits.median_similarity = Some(0.8);
    diff.columns.retyped.push(Retyped::default());
    diff.columns.added.push(ColumnType {
        name: HOSTILE.to_owned(),
        data_type: "Utf8".to_owned(),
    });
    diff.columns.changed.push(ColumnChange {
        name: HOSTILE.to_owned(),
        changed: 1,
        examples: vec![CellExample {
            old: Some(excerpt(HOSTILE)),
            ..CellExample::default()
        }],
    });
    diff.drift.lengths.push(LengthDrift::default());
    diff.drift.languages.push(LanguageDrift::default());
    diff.drift.shortcuts.push(ShortcutDrift {
        feature: "length".to_owned(),
        new: WinRate {
            pairs: 5,
            rate: 0.6,
            interval: [0.2, 0.9],
        },
        interval: [-1.0, 1.0],
        ..ShortcutDrift::default()
    });
    diff.drift.sources.push(SourceDrift {
        source: Some(HOSTILE.to_owned()),
        ..SourceDrift::default()
    });
    for (class, new) in [
        ("edited", Some(row("Water it in the morning."))),
        ("removed", None),
    ] {
        diff.examples.push(Example {
            class: class.to_owned(),
            old: Some(row("Water it in the evening.")),
            new,
            similarity: Some([1.0, 0.8, 1.0]),
            ..Example::default()
        });
    }
    diff
}

#[test]
fn hostile_text_stays_text() {
    let diff = sample();
    let reasons: Vec<Reason> = (["flipped", "any>=1%"].iter())
        .filter_map(|on| {
            on.parse::<crate::diff::FailOn>()
                .expect("valid")
                .check(&diff)
        })
        .collect();
    assert_eq!(reasons.len(), 2);
    let document = document(&diff, &reasons);
    let terminal = document.terminal(TableStyle::default());
    let markdown = document.markdown();
    for face in [&terminal, &markdown] {
        assert!(
            !face.chars().any(|c| c != '\n' && text::is_hidden(c)),
            "{face}"
        );
    }
    assert!(!markdown.contains("\n# head"), "{markdown}");
    assert!(markdown.contains("[-evening-]{+morning+}"), "{markdown}");
    let page = document.html().expect("a page");
    assert!(!page.contains("<script>x"));
    assert!(page.contains("<mark>morning</mark>"));
    crate::report::tests::assert_even_tables(&markdown);
}

#[test]
fn report_json_follows_its_committed_schema() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../docs/diff-schema.json")).expect("JSON");
    for diff in [
        sample(),
        Diff {
            schema_version: SCHEMA_VERSION,
            ..Diff::default()
        },
    ] {
        let value = serde_json::to_value(&diff).expect("JSON");
        check(&schema, &schema, &value, "diff");
    }
}
