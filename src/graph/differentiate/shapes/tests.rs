use super::super::super::builder::{Builder, int, ints};
use super::super::super::proto::{DimProto, GraphProto, TensorProto};
use super::*;

fn graph(build: impl Fn(&mut Builder)) -> GraphProto {
    let mut b = Builder::new("shapes");
    let dims: [DimProto; 3] = ["batch".into(), "tokens".into(), 12.into()];
    b.input("x", elem::FLOAT, &dims);
    b.input("ids", elem::INT64, &dims[..2]);
    build(&mut b);
    b.finish().graph.unwrap()
}

fn dims(shapes: &Shapes<'_>, name: &str) -> String {
    let show = |dim: &Dim| {
        dim.as_ref()
            .map_or_else(|| "?".to_owned(), ToString::to_string)
    };
    let dims = shapes
        .dims(name)
        .map(|dims| dims.iter().map(show).collect::<Vec<_>>().join(", "));
    dims.unwrap_or_else(|| "unknown".to_owned())
}

/// The way in which exporters write `x.view(batch, tokens, 3, 4).transpose(1, 2)` and back.
#[test]
fn names_survive_computed_shapes() {
    let graph = graph(|b| {
        let shape = b.call("Shape", &["x"]);
        let (zero, one) = (
            b.ints(&[0]),
            b.constant(TensorProto::from_i64("", &[], &[1])),
        );
        let batch = b.call("Gather", &[&shape, &zero]);
        let tokens = b.call("Gather", &[&shape, &one]);
        let axis = b.ints(&[0]);
        let tokens = b.call("Unsqueeze", &[&tokens, &axis]);
        let heads = b.ints(&[3, 4]);
        let wanted = b.op("Concat", &[&batch, &tokens, &heads], &[int("axis", 0)]);
        b.op_to("", "Reshape", &["x", &wanted], &["split"], &[]);
        b.op_to(
            "",
            "Transpose",
            &["split"],
            &["heads"],
            &[ints("perm", &[0, 2, 1, 3])],
        );
        b.op_to("", "MatMul", &["heads", "heads"], &["odd"], &[]);
        let open = b.ints(&[-1, 12]);
        b.op_to("", "Reshape", &["split", &open], &["rows"], &[]);
        let flat = b.ints(&[-1]);
        b.op_to("", "Reshape", &["x", &flat], &["flat"], &[]);
        let back = b.call("Shape", &["x"]);
        b.op_to("", "Reshape", &["rows", &back], &["back"], &[]);
    });
    let shapes = Shapes::of(&graph);
    assert_eq!(dims(&shapes, "split"), "1 * batch, 1 * tokens, 3, 4");
    assert_eq!(dims(&shapes, "heads"), "1 * batch, 3, 1 * tokens, 4");
    assert_eq!(dims(&shapes, "rows"), "1 * batch * tokens, 12");
    assert_eq!(dims(&shapes, "flat"), "12 * batch * tokens");
    assert_eq!(dims(&shapes, "back"), dims(&shapes, "x"));
}

/// Position ids cut to the number of tokens: where the generator of onnxruntime-training loses the
/// size, and with it a broadcast.
#[test]
fn a_table_cut_to_a_named_size_has_that_size() {
    let graph = graph(|b| {
        let table = b.initializer(TensorProto::from_i64("table", &[1, 512], &[0; 512]));
        let tokens = b.op("Shape", &["ids"], &[int("start", 1)]);
        let (zero, one) = (b.ints(&[0]), b.ints(&[1]));
        b.op_to(
            "",
            "Slice",
            &[&table, &zero, &tokens, &one],
            &["positions"],
            &[],
        );
        let end = b.ints(&[i64::MAX]);
        b.op_to("", "Slice", &["x", &zero, &end, &one], &["all"], &[]);
        let last = b.ints(&[-1]);
        b.op_to("", "Slice", &["x", &last, &end, &one], &["last"], &[]);
    });
    let shapes = Shapes::of(&graph);
    assert_eq!(dims(&shapes, "positions"), "1, 1 * tokens");
    assert_eq!(dims(&shapes, "all"), dims(&shapes, "x"));
    assert_eq!(dims(&shapes, "last"), "1 * batch, ?, 12");
}

#[test]
fn broadcasting_is_certain_or_unknown() {
    let sizes = |text: &str| -> Vec<Dim> {
        let dim = |word: &str| match word.parse() {
            Ok(number) => Size::known(number),
            Err(_) if word == "?" => None,
            Err(_) => Some(Size::named(word)),
        };
        text.split(' ').map(dim).collect()
    };
    let joined = |a, b| broadcast(&sizes(a), &sizes(b));
    assert_eq!(joined("2 3", "3"), sizes("2 3"));
    assert_eq!(joined("n 1", "1 m"), sizes("n m"));
    assert_eq!(joined("n m", "n m"), sizes("n m"));
    // one of the two may be 1
    assert_eq!(joined("n 3", "m 3"), sizes("? 3"));
    assert_eq!(joined("?", "n"), sizes("?"));
    assert_eq!(joined("4", "n"), sizes("4"));
}

/// Shapes that no tensor can have, and ranks and products that overflow, are unknown.
#[test]
fn impossible_shapes_are_unknown() {
    let graph = graph(|b| {
        let wanted = b.ints(&[-2, 3]);
        b.op_to("", "Reshape", &["x", &wanted], &["negative"], &[]);
        let wanted = b.ints(&[i64::MAX, i64::MAX, 4]);
        b.op_to("", "Reshape", &["x", &wanted], &["huge"], &[]);
        let flat = b.ints(&[-1]);
        b.op_to("", "Reshape", &["huge", &flat], &["flat"], &[]);
        let many = b.ints(&[1; 40]);
        b.op_to("", "Reshape", &["x", &many], &["deep"], &[]);
        let tensor = TensorProto::from_raw("odd", elem::FLOAT, &[-3], Vec::new());
        b.initializer(tensor);
        let (zero, one) = (b.ints(&[0]), b.ints(&[1]));
        b.op_to("", "Slice", &["odd", &zero, &one, &zero], &["cut"], &[]);
        b.op_to(
            "",
            "Transpose",
            &["x"],
            &["turned"],
            &[ints("perm", &[0, 7, 1])],
        );
    });
    let shapes = Shapes::of(&graph);
    assert_eq!(dims(&shapes, "flat"), "?");
    for name in ["negative", "deep", "odd", "cut", "turned"] {
        assert_eq!(dims(&shapes, name), "unknown", "{name}");
    }
}
