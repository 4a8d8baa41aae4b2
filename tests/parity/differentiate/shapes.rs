//! Broadcasting and what is known of shapes, drawn at random.

use prefclean::graph::builder::Builder;
use prefclean::graph::differentiate::differentiate;
use prefclean::graph::proto::{ModelProto, elem};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{ALL_TOLD, Case, SINGLE_OPERATOR, Told, census, floats};
use crate::runtime::runtime;

/// A few cases each: a session is made for every one.
fn runner() -> TestRunner {
    TestRunner::new(Config {
        cases: 100,
        failure_persistence: None,
        ..Config::default()
    })
}

fn told() -> impl Strategy<Value = Told> {
    prop::sample::select(ALL_TOLD.to_vec())
}

fn opset() -> impl Strategy<Value = i64> {
    13..=22_i64
}

/// A shape, and it with some sizes made 1 and some leading ones left out.
fn broadcast_pair() -> impl Strategy<Value = (Vec<i64>, Vec<i64>)> {
    let whole = prop::collection::vec(1..4_i64, 0..4);
    let part = |whole: Vec<i64>| {
        let rank = whole.len();
        let kept = prop::collection::vec(any::<bool>(), rank);
        (Just(whole), kept, 0..=rank).prop_map(|(whole, kept, lead)| {
            let sizes = whole.iter().zip(kept).skip(lead);
            let part = sizes
                .map(|(&size, kept)| if kept { size } else { 1 })
                .collect();
            (whole, part)
        })
    };
    whole.prop_flat_map(part)
}

#[test]
fn operands_of_any_shape() {
    let Some(environment) = runtime() else {
        return;
    };
    let operators = prop::sample::select(vec!["Add", "Sub", "Mul", "Div", "Sum"]);
    let cases = (broadcast_pair(), operators, any::<bool>(), opset(), told());
    let run = |((whole, part), operator, swapped, opset, told): (_, &str, bool, i64, Told)| {
        let (a, b): (Vec<i64>, Vec<i64>) = if swapped {
            (part, whole)
        } else {
            (whole, part)
        };
        let positive = super::mapped(2, &b, |x| x.abs() + 0.5);
        let feeds = [("a", floats(1, &a)), ("b", positive)];
        let case = Case {
            what: &format!("{operator} of {a:?} and {b:?}"),
            feeds: &feeds,
            wanted: &["a", "b"],
            build: &|b| b.call(operator, &["a", "b"]),
        };
        case.check_one(environment, opset, told, SINGLE_OPERATOR);
        Ok(())
    };
    runner().run(&cases, run).unwrap();
}

#[test]
fn products_of_any_shape() {
    let Some(environment) = runtime() else {
        return;
    };
    let sizes = (1..4_i64, 1..4_i64, 1..4_i64);
    let cases = (broadcast_pair(), sizes, any::<bool>(), opset(), told());
    let run = |((whole, part), (m, k, n), swapped, opset, told): (_, _, bool, i64, Told)| {
        let (a, b): (Vec<i64>, Vec<i64>) = if swapped {
            (part, whole)
        } else {
            (whole, part)
        };
        let (a, b) = (
            [a.as_slice(), &[m, k]].concat(),
            [b.as_slice(), &[k, n]].concat(),
        );
        let case = Case {
            what: &format!("MatMul of {a:?} and {b:?}"),
            feeds: &[("a", floats(1, &a)), ("b", floats(2, &b))],
            wanted: &["a", "b"],
            build: &|b| b.call("MatMul", &["a", "b"]),
        };
        case.check_one(environment, opset, told, SINGLE_OPERATOR);
        Ok(())
    };
    runner().run(&cases, run).unwrap();
}

#[test]
fn conditions_of_any_shape() {
    let Some(environment) = runtime() else {
        return;
    };
    let cases = (broadcast_pair(), any::<bool>(), opset(), told());
    let run = |((whole, part), swapped, opset, told): ((Vec<i64>, Vec<i64>), bool, i64, Told)| {
        let (c, x) = if swapped {
            (&part, &whole)
        } else {
            (&whole, &part)
        };
        let case = Case {
            what: &format!("Where of {c:?} and {x:?}"),
            feeds: &[
                ("c", floats(1, c)),
                ("x", floats(2, x)),
                ("y", floats(3, &part)),
            ],
            wanted: &["x", "y"],
            build: &|b| {
                let zero = b.scalar(0.0);
                let condition = b.call("Greater", &["c", &zero]);
                b.call("Where", &[&condition, "x", "y"])
            },
        };
        case.check_one(environment, opset, told, SINGLE_OPERATOR);
        Ok(())
    };
    runner().run(&cases, run).unwrap();
}

/// A layer whose mean is differentiated: the backward pass has as few nodes as can be.
fn layer(told: Told) -> ModelProto {
    let mut b = Builder::new("layer");
    b.input("x", elem::FLOAT, &told.dims(&[2, 3, 4]));
    b.input("w", elem::FLOAT, &[4.into(), 4.into()]);
    b.input("bias", elem::FLOAT, &[4.into()]);
    let product = b.call("MatMul", &["x", "w"]);
    let sum = b.call("Add", &[&product, "bias"]);
    let sum = b.call("Add", &[&sum, "x"]);
    let y = b.call("Tanh", &[&sum]);
    let mean = b.reduce("ReduceMean", &y, &[], false);
    b.output(&mean, elem::FLOAT, &[]);
    let model = b.finish();
    let wanted = ["w", "bias"].map(str::to_owned);
    differentiate(&model, &mean, &wanted).unwrap().model
}

/// Named sizes serve as well as numbers, but for the number of elements of the mean.
#[test]
fn known_shapes_are_not_computed() {
    for (told, shapes) in [(Told::Sizes, 0), (Told::Names, 1)] {
        let model = layer(told);
        let census = census(&model);
        assert_eq!(
            census.get("Shape").copied().unwrap_or(0),
            shapes,
            "{told:?}"
        );
        assert_eq!(census["FusedMatMul"], 1);
        assert_eq!(census["ReduceSum"], 1);
    }
}
