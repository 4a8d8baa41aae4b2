//! Operators that are written out, and groups of nodes that become one operator.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use prefclean::graph::builder::{Builder, MICROSOFT, float, int};

use super::{Case, Feed, SINGLE_OPERATOR, Told, census, floats, integers, mapped};
use crate::runtime::runtime;

/// Checks the gradients, and that the graph has `operators` afterwards.
fn becomes(
    what: &str,
    feeds: &[(&str, Feed)],
    wanted: &[&str],
    operators: &[&str],
    build: &dyn Fn(&mut Builder) -> String,
) {
    let Some(environment) = runtime() else {
        return;
    };
    // this one wants to know its tables
    let told_names = !what.starts_with("Embed");
    let case = Case {
        what,
        feeds,
        wanted,
        build,
    };
    for opset in [13, 17, 18, 22] {
        let named = told_names && opset == 13;
        let told = if named { Told::Names } else { Told::Sizes };
        let model = case.check_one(environment, opset, told, SINGLE_OPERATOR);
        let census = census(&model);
        for operator in operators {
            assert!(
                census.contains_key(operator),
                "{what}: {operator} in {census:?}"
            );
        }
    }
}

#[test]
fn written_out_activations() {
    let x = [("x", floats(1, &[2, 6]))];
    for by_division in [true, false] {
        becomes("GELU", &x, &["x"], &["Gelu"], &|b| {
            let (one, half) = (b.scalar(1.0), b.scalar(0.5));
            let inner = if by_division {
                let root = b.scalar(1.0 / FRAC_1_SQRT_2);
                b.call("Div", &["x", &root])
            } else {
                let root = b.scalar(FRAC_1_SQRT_2);
                b.call("Mul", &[&root, "x"])
            };
            let erf = b.call("Erf", &[&inner]);
            let sum = b.call("Add", &[&erf, &one]);
            if by_division {
                let product = b.call("Mul", &["x", &sum]);
                b.call("Mul", &[&product, &half])
            } else {
                let x = b.call("Mul", &["x", &half]);
                b.call("Mul", &[&x, &sum])
            }
        });
    }
    becomes("GELU by tanh", &x, &["x"], &["FastGelu"], &|b| {
        let (one, half, three) = (b.scalar(1.0), b.scalar(0.5), b.scalar(3.0));
        let (cubic, scale) = (
            b.scalar(0.044_715),
            b.scalar(FRAC_2_SQRT_PI * FRAC_1_SQRT_2),
        );
        let x = b.call("Mul", &["x", &half]);
        let cube = b.call("Pow", &["x", &three]);
        let cube = b.call("Mul", &[&cube, &cubic]);
        let sum = b.call("Add", &["x", &cube]);
        let inner = b.call("Mul", &[&sum, &scale]);
        let tanh = b.call("Tanh", &[&inner]);
        let sum = b.call("Add", &[&tanh, &one]);
        b.call("Mul", &[&x, &sum])
    });
    becomes("SiLU", &x, &["x"], &["QuickGelu"], &|b| {
        let sigmoid = b.call("Sigmoid", &["x"]);
        b.call("Mul", &["x", &sigmoid])
    });
    becomes("quick GELU", &x, &["x"], &["QuickGelu"], &|b| {
        let alpha = b.scalar(1.702);
        let inner = b.call("Mul", &["x", &alpha]);
        let sigmoid = b.call("Sigmoid", &[&inner]);
        b.call("Mul", &[&sigmoid, "x"])
    });
    let gated = [x[0].clone(), ("y", floats(2, &[2, 6]))];
    becomes("gated SiLU", &gated, &["x", "y"], &["QuickGelu"], &|b| {
        let sigmoid = b.call("Sigmoid", &["x"]);
        let active = b.call("Mul", &["x", &sigmoid]);
        b.call("Mul", &[&active, "y"])
    });
    // what only looks like it stays as it is
    becomes("no SiLU", &gated, &["x", "y"], &["Sigmoid"], &|b| {
        let sigmoid = b.call("Sigmoid", &["y"]);
        b.call("Mul", &["x", &sigmoid])
    });
    becomes("no GELU", &x, &["x"], &["Erf"], &|b| {
        let (one, half) = (b.scalar(1.0), b.scalar(0.5));
        let erf = b.call("Erf", &["x"]);
        let sum = b.call("Add", &[&erf, &one]);
        let product = b.call("Mul", &["x", &sum]);
        b.call("Mul", &[&product, &half])
    });
}

#[test]
fn written_out_norms() {
    let feeds = [
        ("x", floats(1, &[2, 3, 5])),
        ("gamma", mapped(2, &[5], |x| x + 1.5)),
        ("beta", floats(3, &[5])),
    ];
    let all = ["x", "gamma", "beta"];
    becomes("layer norm", &feeds, &all, &["LayerNormalization"], &|b| {
        let (two, epsilon) = (b.scalar(2.0), b.scalar(1e-5));
        let mean = b.reduce("ReduceMean", "x", &[-1], true);
        let centred = b.call("Sub", &["x", &mean]);
        let square = b.call("Pow", &[&centred, &two]);
        let variance = b.reduce("ReduceMean", &square, &[-1], true);
        let sum = b.call("Add", &[&variance, &epsilon]);
        let deviation = b.call("Sqrt", &[&sum]);
        let normal = b.call("Div", &[&centred, &deviation]);
        let scaled = b.call("Mul", &[&normal, "gamma"]);
        b.call("Add", &[&scaled, "beta"])
    });
    for by_reciprocal in [true, false] {
        let operators = &["SimplifiedLayerNormalization"];
        becomes(
            "root mean square norm",
            &feeds[..2],
            &["x", "gamma"],
            operators,
            &|b| {
                let (one, two, epsilon) = (b.scalar(1.0), b.scalar(2.0), b.scalar(1e-5));
                let x = b.op("Cast", &["x"], &[int("to", 1)]);
                let square = b.call("Pow", &[&x, &two]);
                let mean = b.reduce("ReduceMean", &square, &[2], true);
                let sum = b.call("Add", &[&mean, &epsilon]);
                let root = b.call("Sqrt", &[&sum]);
                let normal = if by_reciprocal {
                    let inverse = b.call("Div", &[&one, &root]);
                    b.call("Mul", &[&x, &inverse])
                } else {
                    b.call("Div", &[&x, &root])
                };
                let normal = b.op("Cast", &[&normal], &[int("to", 1)]);
                b.call("Mul", &["gamma", &normal])
            },
        );
    }
}

#[test]
fn scaled_products() {
    let feeds = [("q", floats(1, &[2, 3, 4])), ("k", floats(2, &[2, 4, 3]))];
    becomes("scores", &feeds, &["q", "k"], &["FusedMatMul"], &|b| {
        let root = b.scalar(2.0);
        let scores = b.call("MatMul", &["q", "k"]);
        b.call("Div", &[&scores, &root])
    });
    becomes(
        "scores read twice",
        &feeds,
        &["q", "k"],
        &["MatMul"],
        &|b| {
            let root = b.scalar(2.0);
            let scores = b.call("MatMul", &["q", "k"]);
            let scaled = b.call("Mul", &[&root, &scores]);
            b.call("Sub", &[&scaled, &scores])
        },
    );
}

#[test]
fn fused_operators() {
    let x = ("x", floats(1, &[2, 3, 5]));
    let bias = ("bias", floats(2, &[5]));
    for (operator, written_out) in [("BiasGelu", "Gelu"), ("FastGelu", "FastGelu")] {
        becomes(
            operator,
            &[x.clone(), bias.clone()],
            &["x", "bias"],
            &[written_out, "Add"],
            &|b| b.op_in(MICROSOFT, operator, &["x", "bias"], &[]),
        );
    }
    let feeds = [
        x.clone(),
        ("skip", floats(3, &[2, 3, 5])),
        ("gamma", mapped(4, &[5], |x| x + 1.5)),
        ("beta", floats(5, &[5])),
        bias,
    ];
    let epsilon = [float("epsilon", 1e-5)];
    let all = ["x", "skip", "gamma", "beta", "bias"];
    becomes(
        "SkipLayerNormalization",
        &feeds,
        &all,
        &["LayerNormalization"],
        &|b| b.op_in(MICROSOFT, "SkipLayerNormalization", &all, &epsilon),
    );
    becomes(
        "SkipLayerNormalization with its sum",
        &feeds,
        &all,
        &["LayerNormalization"],
        &|b| {
            let outputs = ["n", "", "", "sum"];
            b.op_to(
                MICROSOFT,
                "SkipLayerNormalization",
                &all,
                &outputs,
                &epsilon,
            );
            b.call("Add", &["n", "sum"])
        },
    );
    let some = ["x", "skip", "gamma", "bias"];
    let simplified = &["SimplifiedLayerNormalization"];
    becomes(
        "SkipSimplifiedLayerNormalization",
        &feeds,
        &some,
        simplified,
        &|b| {
            b.op_in(
                MICROSOFT,
                "SkipSimplifiedLayerNormalization",
                &some,
                &epsilon,
            )
        },
    );
    let feeds = [
        ("ids", integers(&[2, 3], &[1, 0, 3, 1, 1, 2])),
        ("words", floats(1, &[4, 5])),
        ("places", floats(2, &[6, 5])),
        ("segments", floats(3, &[2, 5])),
        ("gamma", mapped(4, &[5], |x| x + 1.5)),
        ("beta", floats(5, &[5])),
    ];
    let all = ["words", "places", "segments", "gamma", "beta"];
    becomes(
        "EmbedLayerNormalization",
        &feeds,
        &all,
        &["Gather", "LayerNormalization"],
        &|b| {
            let ids = b.op("Cast", &["ids"], &[int("to", 6)]);
            let one = b.constant(prefclean::graph::proto::TensorProto::from_raw(
                "",
                6,
                &[1],
                vec![1, 0, 0, 0],
            ));
            let kinds = b.call("Min", &[&ids, &one]);
            let inputs = [
                ids.as_str(),
                &kinds,
                "words",
                "places",
                "segments",
                "gamma",
                "beta",
            ];
            b.op_to(
                MICROSOFT,
                "EmbedLayerNormalization",
                &inputs,
                &["y", "index"],
                &epsilon,
            );
            b.call("Identity", &["y"])
        },
    );
}
