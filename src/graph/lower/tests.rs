use super::super::artifacts::{BUNDLED, CHOSEN, Head, REJECTED};
use super::super::builder;
use super::*;

fn names(values: &[ValueInfoProto]) -> Vec<&str> {
    values.iter().map(|v| v.name.as_str()).collect()
}

fn check_defined(graph: &GraphProto) {
    let mut known: HashSet<&str> = names(&graph.input).into_iter().collect();
    known.extend(graph.initializer.iter().map(|t| t.name.as_str()));
    for node in &graph.node {
        for input in node.input.iter().filter(|name| !name.is_empty()) {
            assert!(
                known.contains(input.as_str()),
                "`{input}` used before it is made"
            );
        }
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            assert!(known.insert(output), "`{output}` made twice");
        }
    }
    assert!(names(&graph.output).iter().all(|name| known.contains(name)));
}

#[test]
fn every_head_lowers_to_stock_operators() {
    for name in BUNDLED {
        let head = Head::bundled(name).unwrap().resized(20, 6, 1).unwrap();
        let lowered = head.lower(Some(0.01)).unwrap();
        let step = ModelProto::from_bytes(&lowered.step_onnx)
            .unwrap()
            .graph
            .unwrap();
        let eval = ModelProto::from_bytes(&lowered.eval_onnx)
            .unwrap()
            .graph
            .unwrap();
        for graph in [&step, &eval] {
            check_defined(graph);
            assert_eq!(names(&graph.input)[..2], [CHOSEN, REJECTED]);
            for node in graph.node.iter().filter(|n| !n.domain.is_empty()) {
                assert!(STOCK.contains(&node.op_type.as_str()), "{}", node.op_type);
            }
        }
        let parameters = lowered.parameters.len();
        assert_eq!(step.input.len(), 4 + 3 * parameters);
        assert_eq!(step.output.len(), 3 + 3 * parameters);
        assert_eq!(names(&step.output)[..3], [LOSS, MARGIN, PAIR_LOSS]);
        assert_eq!(eval.input.len(), 2 + parameters);
        assert_eq!(names(&eval.output), [MARGIN, PAIR_LOSS]);
        // the gradients of the features are not wanted, the loss of evaluation neither
        assert!(
            !step
                .node
                .iter()
                .any(|n| n.output.iter().any(|o| o == "chosen_grad"))
        );
        assert!(
            !eval
                .node
                .iter()
                .any(|n| n.op_type == "ReduceMean" && n.output[0] != "norm")
        );
    }
}

#[test]
fn an_unknown_training_operator_is_refused_by_name() {
    let mut b = Builder::new("test");
    let node = NodeProto {
        op_type: "ConvGrad".into(),
        domain: MICROSOFT.into(),
        input: vec!["g".into()],
        output: vec!["dx".into()],
        ..NodeProto::default()
    };
    let error = lower_node(&mut b, node).unwrap_err();
    assert_eq!(
        error.to_string(),
        "training operator `com.microsoft.ConvGrad` of node `dx` is not supported"
    );
    assert!(error.hint().unwrap().contains("standard operators"));
}

#[test]
fn a_rule_without_its_inputs_is_an_error() {
    for (name, rule) in RULES {
        let mut b = Builder::new("test");
        let node = NodeProto {
            op_type: name.into(),
            output: vec!["out".into()],
            ..NodeProto::default()
        };
        let error = rule(&mut b, &node).unwrap_err().to_string();
        assert_eq!(error, format!("`out` ({name}) lacks input 0"));
    }
}

#[test]
fn rules_are_sorted_and_unique() {
    assert!(RULES.is_sorted_by(|a, b| a.0 < b.0));
}

/// Inner values with the names of the result step aside.
#[test]
fn clashing_names_are_renamed() {
    let mut graph = Builder::new("test");
    graph.input(CHOSEN, elem::FLOAT, &["pairs".into()]);
    let value = graph.op("Neg", &[CHOSEN], &[]);
    graph.op_to("", "Sub", &[CHOSEN, &value], &["pair_loss"], &[]);
    graph.op_to("", "Exp", &["pair_loss"], &["margin"], &[]);
    let attributes = [builder::int("keepdims", 0)];
    graph.op_to("", "ReduceMean", &["margin"], &["mean"], &attributes);
    graph.output("mean", elem::FLOAT, &[]);
    let model = eval_model(&graph.finish(), &[]).unwrap();
    let graph = model.graph.unwrap();
    check_defined(&graph);
    let source = |name: &str| {
        let maker = graph.node.iter().find(|n| n.output[0] == name).unwrap();
        maker.input[0].clone()
    };
    assert_eq!(source(MARGIN), "pair_loss.inner");
    assert_eq!(source(PAIR_LOSS), "margin.inner");
}
