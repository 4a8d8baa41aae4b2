//! `prefclean inject`.

use crate::harness::{CliTest, count, help, table, test_data, texts};

#[test]
fn help_text() {
    insta::assert_snapshot!(help("inject"));
}

#[test]
fn drawn_rows_are_swapped_and_all_else_is_kept() {
    let Some(data) = test_data("pandalm.parquet") else {
        return;
    };
    let test = CliTest::new();
    let inject = [
        "inject",
        &data,
        "-o",
        "noisy.parquet",
        "--truth",
        "truth.parquet",
        "--rate",
        "0.2",
    ];
    let said = test.ok(&inject);
    assert!(
        said.starts_with("swapped 95 of 474 usable pairs (505 rows, "),
        "{said}"
    );
    let (before, after) = (table(&data), table(test.path("noisy.parquet")));
    assert_eq!(before.schema().fields(), after.schema().fields());
    let injected = texts(&table(test.path("truth.parquet")), "injected");
    assert_eq!(count(&injected, "true"), 95);
    for field in before.schema().fields() {
        let name = match field.name().as_str() {
            "chosen" => "rejected",
            "rejected" => "chosen",
            other => other,
        };
        let (own, other) = (texts(&before, field.name()), texts(&before, name));
        for (i, value) in texts(&after, field.name()).iter().enumerate() {
            let expected = if injected[i] == "true" {
                &other[i]
            } else {
                &own[i]
            };
            assert_eq!(value, expected, "`{}` of row {i}", field.name());
        }
    }
    let first = std::fs::read(test.path("noisy.parquet")).unwrap();
    test.ok(&inject);
    assert_eq!(std::fs::read(test.path("noisy.parquet")).unwrap(), first);
    test.ok(&[&inject[..], &["--seed", "1"]].concat());
    assert_ne!(std::fs::read(test.path("noisy.parquet")).unwrap(), first);

    std::fs::copy(&data, test.path("in.parquet")).unwrap();
    insta::assert_snapshot!(test.transcripts(&[
        &[
            "inject",
            "in.parquet",
            "-o",
            "in.parquet",
            "--truth",
            "t.parquet",
            "--rate",
            "0.2"
        ],
        &[
            "inject",
            "in.parquet",
            "-o",
            "n.parquet",
            "--truth",
            "n.parquet",
            "--rate",
            "0.2"
        ],
        &[
            "inject",
            "in.parquet",
            "-o",
            "n.parquet",
            "--truth",
            "t.parquet",
            "--rate",
            "20"
        ],
        &[
            "inject",
            "in.parquet",
            "-o",
            "n.parquet",
            "--truth",
            "t.parquet",
            "--rate",
            "0.2",
            "--by",
            "topic"
        ],
    ]));
}
