use std::fs;

use super::super::testing::rows;
use super::super::{PairSource, ReadOptions};
use super::*;

fn opened(name: &str, text: impl AsRef<[u8]>) -> Result<PairSource> {
    let folder = tempfile::tempdir().expect("temporary folder").keep();
    let path = folder.join(name);
    fs::write(&path, text).expect("written");
    let source = PairSource::open(&[path], &ReadOptions::default());
    // rows are read while the file is there
    if let Ok(source) = &source {
        source.pairs()?.for_each(drop);
    }
    source
}

fn refused(text: impl AsRef<[u8]>) -> PairsError {
    opened("a.csv", text).expect_err("refused")
}

#[test]
fn quotes_line_breaks_and_separators_are_part_of_a_field() {
    let text = "\u{feff}prompt,chosen,rejected\r\n\"a, \"\"b\"\"\n\nc\",d,\"e\r\nf\"\r\n";
    let source = opened("a.csv", text).expect("opens");
    let pair = rows(&source).remove(0).pair.expect("usable");
    assert_eq!(pair.prompt, "a, \"b\"\n\nc");
    assert_eq!(pair.rejected, "e\r\nf");
    for (name, text) in [
        ("a.csv", "prompt;chosen;rejected\np;a,b;c\n"),
        ("a.csv", "prompt\tchosen\trejected\np\ta,b\tc\n"),
        ("a.tsv", "prompt\tchosen\trejected\np\ta,b\tc"),
    ] {
        let source = opened(name, text).expect("opens");
        assert_eq!(
            rows(&source)[0].pair.as_ref().expect("usable").chosen,
            "a,b"
        );
    }
}

#[test]
fn types_are_the_narrowest_that_lose_nothing() {
    let text = "prompt,chosen,rejected,n,x,id,long,gap,nan,none,\n\
                1,2,3,4,0.5,007,12345678901234567890,,nan,,9\n\
                1,2,4,-1,1e3,1,1,5,1.5,,9\n";
    let source = opened("a.csv", text).expect("opens");
    let types: Vec<String> = source
        .schema()
        .fields()
        .iter()
        .map(|field| format!("{} {}", field.name(), field.data_type()))
        .collect();
    assert_eq!(
        types,
        [
            "prompt Utf8",
            "chosen Utf8",
            "rejected Utf8",
            "n Int64",
            "x Float64",
            "id Utf8",
            "long Utf8",
            "gap Int64",
            "nan Float64",
            "none Utf8",
            "column_10 Int64"
        ]
    );
    let batch = source.batches().next().expect("rows").expect("reads");
    let gap = batch.number_column("gap").expect("numbers");
    assert_eq!(gap.iter().collect::<Vec<_>>(), [None, Some(5.0)]);
    assert_eq!(batch.text_column("id").expect("text").value(0), "007");
}

#[test]
fn odd_files_are_refused_with_the_line() {
    assert!(matches!(refused(""), PairsError::NoRows(_)));
    assert!(matches!(refused("\n\n"), PairsError::NoRows(_)));
    assert!(matches!(
        refused("prompt,chosen,rejected\n"),
        PairsError::NoRows(_)
    ));
    let head = "prompt,chosen,rejected\np,a,b\n";
    for (row, fields) in [("p,a", 2), ("p,a,b,c", 4)] {
        let error = refused(format!("{head}{row}\n"));
        let PairsError::CsvFields {
            line: 3,
            expected: 3,
            found,
            ..
        } = error
        else {
            panic!("{error:?}")
        };
        assert_eq!(found, fields);
        assert!(error_has_hint(&refused(format!("{head}{row}\n"))));
    }
    let error = refused(format!("{head}p,a,\"b\n"));
    assert!(
        matches!(error, PairsError::CsvQuote { line: 3, .. }),
        "{error:?}"
    );
    let error = refused(b"prompt,chosen,rejected\np,a,\xff\n");
    assert!(
        matches!(error, PairsError::NotUtf8 { line: 2, .. }),
        "{error:?}"
    );
    let error = refused(b"\xff\xfep\0r\0");
    assert!(matches!(error, PairsError::NotUtf8 { .. }), "{error:?}");
    let error = refused("chosen,prompt,chosen\na,b,c\n");
    assert!(error.to_string().contains("`chosen` twice"), "{error}");
    let error = refused("a,b\n1,2\n");
    assert!(matches!(error, PairsError::NoShape { .. }), "{error:?}");
}

fn error_has_hint(error: &PairsError) -> bool {
    error.hint().is_some_and(|hint| hint.contains("quotes"))
}

#[test]
fn files_whose_columns_look_different_are_read_as_the_wider_type() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let head = "prompt,chosen,rejected,score";
    for (name, score) in [("a.csv", "1"), ("b.csv", "1.5"), ("c.csv", "")] {
        fs::write(folder.path().join(name), format!("{head}\np,a,b,{score}\n")).expect("written");
    }
    let two = [folder.path().join("a.csv"), folder.path().join("b.csv")];
    let source = PairSource::open(&two, &ReadOptions::default()).expect("opens");
    assert_eq!(source.schema().field(3).data_type(), &DataType::Float64);
    let source = PairSource::open(&[folder.path()], &ReadOptions::default()).expect("opens");
    assert_eq!(source.schema().field(3).data_type(), &DataType::Utf8);
    assert_eq!(rows(&source).len(), 3);
}
