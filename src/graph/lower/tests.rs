use std::collections::HashSet;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::rules::{RULES, lower_node};
use super::*;
use crate::graph::artifacts::{BUNDLED, CHOSEN, Head, REJECTED};
use crate::graph::builder::{self, MICROSOFT, OPSET};
use crate::graph::checkpoint::Checkpoint;
use crate::graph::proto::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};

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
        let options = LoweringOptions {
            weight_decay: Some(0.01),
            ..LoweringOptions::default()
        };
        let step = graph_of(step_model(head.artifacts(), &options));
        let eval = graph_of(eval_model(head.artifacts(), &options));
        for graph in [&step, &eval] {
            check_defined(graph);
            assert_eq!(names(&graph.input)[..2], [CHOSEN, REJECTED]);
            for node in &graph.node {
                assert!(refused::is_stock(node), "{}", node.op_type);
                assert_ne!(node.op_type, "Identity");
            }
        }
        let parameters = head.parameters().len();
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

/// A graph of the parameters `w` and `frozen` (`[2]`), data `x` (`[pairs, 2]`) and whatever `body`
/// adds; it names the loss. The gradient of `w` is `w` itself.
fn artifacts(opset: i64, body: impl FnOnce(&mut Builder) -> String) -> Artifacts {
    let mut b = Builder::with_opset("test", opset);
    b.input("x", elem::FLOAT, &["pairs".into(), 2.into()]);
    for name in ["w", "frozen"] {
        b.input(name, elem::FLOAT, &[2.into()]);
    }
    let loss = body(&mut b);
    b.output(&loss, elem::FLOAT, &[]);
    let eval = b.finish();
    let mut training = eval.clone();
    let graph = training.graph.as_mut().unwrap();
    for (name, dims) in [("w_grad.accumulation.buffer", 2), ("lazy_reset_grad", 1)] {
        let value = ValueInfoProto::tensor(name, elem::FLOAT, vec![dims.into()]);
        graph.input.push(value);
    }
    graph.node.push(NodeProto {
        op_type: "InPlaceAccumulatorV2".into(),
        domain: MICROSOFT.into(),
        input: ["w_grad.accumulation.buffer", "w", "lazy_reset_grad"]
            .map(str::to_owned)
            .into(),
        output: vec!["w_grad.accumulation.out".into()],
        ..NodeProto::default()
    });
    let parameter = |name: &str, trainable| Parameter {
        name: name.into(),
        dims: vec![2],
        data: vec![1.0, 2.0],
        trainable,
    };
    let checkpoint = Checkpoint {
        parameters: vec![parameter("w", true), parameter("frozen", false)],
        ..Checkpoint::default()
    };
    Artifacts::new(training, eval, OptimizerSettings::default(), checkpoint).unwrap()
}

/// `mean(softplus(-margin))` with values of any name.
fn pair_loss(b: &mut Builder) -> String {
    let product = b.call("Mul", &["x", "w"]);
    let rewards = b.reduce("ReduceSum", &product, &[1], false);
    b.op_to("", "Mul", &["x", "frozen"], &["other"], &[]);
    let others = b.reduce("ReduceSum", "other", &[1], false);
    let margin = b.call("Sub", &[&rewards, &others]);
    let negative = b.call("Neg", &[&margin]);
    let losses = b.call("Softplus", &[&negative]);
    b.op("ReduceMean", &[&losses], &[builder::int("keepdims", 0)])
}

fn graph_of(model: Result<ModelProto, GraphError>) -> GraphProto {
    let graph = model.unwrap().graph.unwrap();
    check_defined(&graph);
    graph
}

#[test]
fn inputs_and_outputs_of_the_five_graphs() {
    let artifacts = artifacts(17, pair_loss);
    let options = LoweringOptions::default();
    let check = |model, inputs: &[&str], outputs: &[&str]| {
        let graph = graph_of(model);
        assert_eq!(names(&graph.input), inputs);
        assert_eq!(names(&graph.output), outputs);
    };
    let measures = [LOSS, MARGIN, PAIR_LOSS];
    let state = ["w", "w.moment1", "w.moment2"];
    let new = ["w.new", "w.moment1.new", "w.moment2.new"];
    let rates = [LEARNING_RATE, STEP];
    check(
        step_model(&artifacts, &options),
        &[&["x"][..], &rates, &state].concat(),
        &[&measures[..], &new].concat(),
    );
    check(
        gradient_model(&artifacts, &options),
        &["x", "w"],
        &[&measures[..], &["w.gradient"]].concat(),
    );
    check(
        accumulate_model(&artifacts, &options),
        &["x", SHARE, "w", "w.accumulated"],
        &[&measures[..], &["w.gradient"]].concat(),
    );
    check(
        update_model(&artifacts, &options),
        &[&rates[..], &["w.gradient"], &state].concat(),
        &new,
    );
    check(
        eval_model(&artifacts, &options),
        &["x", "w"],
        &[MARGIN, PAIR_LOSS],
    );
    let options = LoweringOptions {
        frozen_as_inputs: true,
        ..options
    };
    check(
        eval_model(&artifacts, &options),
        &["x", "w", "frozen"],
        &[MARGIN, PAIR_LOSS],
    );
}

#[test]
fn sgd_has_no_moments() {
    let mut artifacts = artifacts(17, pair_loss);
    artifacts.optimizer = OptimizerSettings::Sgd {
        max_gradient_norm: Some(1.0),
    };
    let graph = graph_of(step_model(&artifacts, &LoweringOptions::default()));
    assert_eq!(names(&graph.input), ["x", LEARNING_RATE, STEP, "w"]);
    assert_eq!(names(&graph.output), [LOSS, MARGIN, PAIR_LOSS, "w.new"]);
}

#[test]
fn the_declared_operator_set_is_at_least_the_default_one() {
    for (own, declared) in [(13, OPSET), (17, 17), (18, 18), (22, 22)] {
        let artifacts = artifacts(own, pair_loss);
        let model = eval_model(&artifacts, &LoweringOptions::default()).unwrap();
        assert_eq!(model.opset(), declared);
    }
    let old = artifacts(12, pair_loss);
    let error = eval_model(&old, &LoweringOptions::default()).unwrap_err();
    assert!(error.to_string().contains("operator set 12"), "{error}");
}

fn node(domain: &str, op_type: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        domain: domain.into(),
        input: vec!["g".into()],
        output: vec!["dx".into()],
        ..NodeProto::default()
    }
}

#[test]
fn operators_beyond_the_table_are_refused_by_name() {
    let refused = |domain: &str, op_type: &str, hint: &str| {
        let mut b = Builder::new("test");
        let error = lower_node(&mut b, node(domain, op_type)).unwrap_err();
        let dot = if domain.is_empty() { "" } else { "." };
        assert_eq!(
            error.to_string(),
            format!("operator `{domain}{dot}{op_type}` of node `dx` is not supported")
        );
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
    };
    refused(MICROSOFT, "ConvGrad", "`frozen_params`");
    refused("", "MaxPoolGrad", "`frozen_params`");
    refused(MICROSOFT, "LSTMGrad", "recurrent");
    refused("org.pytorch.aten", "ATen", "standard operators only");
    refused(MICROSOFT, "NcclAllReduce", "single device");
    refused(MICROSOFT, "FakeQuantGrad", "in f32");
    refused(MICROSOFT, "BitmaskDropout", "evaluation mode");
    refused(MICROSOFT, "Unheard", "standard operators");
    refused("pkg.transformers", "Layer", "inline");
}

#[test]
fn subgraphs_are_looked_into() {
    let inside = |inner: NodeProto| {
        let mut outer = node("", "If");
        outer.attribute.push(AttributeProto {
            name: "then_branch".into(),
            g: Some(GraphProto {
                node: vec![inner],
                ..GraphProto::default()
            }),
            ..AttributeProto::default()
        });
        lower_node(&mut Builder::new("test"), outer)
    };
    inside(node("", "Identity")).unwrap();
    let error = inside(node(MICROSOFT, "ConvGrad")).unwrap_err().to_string();
    assert!(error.contains("ConvGrad"), "{error}");
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

/// What makes a value, and from what.
fn maker<'a>(graph: &'a GraphProto, name: &str) -> (&'a str, &'a str) {
    let node = graph.node.iter().find(|n| n.output[0] == name).unwrap();
    (&node.op_type, &node.input[0])
}

#[test]
fn inner_values_with_reserved_names_step_aside() {
    let artifacts = artifacts(17, |b| {
        b.op_to("", "Neg", &["x"], &[STEP], &[]);
        b.op_to("", "Exp", &["x"], &[SHARE], &[]);
        b.op_to("", "Sub", &[SHARE, STEP], &["loss"], &[]);
        b.op_to("", "Exp", &["loss"], &["w.gradient"], &[]);
        let attributes = [builder::int("keepdims", 0)];
        b.op("ReduceMean", &["w.gradient"], &attributes)
    });
    let graph = graph_of(step_model(&artifacts, &LoweringOptions::default()));
    assert_eq!(maker(&graph, LOSS), ("ReduceMean", "w.gradient.inner"));
    // not known to be vectors
    assert_eq!(maker(&graph, MARGIN), ("Reshape", "loss.inner"));
    assert_eq!(maker(&graph, PAIR_LOSS), ("Reshape", "w.gradient.inner"));
}

/// Where values are called margin and loss of pairs, they are taken, whatever the loss's form.
#[test]
fn named_measures_are_taken() {
    let artifacts = artifacts(17, |b| {
        b.op_to("", "Exp", &["x"], &[MARGIN], &[]);
        b.op_to("", "Neg", &[MARGIN], &[PAIR_LOSS], &[]);
        let weighted = b.call("Sub", &[PAIR_LOSS, "x"]);
        b.reduce("ReduceSum", &weighted, &[], false)
    });
    let graph = graph_of(eval_model(&artifacts, &LoweringOptions::default()));
    assert_eq!(maker(&graph, MARGIN).1, "margin.inner");
    assert_eq!(maker(&graph, PAIR_LOSS).1, "pair_loss.inner");
    assert_eq!(maker(&graph, "margin.inner"), ("Exp", "x"));
}

/// The stable form of the loss has a difference of its own, nearer than that of the rewards.
#[test]
fn the_margin_is_a_difference_of_rewards() {
    let artifacts = artifacts(17, |b| {
        let [chosen, rejected] = ["Exp", "Abs"].map(|op| b.call(op, &["x"]));
        b.op_to("", "Sub", &[&chosen, &rejected], &["m"], &[]);
        let size = b.call("Abs", &["m"]);
        let twice = b.call("Sub", &[&size, "m"]);
        let shifted = b.call("Sub", &[&twice, "w"]);
        b.op("ReduceMean", &[&shifted], &[builder::int("keepdims", 0)])
    });
    let graph = graph_of(eval_model(&artifacts, &LoweringOptions::default()));
    assert_eq!(maker(&graph, MARGIN), ("Reshape", "m"));
}

#[test]
fn products_are_rounded_and_nothing_else() {
    let halves = |graph: &GraphProto| {
        let casts = graph.node.iter().filter(|n| n.op_type == "Cast");
        let half = i64::from(elem::BFLOAT16);
        casts.filter(|n| n.int("to", 0) == half).count()
    };
    let is_product =
        |node: &&NodeProto| ["MatMul", "FusedMatMul", "Gemm"].contains(&node.op_type.as_str());
    let options = LoweringOptions {
        precision: Precision::Bf16,
        ..LoweringOptions::default()
    };
    for recompute in [false, true] {
        let options = LoweringOptions {
            recompute,
            ..options
        };
        let graph = graph_of(step_model(&MODERNBERT, &options));
        let products = graph.node.iter().filter(is_product);
        let rounded = products.filter(|n| n.input.iter().all(|name| name.contains(".half")));
        let count = rounded.count();
        assert!(count > 20);
        // the rotary angles: made of constants and data
        assert!(count < graph.node.iter().filter(is_product).count());
        assert!(halves(&graph) < 2 * count, "each value is rounded once");
    }
    let options = LoweringOptions {
        precision: Precision::F16,
        ..options
    };
    // what is small next to the rest of its tensor may vanish, a tensor of small numbers does not
    let graph = graph_of(gradient_model(&MODERNBERT, &options));
    let sizes = graph.node.iter().filter(|n| n.op_type == "ReduceMax");
    assert!(sizes.count() > 20, "operands are divided by their size");
}

#[test]
fn broken_graphs_are_errors() {
    let error_of = |change: &dyn Fn(&mut GraphProto)| {
        let mut artifacts = artifacts(17, pair_loss);
        change(artifacts.training.graph.as_mut().unwrap());
        let model = step_model(&artifacts, &LoweringOptions::default());
        model.unwrap_err().to_string()
    };
    let cycle = error_of(&|graph| graph.node.reverse());
    assert!(cycle.contains("before it is made"), "{cycle}");
    let twice = error_of(&|graph| graph.node.insert(0, graph.node[0].clone()));
    assert!(twice.contains("made twice"), "{twice}");
    let missing = error_of(&|graph| drop(graph.node.pop()));
    assert!(missing.contains("`w` has no gradient"), "{missing}");
    let no_loss = error_of(&|graph| graph.output.clear());
    assert!(no_loss.contains("is not a mean over pairs"), "{no_loss}");
    let unknown = error_of(&|graph| {
        let node = graph.node.last_mut().unwrap();
        node.input[0] = "other_grad.accumulation.buffer".into();
    });
    assert!(unknown.contains("`w` has no gradient"), "{unknown}");
}

static MODERNBERT: LazyLock<Artifacts> = LazyLock::new(|| {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    Artifacts::read(&root.join("tests/parity/data/models/modernbert")).unwrap()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever is wrong with a graph, it is an error or a graph whose nodes are in order.
    #[test]
    fn damaged_graphs_never_panic(
        changes in proptest::collection::vec((any::<usize>(), any::<usize>(), 0..8, any::<i64>()), 1..6),
    ) {
        let mut artifacts = MODERNBERT.clone();
        let graph = artifacts.training.graph.as_mut().unwrap();
        for (place, second, kind, number) in changes {
            let count = graph.node.len();
            let other = graph.node[second % count].clone();
            let node = &mut graph.node[place % count];
            match kind {
                0 => drop(node.input.pop()),
                1 => drop(node.output.pop()),
                2 => node.input.clone_from(&other.input),
                3 => node.output.clone_from(&other.output),
                4 => node.attribute.iter_mut().for_each(|a| a.i = number),
                5 => node.attribute.clear(),
                6 => node.op_type = other.op_type,
                _ => graph.node.swap(place % count, second % count),
            }
        }
        let options = LoweringOptions::default();
        let again = LoweringOptions { recompute: true, ..options };
        let models = [step_model(&artifacts, &options), step_model(&artifacts, &again)];
        for model in models.into_iter().flatten() {
            check_defined(&model.graph.unwrap());
        }
    }
}

/// `second` and `first` are the gradients of the second and the first of two layers.
#[test]
fn gradients_are_ordered_for_what_they_keep() {
    let node = |inputs: &[&str], output: &str| NodeProto {
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        op_type: "Mul".into(),
        ..NodeProto::default()
    };
    let mut graph = GraphProto {
        node: vec![
            node(&["loss", "y"], "g2"),
            node(&["g2", "x"], "g1"),
            node(&["g2", "y"], "second"),
            node(&["g1", "x"], "first"),
        ],
        ..GraphProto::default()
    };
    let gradients = ["first", "second"].map(str::to_owned);
    let order = |graph: &GraphProto| -> Vec<String> {
        graph
            .node
            .iter()
            .map(|node| node.output[0].clone())
            .collect()
    };
    super::order::gradients_last(&mut graph, &gradients);
    assert_eq!(order(&graph), ["g2", "g1", "first", "second"]);
    super::order::gradients_soonest(&mut graph, &gradients);
    assert_eq!(order(&graph), ["g2", "second", "g1", "first"]);
}
