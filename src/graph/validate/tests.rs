use super::*;
use crate::graph::builder::{Builder, int};
use crate::graph::proto::{AttributeProto, DimProto, NodeProto, attribute_type};

/// `y = Relu(Neg(x))`, `x` of shape `[rows, 4]`.
fn model() -> ModelProto {
    let mut b = Builder::new("test");
    b.input("x", elem::FLOAT, &["rows".into(), 4.into()]);
    b.f32("w", &[2], &[1.0, 2.0]);
    b.op_to("", "Neg", &["x"], &["h"], &[]);
    b.op_to("", "Relu", &["h"], &["y"], &[]);
    b.output("y", elem::FLOAT, &[]);
    b.finish()
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

fn read(model: &ModelProto) -> Result<ModelProto, GraphError> {
    ModelProto::from_bytes(&model.to_bytes())
}

fn refused(change: impl Fn(&mut GraphProto)) -> String {
    let mut model = model();
    change(graph(&mut model));
    read(&model).unwrap_err().to_string()
}

/// `name = If(x)` with the same graph as both branches.
fn branch(output: &str, inner: &GraphProto) -> NodeProto {
    let attribute = |name: &str| AttributeProto {
        name: name.into(),
        g: Some(inner.clone()),
        r#type: attribute_type::GRAPH,
        ..AttributeProto::default()
    };
    NodeProto {
        input: vec!["x".into()],
        output: vec![output.into()],
        op_type: "If".into(),
        attribute: vec![attribute("then_branch"), attribute("else_branch")],
        ..NodeProto::default()
    }
}

/// A graph without inputs that gives `value` of the outer one.
fn giving(value: &str) -> GraphProto {
    let node = NodeProto {
        input: vec![value.into()],
        output: vec!["given".into()],
        op_type: "Identity".into(),
        ..NodeProto::default()
    };
    GraphProto {
        node: vec![node],
        output: vec![ValueInfoProto {
            name: "given".into(),
            ..ValueInfoProto::default()
        }],
        ..GraphProto::default()
    }
}

#[test]
fn a_sound_model_is_left_as_it_is() {
    let mut model = model();
    graph(&mut model).node.push(branch("z", &giving("h")));
    // an output left out has no name
    graph(&mut model).node[0].output.push(String::new());
    assert_eq!(read(&model).unwrap(), model);
}

#[test]
fn unsorted_nodes_are_sorted() {
    let mut sorted = model();
    graph(&mut sorted).node.push(branch("z", &giving("y")));
    let mut unsorted = sorted.clone();
    graph(&mut unsorted).node.reverse();
    assert_eq!(read(&unsorted).unwrap(), sorted);
}

#[test]
fn unsound_graphs_are_refused_by_name() {
    type Change = fn(&mut GraphProto);
    let cases: [(&str, Change); 16] = [
        ("cycle, at `h_node` (Neg)", |g| {
            g.node[0].input[0] = "y".into();
        }),
        ("cycle, at `z` (If)", |g| {
            g.node.push(branch("z", &giving("z")));
        }),
        ("`y_node` (Relu) reads `none`, which nothing makes", |g| {
            g.node[1].input[0] = "none".into();
        }),
        ("`given` (Identity) reads `none`", |g| {
            g.node.push(branch("z", &giving("none")));
        }),
        // of an inner graph, not of this one
        ("reads `given`", |g| {
            g.node.push(branch("z", &giving("x")));
            let mut node = g.node[1].clone();
            node.input[0] = "given".into();
            node.output[0] = "other".into();
            g.node.push(node);
        }),
        ("value `h` is made twice", |g| {
            g.node[1].output[0] = "h".into();
        }),
        ("value `x` is made twice", |g| {
            g.node[1].output[0] = "x".into();
        }),
        ("value `w` is made twice", |g| {
            g.node[1].output[0] = "w".into();
        }),
        ("two inputs `x`", |g| g.input.push(g.input[0].clone())),
        ("two initializers `w`", |g| {
            g.initializer.push(g.initializer[0].clone());
        }),
        ("two outputs `y`", |g| g.output.push(g.output[0].clone())),
        ("nothing makes the output `none`", |g| {
            g.output[0].name = "none".into();
        }),
        ("two attributes `axis` of `y_node` (Relu)", |g| {
            g.node[1].attribute = vec![int("axis", 1), int("axis", 2)];
        }),
        ("without a name", |g| g.initializer[0].name = String::new()),
        ("dimensions [2147483648, 4294967296] of value `x`", |g| {
            let dims: Vec<DimProto> = vec![(1i64 << 31).into(), (1i64 << 32).into()];
            g.input[0] = ValueInfoProto::tensor("x", elem::FLOAT, dims);
        }),
        ("of value `x`", |g| {
            g.input[0] = ValueInfoProto::tensor("x", elem::FLOAT, vec![1.into(); 65]);
        }),
    ];
    for (expected, change) in cases {
        let error = refused(change);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn tensors_hold_what_they_say() {
    type Change = fn(&mut TensorProto);
    let cases: [(&str, Change); 8] = [
        ("expected 3 values for dimensions [3], found 2", |t| {
            t.dims = vec![3];
        }),
        ("dimensions [-2] of tensor `w`", |t| t.dims = vec![-2]),
        ("dimensions [9223372036854775807, 4]", |t| {
            t.dims = vec![i64::MAX, 4];
        }),
        ("of tensor `w`", |t| t.dims = vec![1; 65]),
        ("ends within a number", |t| t.raw_data = Some(vec![0; 7])),
        ("found 1", |t| t.data_type = elem::DOUBLE),
        ("found 0", |t| t.raw_data = None),
        ("in another file", |t| t.data_location = 1),
    ];
    for (expected, change) in cases {
        let error = refused(|g| change(&mut g.initializer[0]));
        assert!(error.contains("`w`") && error.contains(expected), "{error}");
        // in an attribute of an inner graph
        let error = refused(|g| {
            let mut inner = giving("h");
            let mut tensor = g.initializer[0].clone();
            change(&mut tensor);
            inner.node[0].attribute.push(AttributeProto {
                name: "value".into(),
                t: Some(tensor),
                ..AttributeProto::default()
            });
            g.node.push(branch("z", &inner));
        });
        assert!(error.contains("`w`") && error.contains(expected), "{error}");
    }
}

#[test]
fn negative_dimensions_of_values_are_unknown_ones() {
    let mut model = model();
    graph(&mut model).input[0] = ValueInfoProto::tensor("x", elem::FLOAT, vec![(-1).into()]);
    let read = read(&model).unwrap();
    let input = &read.graph.unwrap().input[0];
    let shape = input.tensor_type().unwrap().shape.clone().unwrap();
    assert_eq!(shape.dim[0].value, None);
}

#[test]
fn deep_nesting_is_refused() {
    let nested = |depth: usize| {
        let mut inner = giving("x");
        for _ in 0..depth {
            let mut outer = giving("z");
            outer.node.insert(0, branch("z", &inner));
            // one branch: two would double at each level
            outer.node[0].attribute.pop();
            inner = outer;
        }
        let mut model = model();
        let mut node = branch("z", &inner);
        node.attribute.pop();
        graph(&mut model).node.push(node);
        read(&model)
    };
    assert!(nested(MAX_DEPTH - 1).is_ok());
    let error = nested(MAX_DEPTH).unwrap_err().to_string();
    assert!(error.contains("nested more than 16 deep"), "{error}");
    for depth in [40, 200] {
        let error = nested(depth).unwrap_err().to_string();
        assert!(
            error.contains("nested too deeply") || error.contains("recursion"),
            "{error}"
        );
    }
}
