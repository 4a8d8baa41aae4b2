use proptest::prelude::*;

use super::super::builder::{self, ints};
use super::super::proto::{AttributeProto, attribute_type};
use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// `loss = mean(tanh(x w) + unused?)` with initializers `w` and `unused`.
fn small() -> Builder {
    let mut b = Builder::new("small");
    b.input("x", elem::FLOAT, &["rows".into(), 2.into()]);
    b.f32("w", &[2, 2], &[0.5; 4]);
    b.f32("unused", &[2], &[0.0; 2]);
    b.op_to("", "MatMul", &["x", "w"], &["product"], &[]);
    b.op_to("", "Tanh", &["product"], &["y"], &[]);
    b.op_to(
        "",
        "ReduceMean",
        &["y"],
        &["loss"],
        &[builder::int("keepdims", 0)],
    );
    b.output("loss", elem::FLOAT, &[]);
    b
}

fn error(model: &ModelProto, of: &str, parameters: &[&str]) -> GraphError {
    differentiate(model, of, &names(parameters)).unwrap_err()
}

#[test]
fn the_forward_graph_stays_and_the_gradient_follows() {
    let forward = small().finish();
    let made = differentiate(&forward, "loss", &names(&["w"])).unwrap();
    let (before, after) = (forward.graph.unwrap(), made.model.graph.unwrap());
    assert_eq!(after.node[..before.node.len()], before.node);
    assert_eq!((after.input, after.output), (before.input, before.output));
    let last = after.node.last().unwrap();
    assert_eq!(last.output, made.gradients);
    assert_eq!(last.op_type, "FusedMatMul");
}

#[test]
fn parameters_that_can_be_trained_are_found() {
    let model = small().finish();
    assert_eq!(parameters_of(&model, "loss"), names(&["w"]));
    assert_eq!(parameters_of(&model, "nothing"), names(&[]));
}

#[test]
fn inner_values_and_the_scalar_itself_have_gradients_too() {
    let model = small().finish();
    let made = differentiate(&model, "loss", &names(&["y", "loss", "w", "y"])).unwrap();
    assert_eq!(made.gradients.len(), 4);
    assert_eq!(made.gradients[0], made.gradients[3]);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let model = small().finish();
    let told = |of: &str, parameter: &str| error(&model, of, &[parameter]).to_string();
    assert_eq!(
        told("loss", "unused"),
        "`loss` does not depend on the parameter `unused`"
    );
    assert_eq!(told("loss", "v"), "the graph has no value `v`");
    assert_eq!(told("gain", "w"), "the graph has no value `gain`");
    assert_eq!(
        told("y", "w"),
        "`y` has the shape [1 * rows, 2]: expected a scalar"
    );

    let mut old = small().finish();
    old.opset_import[0].version = 12;
    let told = error(&old, "loss", &["w"]).to_string();
    assert_eq!(told, "operator set 12: expected 13 to 22");
}

#[test]
fn graphs_out_of_order_are_malformed() {
    let mut model = small().finish();
    model.graph.as_mut().unwrap().node.swap(0, 1);
    let told = error(&model, "loss", &["w"]).to_string();
    assert_eq!(
        told,
        "`y_node` (Tanh): its input `product` is not made before it"
    );

    let mut model = small().finish();
    let graph = model.graph.as_mut().unwrap();
    graph.node[0].input[0] = "y".into();
    assert!(matches!(
        error(&model, "loss", &["w"]),
        GraphError::Malformed(_)
    ));

    let mut model = small().finish();
    let graph = model.graph.as_mut().unwrap();
    graph.node[1].output[0] = "x".into();
    let told = error(&model, "loss", &["w"]).to_string();
    assert_eq!(
        told,
        "`y_node` (Tanh): its output `x` is made elsewhere too"
    );
}

#[test]
fn operators_without_a_rule_are_refused_with_a_way_out() {
    for (domain, operator, advice) in [
        (
            MICROSOFT,
            "MultiHeadAttention",
            "attn_implementation=\"eager\"",
        ),
        (MICROSOFT, "RotaryEmbedding", "optimum"),
        ("", "Einsum", "matmul"),
        ("", "Conv", "no transformer"),
        ("org.example", "Tanh", "standard operators"),
    ] {
        let mut model = small().finish();
        let node = &mut model.graph.as_mut().unwrap().node[1];
        (node.op_type, node.domain) = (operator.into(), domain.into());
        let error = error(&model, "loss", &["w"]);
        let name = if domain.is_empty() {
            operator.into()
        } else {
            format!("{domain}.{operator}")
        };
        assert_eq!(
            error.to_string(),
            format!("operator `{name}` of node `y_node` is not supported")
        );
        assert!(
            error.hint().unwrap().contains(advice),
            "{operator}: {:?}",
            error.hint()
        );
        // behind it, parameters can be trained
        differentiate(&model, "loss", &names(&["y"])).unwrap();
    }
}

/// A subgraph that reads a value which depends on a parameter is on the way; one that does not is not.
#[test]
fn control_flow_is_refused_only_on_the_way() {
    for (read, refused) in [("product", true), ("x", false)] {
        let mut b = small();
        let condition = b.constant(TensorProto::from_raw("", elem::BOOL, &[], vec![1]));
        let branch = |output: &str| AttributeProto {
            g: Some(GraphProto {
                node: vec![NodeProto {
                    op_type: "Identity".into(),
                    input: names(&[read]),
                    output: names(&[output]),
                    ..NodeProto::default()
                }],
                output: vec![super::super::proto::ValueInfoProto::tensor(
                    output,
                    1,
                    vec![],
                )],
                ..GraphProto::default()
            }),
            r#type: 5,
            ..AttributeProto::default()
        };
        let mut branches = [branch("yes"), branch("no")];
        branches[0].name = "then_branch".into();
        branches[1].name = "else_branch".into();
        b.op_to("", "If", &[&condition], &["chosen"], &branches);
        b.op_to("", "Mul", &["chosen", "y"], &["both"], &[]);
        b.op_to(
            "",
            "ReduceSum",
            &["both"],
            &["total"],
            &[builder::int("keepdims", 0)],
        );
        let model = b.finish();
        let made = differentiate(&model, "total", &names(&["w"]));
        assert_eq!(made.is_err(), refused);
        if let Err(error) = made {
            assert_eq!(
                error.to_string(),
                "operator `If` of node `chosen_node` is not supported"
            );
        }
    }
}

#[test]
fn half_precision_is_refused() {
    let mut b = small();
    b.op_to("", "Cast", &["y"], &["half"], &[builder::int("to", 10)]);
    b.op_to(
        "",
        "ReduceMean",
        &["half"],
        &["mean"],
        &[builder::int("keepdims", 0)],
    );
    let told = error(&b.finish(), "mean", &["w"]).to_string();
    assert!(told.contains("element type 10: expected 1"), "{told}");
}

/// New names keep clear of those in subgraphs too, which must not be hidden.
#[test]
fn new_names_are_new() {
    let mut model = small().finish();
    let graph = model.graph.as_mut().unwrap();
    graph.node[0].name = "Sub_node".into();
    graph.node[0].output[0] = "FusedMatMul".into();
    graph.node[1].input[0] = "FusedMatMul".into();
    let made = differentiate(&model, "loss", &names(&["w"])).unwrap();
    let graph = made.model.graph.unwrap();
    let outputs: Vec<&String> = graph.node.iter().flat_map(|node| &node.output).collect();
    let nodes: Vec<&String> = graph.node.iter().map(|node| &node.name).collect();
    for names in [outputs, nodes] {
        let all = names.len();
        assert_eq!(names.into_iter().collect::<HashSet<_>>().len(), all);
    }
}

/// Any node at all: an operator, inputs that may be missing, attributes of odd values.
fn any_node(number: usize) -> impl Strategy<Value = NodeProto> {
    let mut operators = rules::operators();
    operators.extend([
        "SkipLayerNormalization",
        "EmbedLayerNormalization",
        "BiasGelu",
        "Attention",
    ]);
    let operator = prop::sample::select(operators);
    let constants = ["x", "w", "v", "ids", "ends", "flag", ""];
    let earlier = ["n0", "n1", "n2"][..number]
        .iter()
        .copied()
        .cycle()
        .take(2 * number);
    let pool: Vec<&str> = constants.into_iter().chain(earlier).collect();
    let input = prop::sample::select(pool);
    let value = prop::sample::select(vec![-1, 0, 1, 2, 3, -7, i64::MAX, i64::MIN]);
    let lists = prop::collection::vec(value.clone(), 0..4);
    let inputs = prop::collection::vec(input, 0..5);
    (operator, inputs, 1..4_usize, value, lists, any::<bool>()).prop_map(
        move |(operator, inputs, outputs, value, list, listed)| {
            let scalars = [
                "axis",
                "keepdims",
                "to",
                "transA",
                "batch_dims",
                "start",
                "upper",
            ];
            let mut attribute: Vec<AttributeProto> = scalars
                .iter()
                .map(|name| builder::int(name, value))
                .collect();
            if listed {
                attribute.extend(["axes", "perm"].map(|name| ints(name, &list)));
            }
            attribute.push(AttributeProto {
                name: "value".into(),
                t: Some(TensorProto::from_i64("", &list, &[value])),
                r#type: attribute_type::TENSOR,
                ..AttributeProto::default()
            });
            let output = |i| {
                if i == 0 {
                    format!("n{number}")
                } else {
                    format!("n{number}.{i}")
                }
            };
            NodeProto {
                input: names(&inputs),
                output: (0..outputs).map(output).collect(),
                op_type: operator.into(),
                domain: if listed {
                    String::new()
                } else {
                    MICROSOFT.into()
                },
                attribute,
                ..NodeProto::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Graphs of nonsense give errors or graphs, never a panic.
    #[test]
    fn nonsense_is_no_reason_to_panic(
        nodes in (any_node(0), any_node(1), any_node(2), any_node(3)),
        sizes in prop::collection::vec(prop::sample::select(vec![0, 1, 2, -1, i64::MAX]), 0..4),
    ) {
        let mut b = Builder::new("nonsense");
        let dims: Vec<_> = sizes.iter().map(|&size| size.into()).collect();
        b.input("x", elem::FLOAT, &dims);
        b.input("ids", elem::INT64, &["n".into()]);
        b.initializer(TensorProto::from_raw("w", elem::FLOAT, &sizes, vec![0; 4]));
        b.f32("v", &[2], &[1.0, 2.0]);
        b.initializer(TensorProto::from_i64("ends", &[2], &[1, i64::MAX]));
        b.initializer(TensorProto::from_raw("flag", elem::BOOL, &[1], vec![1]));
        for node in [nodes.0, nodes.1, nodes.2, nodes.3] {
            b.node(node);
        }
        b.op_to("", "ReduceSum", &["n3"], &["loss"], &[builder::int("keepdims", 0)]);
        let model = b.finish();
        for parameter in parameters_of(&model, "loss") {
            let _ = differentiate(&model, "loss", &[parameter]);
        }
        let _ = differentiate(&model, "loss", &names(&["x"]));
    }
}
