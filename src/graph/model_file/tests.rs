use std::error::Error;

use super::*;
use crate::graph::builder::Builder;
use crate::graph::proto::AttributeProto;

/// `y = Add(x, large)`, with a small constant too.
fn model() -> ModelProto {
    let mut b = Builder::new("test");
    b.input("x", elem::FLOAT, &[300.into()]);
    let large: Vec<f32> = (0..300u16).map(f32::from).collect();
    b.f32("large", &[300], &large);
    b.f32("other", &[300], &large);
    b.f32("small", &[2], &[1.0, 2.0]);
    b.op_to("", "Add", &["x", "large"], &["y"], &[]);
    b.output("y", elem::FLOAT, &[300.into()]);
    b.finish()
}

fn source(error: &GraphError) -> String {
    error
        .source()
        .map_or(error.to_string(), ToString::to_string)
}

#[test]
fn large_models_keep_their_values_beside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let data = folder.path().join("model.onnx.data");
    let model = model();
    model.write_with_limit(&path, 1000).unwrap();
    // two of 1200 bytes at multiples of 64
    assert_eq!(std::fs::metadata(&data).unwrap().len(), 1216 + 1200);
    let (read, files) = ModelProto::read_with_files(&path).unwrap();
    assert_eq!(read, model);
    assert_eq!(files, [path.clone(), data.clone()]);
    let error = ModelProto::from_bytes(&std::fs::read(&path).unwrap()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`large` has its values in another file"),
        "{error}"
    );

    std::fs::write(&data, [0; 2000]).unwrap();
    let error = source(&ModelProto::read(&path).unwrap_err());
    assert!(
        error.contains("`other` needs 1200 bytes at 1216, the file has 2000"),
        "{error}"
    );

    model.write(&path).unwrap();
    assert!(!data.exists());
    assert_eq!(ModelProto::read(&path).unwrap(), model);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn hostile_external_data_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(root.path().join("secret"), [0; 4096]).unwrap();
    std::fs::write(folder.join("data"), [0; 4096]).unwrap();
    let absolute = root.path().join("secret");
    let absolute = absolute.to_str().unwrap();
    let cases: [(&[(&str, &str)], &str); 12] = [
        (&[("location", absolute)], "not inside the folder"),
        (&[("location", "../secret")], "not inside the folder"),
        (&[("location", "")], "not inside the folder"),
        (&[("location", ".")], "not inside the folder"),
        (&[("location", "/dev/zero")], "not inside the folder"),
        (&[], "no location"),
        (
            &[("location", "data"), ("offset", "-1")],
            "offset `-1` is not a number",
        ),
        (
            &[("location", "data"), ("offset", "4000")],
            "needs 1200 bytes at 4000",
        ),
        (
            &[("location", "data"), ("offset", "18446744073709551615")],
            "needs 1200 bytes",
        ),
        (
            &[("location", "data"), ("length", "1199")],
            "found a length of 1199",
        ),
        (
            &[("location", "data"), ("length", "x")],
            "length `x` is not a number",
        ),
        (&[("location", "sub")], "not a regular file"),
    ];
    std::fs::create_dir(folder.join("sub")).unwrap();
    let path = folder.join("model.onnx");
    for (entries, expected) in cases {
        let mut model = model();
        let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
        tensor.raw_data = None;
        tensor.data_location = EXTERNAL;
        let entries = entries.iter().map(|(key, value)| StringEntry {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        });
        tensor.external_data = entries.collect();
        std::fs::write(&path, model.to_bytes()).unwrap();
        let error = source(&ModelProto::read(&path).unwrap_err());
        assert!(error.contains(expected), "{expected}: {error}");
    }
    // dimensions far beyond the file
    let mut model = model();
    let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
    tensor.dims = vec![1 << 40];
    tensor.data_location = EXTERNAL;
    tensor.external_data = vec![StringEntry {
        key: "location".into(),
        value: "data".into(),
    }];
    std::fs::write(&path, model.to_bytes()).unwrap();
    let error = source(&ModelProto::read(&path).unwrap_err());
    assert!(
        error.contains("`large` needs 4398046511104 bytes"),
        "{error}"
    );
}

#[test]
fn small_files_cannot_ask_for_much_memory() {
    // a node with ten million empty attributes, two bytes each
    let attributes = [0x2a, 0x00].repeat(10_000_000);
    let message = |tag: u8, content: Vec<u8>| {
        let mut bytes = vec![tag << 3 | 2];
        prost::encoding::encode_varint(content.len() as u64, &mut bytes);
        bytes.extend(content);
        bytes
    };
    let bytes = message(7, message(1, attributes));
    let error = ModelProto::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("more than 2 GiB of memory"), "{error}");
    assert!(
        size_of::<AttributeProto>() < 1000,
        "the estimate of the documentation"
    );
}

#[test]
fn cut_models_are_errors() {
    let bytes = model().to_bytes();
    for length in 0..bytes.len() {
        // what follows the graph can be missing
        let result = ModelProto::from_bytes(&bytes[..length]);
        assert!(
            result.is_err() || length + 32 > bytes.len(),
            "length {length}"
        );
    }
}
