//! What must not change a tag: columns of truth, row groups, formats, threads.

use std::fs::File;
use std::io::Write;

use arrow::array::RecordBatch;

use crate::harness::{CliTest, table, test_data, texts, write};

const RUN: [&str; 6] = [
    "run",
    "in.parquet",
    "--run-dir",
    "run",
    "--pipeline",
    "quick",
];

fn only(table: &RecordBatch, columns: &[&str]) -> RecordBatch {
    let schema = table.schema();
    let places: Vec<usize> = columns
        .iter()
        .map(|name| schema.index_of(name).unwrap())
        .collect();
    table.project(&places).unwrap()
}

/// `tags.parquet` of a run over `input`, as bytes.
fn tags(input: &RecordBatch, rows_per_group: usize, arguments: &[&str]) -> Vec<u8> {
    let test = CliTest::new();
    write(&test.path("in.parquet"), input, rows_per_group);
    test.ok(&[&RUN[..], arguments, &["--quiet"]].concat());
    std::fs::read(test.path("run/tags.parquet")).unwrap()
}

#[test]
fn columns_of_truth_row_groups_and_threads() {
    let Some(data) = test_data("pandalm.parquet") else {
        return;
    };
    let all = table(&data);
    let bare = only(&all, &["prompt", "chosen", "rejected", "source"]);
    let expected = tags(&bare, 100_000, &[]);
    assert!(
        tags(&all, 100_000, &[]) == expected,
        "truth leaks into the tags"
    );
    assert!(
        tags(&all, 37, &[]) == expected,
        "row groups change the tags"
    );
    assert!(
        tags(&bare, 1, &["--threads", "1"]) == expected,
        "threads change the tags"
    );
    assert!(
        tags(&bare, 64, &["--threads", "3"]) == expected,
        "threads change the tags"
    );
}

/// From nothing: features too are the same whatever the threads.
#[test]
fn threads_of_the_encoder() {
    let Some(data) = test_data("rankgen-human.parquet") else {
        return;
    };
    let tags = ["1", "2"].map(|threads| {
        let test = CliTest::with_empty_cache();
        test.ok(&[
            "run",
            &data,
            "--run-dir",
            "run",
            "--pipeline",
            "quick",
            "--quiet",
            "--threads",
            threads,
        ]);
        std::fs::read(test.path("run/tags.parquet")).unwrap()
    });
    assert!(tags[0] == tags[1]);
}

/// The truth in `ukpconvarg1` is in columns of votes; the tags of its first rows do not know it.
#[test]
fn votes_never_leak() {
    let Some(data) = test_data("ukpconvarg1.parquet") else {
        return;
    };
    let all = table(&data).slice(0, 2000);
    let suspicion = |input: &RecordBatch| {
        let test = CliTest::new();
        write(&test.path("in.parquet"), input, 500);
        test.ok(&[&RUN[..], &["--quiet"]].concat());
        let tags = table(test.path("run/tags.parquet"));
        [
            "pair_id",
            "tag",
            "suspicion",
            "p_incorrect",
            "score",
            "reason",
        ]
        .map(|name| texts(&tags, name))
    };
    // without its `source` column too: that one is for the report alone
    let bare = only(&all, &["prompt", "chosen", "rejected"]);
    assert!(suspicion(&all) == suspicion(&bare));
}

#[test]
fn parquet_and_json_lines() {
    let Some(data) = test_data("pandalm.parquet") else {
        return;
    };
    let bare = only(&table(&data), &["prompt", "chosen", "rejected", "source"]);
    let test = CliTest::new();
    write(&test.path("in.parquet"), &bare, 100);
    let columns = ["prompt", "chosen", "rejected", "source"].map(|name| texts(&bare, name));
    let mut file = File::create(test.path("in.jsonl")).unwrap();
    for i in 0..bare.num_rows() {
        let [prompt, chosen, rejected, source] = columns.each_ref().map(|c| &c[i]);
        let row = serde_json::json!({
            "prompt": prompt, "chosen": chosen, "rejected": rejected, "source": source
        });
        writeln!(file, "{row}").unwrap();
    }
    let mut tables = Vec::new();
    for input in ["in.parquet", "in.jsonl"] {
        test.ok(&[
            "run",
            input,
            "--run-dir",
            "run",
            "--pipeline",
            "quick",
            "--quiet",
        ]);
        let mut tags = table(test.path("run/tags.parquet"));
        let input = tags.schema().index_of("input").unwrap();
        tags.remove_column(input);
        tables.push(tags);
    }
    assert!(tables[0] == tables[1], "the format changes the tags");
}

/// Several files are one dataset, whatever the order in which they are named.
#[test]
fn shards_in_any_order() {
    let Some(data) = test_data("rankgen-human.parquet") else {
        return;
    };
    let all = table(&data);
    let test = CliTest::new();
    std::fs::create_dir(test.path("data")).unwrap();
    write(
        &test.path("data/train-00000-of-00002.parquet"),
        &all.slice(0, 40),
        100,
    );
    write(
        &test.path("data/train-00001-of-00002.parquet"),
        &all.slice(40, all.num_rows() - 40),
        100,
    );
    let (first, second) = (
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
    );
    let bytes = [
        &[first, second][..],
        &[second, first],
        &["data"],
        &["data/train-*.parquet"],
    ]
    .map(|inputs| {
        test.ok(&[
            &["run"],
            inputs,
            &["--run-dir", "run", "--pipeline", "quick", "--quiet"],
        ]
        .concat());
        std::fs::read(test.path("run/tags.parquet")).unwrap()
    });
    assert!(bytes.iter().all(|b| *b == bytes[0]));
}
