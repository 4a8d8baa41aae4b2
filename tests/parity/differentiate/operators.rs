//! Every operator with a rule, one at a time.

use prefclean::graph::builder::{Builder, MICROSOFT, float, int, ints, text};
use prefclean::graph::proto::TensorProto;

use super::{Case, Feed, floats, integers, mapped};
use crate::runtime::runtime;

type Build<'a> = &'a dyn Fn(&mut Builder) -> String;

const OPSETS: [i64; 4] = [17, 13, 18, 22];

fn one(what: &str, feeds: &[(&str, Feed)], wanted: &[&str], build: Build<'_>) {
    opsets(what, feeds, wanted, &OPSETS, build);
}

fn opsets(what: &str, feeds: &[(&str, Feed)], wanted: &[&str], opsets: &[i64], build: Build<'_>) {
    let Some(environment) = runtime() else {
        return;
    };
    let case = Case {
        what,
        feeds,
        wanted,
        build,
    };
    case.check(environment, opsets);
}

/// Away from 0, where some functions have no slope.
fn off_zero(value: f32) -> f32 {
    value + 0.3 * value.signum()
}

/// Values that differ from each other and from 0 by more than the steps of the differences.
fn apart(seed: u64, dims: &[i64]) -> Feed {
    let Feed::Floats(dims, noise) = floats(seed, dims) else {
        unreachable!()
    };
    let mut order: Vec<usize> = (0..noise.len()).collect();
    order.sort_by(|&a, &b| noise[a].total_cmp(&noise[b]));
    let mut values = vec![0.0; noise.len()];
    for (rank, at) in order.into_iter().enumerate() {
        let rank = f32::from(u16::try_from(rank).unwrap());
        let half = f32::from(u16::try_from(noise.len() / 2).unwrap());
        values[at] = 0.1 * (rank - half) + 0.045;
    }
    Feed::Floats(dims, values)
}

#[test]
fn functions_of_one_value() {
    let anywhere = floats(1, &[2, 3]);
    let kinked = mapped(2, &[2, 3], off_zero);
    let positive = mapped(3, &[2, 3], |x| x.abs() + 0.5);
    let plain = [
        ("Neg", &anywhere),
        ("Exp", &anywhere),
        ("Erf", &anywhere),
        ("Sin", &anywhere),
        ("Cos", &anywhere),
        ("Sigmoid", &anywhere),
        ("Tanh", &anywhere),
        ("Softplus", &anywhere),
        ("Identity", &anywhere),
        ("Dropout", &anywhere),
        ("Softmax", &anywhere),
        ("LogSoftmax", &anywhere),
        ("Transpose", &anywhere),
        ("Flatten", &anywhere),
        ("Abs", &kinked),
        ("Relu", &kinked),
        ("LeakyRelu", &kinked),
        ("Sqrt", &positive),
        ("Log", &positive),
        ("Reciprocal", &positive),
    ];
    for (operator, x) in plain {
        one(operator, &[("x", x.clone())], &["x"], &|b| {
            b.call(operator, &["x"])
        });
    }
}

#[test]
fn activations_of_the_runtime() {
    let x = floats(1, &[2, 5]);
    let x = [("x", x)];
    for operator in ["Gelu", "FastGelu", "QuickGelu"] {
        one(operator, &x, &["x"], &|b| {
            b.op_in(MICROSOFT, operator, &["x"], &[])
        });
    }
    one("SiLU", &x, &["x"], &|b| {
        b.op_in(MICROSOFT, "QuickGelu", &["x"], &[float("alpha", 1.0)])
    });
    one("LeakyRelu", &x, &["x"], &|b| {
        b.op("LeakyRelu", &["x"], &[float("alpha", 0.2)])
    });
    opsets("Gelu-20", &x, &["x"], &[20, 22], &|b| {
        b.call("Gelu", &["x"])
    });
    opsets("Gelu-20 tanh", &x, &["x"], &[20], &|b| {
        b.op("Gelu", &["x"], &[text("approximate", "tanh")])
    });
}

#[test]
fn two_operands() {
    let x = apart(1, &[2, 3]);
    let Feed::Floats(_, values) = apart(2, &[2, 3]) else {
        return;
    };
    let y = Feed::Floats(vec![2, 3], values.iter().map(|y| y + 0.05).collect());
    for operator in ["Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean"] {
        let feeds = [("x", x.clone()), ("y", y.clone())];
        one(operator, &feeds, &["x", "y"], &|b| {
            b.call(operator, &["x", "y"])
        });
        one(operator, &feeds, &["y"], &|b| b.call(operator, &["x", "y"]));
    }
    let base = mapped(3, &[2, 3], |x| x.abs() + 0.5);
    let feeds = [("x", x.clone()), ("y", base.clone())];
    one("Div", &feeds, &["x", "y"], &|b| b.call("Div", &["x", "y"]));
    let feeds = [("x", base), ("y", y.clone())];
    one("Pow", &feeds, &["x", "y"], &|b| b.call("Pow", &["x", "y"]));
    for exponent in [2.0, 3.0, 0.5, -1.0] {
        one("Pow of a constant", &feeds, &["x"], &|b| {
            let exponent = b.scalar(exponent);
            b.call("Pow", &["x", &exponent])
        });
    }
    one("Pow of an integer", &feeds, &["x"], &|b| {
        let exponent = b.ints(&[3]);
        b.call("Pow", &["x", &exponent])
    });
    one("a square", &[("x", x)], &["x"], &|b| {
        b.call("Mul", &["x", "x"])
    });
    let values = |dims: &[i64], values: &[f32]| Feed::Floats(dims.to_vec(), values.to_vec());
    let three = [
        ("x", values(&[3], &[-0.9, 0.1, 0.7])),
        ("y", values(&[2, 3], &[0.5, -0.4, 0.2, -0.7, 0.55, 0.95])),
        ("z", values(&[2, 1], &[0.37, -0.23])),
    ];
    for operator in ["Sum", "Mean", "Max", "Min"] {
        one(operator, &three, &["x", "y", "z"], &|b| {
            b.call(operator, &["x", "y", "z"])
        });
    }
}

/// Tied elements share the gradient: the slope to the right and to the left is that of half.
#[test]
fn ties_share_the_gradient() {
    let zeros = || Feed::Floats(vec![2], vec![0.5; 2]);
    one(
        "Max of equals",
        &[("x", zeros()), ("y", zeros())],
        &["x", "y"],
        &|b| b.call("Max", &["x", "y"]),
    );
    one("ReduceMax of equals", &[("x", zeros())], &["x"], &|b| {
        b.reduce("ReduceMax", "x", &[0], true)
    });
}

#[test]
fn choices() {
    let x = Feed::Floats(vec![2, 3], vec![-2.0, -0.4, 0.1, 0.3, 0.8, 2.0]);
    let x = [
        ("x", x),
        ("low", Feed::Floats(vec![], vec![-0.7])),
        ("high", Feed::Floats(vec![], vec![0.6])),
    ];
    one("Clip", &x, &["x", "low", "high"], &|b| {
        b.call("Clip", &["x", "low", "high"])
    });
    one("Clip below", &x, &["x"], &|b| b.call("Clip", &["x", "low"]));
    one("Clip above", &x, &["x", "high"], &|b| {
        b.call("Clip", &["x", "", "high"])
    });
    let feeds = [
        ("c", floats(1, &[2, 3])),
        ("x", floats(2, &[3])),
        ("y", floats(3, &[2, 1])),
    ];
    one("Where", &feeds, &["x", "y"], &|b| {
        let zero = b.scalar(0.0);
        let condition = b.call("Greater", &["c", &zero]);
        b.call("Where", &[&condition, "x", "y"])
    });
}

#[test]
fn softmax_axes() {
    for axis in [-1, 0, 1] {
        for operator in ["Softmax", "LogSoftmax"] {
            one(operator, &[("x", floats(1, &[2, 3, 2]))], &["x"], &|b| {
                b.op(operator, &["x"], &[int("axis", axis)])
            });
        }
    }
}

#[test]
fn matrix_products() {
    let shapes: [(&[i64], &[i64]); 11] = [
        (&[2, 3], &[3, 4]),
        (&[5, 2, 3], &[3, 4]),
        (&[2, 2, 2, 3], &[3, 4]),
        (&[2, 3], &[5, 3, 4]),
        (&[5, 2, 3], &[5, 3, 4]),
        (&[1, 2, 3], &[5, 3, 4]),
        (&[2, 1, 2, 3], &[5, 3, 2]),
        (&[3], &[3]),
        (&[3], &[3, 4]),
        (&[3], &[5, 3, 4]),
        (&[5, 2, 3], &[3]),
    ];
    for (a, b) in shapes {
        let feeds = [("a", floats(1, a)), ("b", floats(2, b))];
        let what = format!("MatMul of {a:?} and {b:?}");
        one(&what, &feeds, &["a", "b"], &|b| {
            b.call("MatMul", &["a", "b"])
        });
    }
    one(
        "MatMul of a value with itself",
        &[("a", floats(1, &[2, 3, 3]))],
        &["a"],
        &|b| b.call("MatMul", &["a", "a"]),
    );
}

#[test]
fn fused_and_general_products() {
    for turned in [[0, 0], [1, 0], [0, 1], [1, 1]] {
        let attributes = [
            int("transA", turned[0]),
            int("transB", turned[1]),
            float("alpha", 0.7),
        ];
        let matrix = |seed, rows, columns, turned, lead: &[i64]| {
            let matrix = if turned == 0 {
                [rows, columns]
            } else {
                [columns, rows]
            };
            floats(seed, &[lead, &matrix].concat())
        };
        for (lead_a, lead_b) in [
            (&[][..], &[][..]),
            (&[2], &[]),
            (&[2, 3], &[3]),
            (&[], &[2]),
        ] {
            let a = matrix(1, 2, 3, turned[0], lead_a);
            let b = matrix(2, 3, 4, turned[1], lead_b);
            one(
                &format!("FusedMatMul {turned:?} {lead_a:?} {lead_b:?}"),
                &[("a", a), ("b", b)],
                &["a", "b"],
                &|b| b.op_in(MICROSOFT, "FusedMatMul", &["a", "b"], &attributes),
            );
        }
        for bias in [&[4][..], &[1, 4], &[2, 4], &[2, 1], &[]] {
            let feeds = [
                ("a", matrix(1, 2, 3, turned[0], &[])),
                ("b", matrix(2, 3, 4, turned[1], &[])),
                ("c", floats(3, bias)),
            ];
            let attributes = [attributes.as_slice(), &[float("beta", 0.3)]].concat();
            one(
                &format!("Gemm {turned:?} {bias:?}"),
                &feeds,
                &["a", "b", "c"],
                &|b| b.op("Gemm", &["a", "b", "c"], &attributes),
            );
        }
    }
}

#[test]
fn norms() {
    let feeds = [
        ("x", floats(1, &[2, 3, 5])),
        ("gamma", mapped(2, &[5], |x| x + 1.5)),
        ("beta", floats(3, &[5])),
    ];
    let epsilon = [float("epsilon", 1e-5), int("axis", -1)];
    for axis in [-1, 2] {
        let attributes = [float("epsilon", 1e-5), int("axis", axis)];
        one(
            "LayerNormalization",
            &feeds,
            &["x", "gamma", "beta"],
            &|b| b.op("LayerNormalization", &["x", "gamma", "beta"], &attributes),
        );
    }
    one(
        "LayerNormalization without beta",
        &feeds,
        &["x", "gamma"],
        &|b| b.op("LayerNormalization", &["x", "gamma"], &epsilon),
    );
    one(
        "LayerNormalization with its mean",
        &feeds,
        &["x", "gamma", "beta"],
        &|b| {
            b.op_to(
                "",
                "LayerNormalization",
                &["x", "gamma", "beta"],
                &["n", "m"],
                &epsilon,
            );
            b.call("Identity", &["n"])
        },
    );
    one(
        "SimplifiedLayerNormalization",
        &feeds,
        &["x", "gamma"],
        &|b| b.op("SimplifiedLayerNormalization", &["x", "gamma"], &epsilon),
    );
}

#[test]
fn reductions() {
    let x = [("x", apart(1, &[2, 3, 4]))];
    let operators = [
        "ReduceSum",
        "ReduceMean",
        "ReduceMax",
        "ReduceMin",
        "ReduceL1",
        "ReduceL2",
        "ReduceSumSquare",
        "ReduceLogSumExp",
    ];
    for operator in operators {
        for axes in [&[][..], &[1], &[-1], &[0, 2]] {
            for keep in [true, false] {
                let what = format!("{operator} over {axes:?}, kept: {keep}");
                one(&what, &x, &["x"], &|b| b.reduce(operator, "x", axes, keep));
            }
        }
    }
    // axes that are only known when the graph runs
    let feeds = [x[0].clone(), ("axes", integers(&[1], &[1]))];
    for keep in [0, 1] {
        one("ReduceSum over given axes", &feeds, &["x"], &|b| {
            b.op("ReduceSum", &["x", "axes"], &[int("keepdims", keep)])
        });
        opsets("ReduceMean over given axes", &feeds, &["x"], &[18], &|b| {
            b.op("ReduceMean", &["x", "axes"], &[int("keepdims", keep)])
        });
    }
}

#[test]
fn rearrangements() {
    let x = [("x", floats(1, &[2, 3, 4]))];
    one("Transpose", &x, &["x"], &|b| {
        b.op("Transpose", &["x"], &[ints("perm", &[2, 0, 1])])
    });
    for shape in [
        &[6, 4][..],
        &[0, -1],
        &[24],
        &[-1, 2, 3],
        &[2, 0, 2, 2],
        &[1, 2, 1, 3, 4],
    ] {
        one(&format!("Reshape to {shape:?}"), &x, &["x"], &|b| {
            let shape = b.ints(shape);
            b.call("Reshape", &["x", &shape])
        });
    }
    for axis in [0, 1, 2, 3, -1] {
        one("Flatten", &x, &["x"], &|b| {
            b.op("Flatten", &["x"], &[int("axis", axis)])
        });
    }
    one("Unsqueeze", &x, &["x"], &|b| {
        let axes = b.ints(&[0, -1]);
        b.call("Unsqueeze", &["x", &axes])
    });
    let thin = [("x", floats(1, &[1, 3, 1]))];
    one("Squeeze", &thin, &["x"], &|b| {
        let axes = b.ints(&[-1]);
        b.call("Squeeze", &["x", &axes])
    });
    one("Squeeze of all", &thin, &["x"], &|b| {
        b.call("Squeeze", &["x"])
    });
    for shape in [&[2, 3, 4][..], &[3, 4], &[5, 1, 3, 1], &[1]] {
        one(&format!("Expand to {shape:?}"), &thin, &["x"], &|b| {
            let shape = b.ints(shape);
            b.call("Expand", &["x", &shape])
        });
    }
    let shape = [thin[0].clone(), ("shape", integers(&[3], &[2, 3, 4]))];
    one("Expand to a given shape", &shape, &["x"], &|b| {
        b.call("Expand", &["x", "shape"])
    });
    one("Tile", &x, &["x"], &|b| {
        let repeats = b.ints(&[2, 1, 3]);
        b.call("Tile", &["x", &repeats])
    });
    opsets("Trilu", &x, &["x"], &[14, 17], &|b| {
        b.op("Trilu", &["x"], &[int("upper", 0)])
    });
    one("Cast to f32", &x, &["x"], &|b| {
        b.op("Cast", &["x"], &[int("to", 1)])
    });
}

#[test]
fn cuts_and_joins() {
    let x = [("x", floats(1, &[4, 5]))];
    let slices: [[&[i64]; 4]; 8] = [
        [&[1], &[3], &[0], &[1]],
        [&[0], &[i64::MAX], &[1], &[1]],
        [&[-2], &[i64::MAX], &[1], &[1]],
        [&[1, 2], &[-1, 4], &[0, 1], &[1, 1]],
        [&[-100], &[100], &[-1], &[1]],
        [&[3], &[0], &[0], &[-1]],
        [&[0], &[5], &[1], &[2]],
        [&[2], &[3], &[1], &[1]],
    ];
    for [starts, ends, axes, steps] in slices {
        let what = format!("Slice from {starts:?} to {ends:?} of {axes:?} by {steps:?}");
        one(&what, &x, &["x"], &|b| {
            let values = [starts, ends, axes, steps].map(|values| b.ints(values));
            let [starts, ends, axes, steps] = values.each_ref().map(String::as_str);
            b.call("Slice", &["x", starts, ends, axes, steps])
        });
    }
    let given = [
        x[0].clone(),
        ("from", integers(&[1], &[-3])),
        ("to", integers(&[1], &[-1])),
    ];
    one("Slice between given places", &given, &["x"], &|b| {
        b.call("Slice", &["x", "from", "to"])
    });
    one("Split", &x, &["x"], &|b| {
        let sizes = b.ints(&[2, 3]);
        b.op_to(
            "",
            "Split",
            &["x", &sizes],
            &["first", "second"],
            &[int("axis", 1)],
        );
        let second = b.reduce("ReduceSum", "second", &[1], true);
        b.call("Mul", &["first", &second])
    });
    one("Split with a part unused", &x, &["x"], &|b| {
        let sizes = b.ints(&[1, 3, 1]);
        b.op_to(
            "",
            "Split",
            &["x", &sizes],
            &["p", "q", "r"],
            &[int("axis", -1)],
        );
        b.call("Neg", &["q"])
    });
    one("Split in halves", &x, &["x"], &|b| {
        let attributes = if b.opset() < 18 {
            vec![]
        } else {
            vec![int("num_outputs", 2)]
        };
        b.op_to("", "Split", &["x"], &["p", "q"], &attributes);
        b.call("Mul", &["p", "q"])
    });
    let parts = [
        ("x", floats(1, &[2, 3])),
        ("y", floats(2, &[2, 1])),
        ("z", floats(3, &[2, 2])),
    ];
    for wanted in [&["x", "y", "z"][..], &["x"], &["y"], &["z"], &["x", "z"]] {
        one(&format!("Concat for {wanted:?}"), &parts, wanted, &|b| {
            b.op("Concat", &["x", "y", "z"], &[int("axis", -1)])
        });
    }
    one("Concat of one", &parts, &["x"], &|b| {
        b.op("Concat", &["x"], &[int("axis", 0)])
    });
    one("Pad", &x, &["x"], &|b| {
        let pads = b.ints(&[1, 0, 2, 3]);
        b.call("Pad", &["x", &pads])
    });
}

#[test]
fn picks() {
    let x = [("x", floats(1, &[4, 3, 2]))];
    for axis in [0, 1, -1] {
        for (dims, indices) in [
            (&[3][..], &[1, 1, -1][..]),
            (&[2, 2], &[0, 1, 1, 0]),
            (&[], &[1]),
            (&[], &[-1]),
            (&[1], &[0]),
        ] {
            one(
                &format!("Gather {indices:?} along {axis}"),
                &x,
                &["x"],
                &|b| {
                    let indices = b.constant(TensorProto::from_i64("", dims, indices));
                    b.op("Gather", &["x", &indices], &[int("axis", axis)])
                },
            );
        }
        let given = [x[0].clone(), ("at", integers(&[2, 2], &[0, 1, 1, -1]))];
        one("Gather at given places", &given, &["x"], &|b| {
            b.op("Gather", &["x", "at"], &[int("axis", axis)])
        });
    }
    let table = [
        ("x", floats(1, &[4, 3])),
        ("at", integers(&[2, 2], &[1, 0, 1, -1])),
    ];
    for axis in [1, -1, 0] {
        one("GatherElements", &table, &["x"], &|b| {
            b.op("GatherElements", &["x", "at"], &[int("axis", axis)])
        });
    }
    let places = [x[0].clone(), ("at", integers(&[3, 2], &[1, 2, 3, 0, 1, 2]))];
    one("GatherND", &places, &["x"], &|b| {
        b.call("GatherND", &["x", "at"])
    });
}

#[test]
fn the_cross_entropy_loss() {
    for reduction in ["mean", "sum", "none"] {
        let feeds = [
            ("x", floats(1, &[3, 4])),
            ("labels", integers(&[3], &[1, 3, 0])),
        ];
        one(reduction, &feeds, &["x"], &|b| {
            b.op(
                "SoftmaxCrossEntropyLoss",
                &["x", "labels"],
                &[text("reduction", reduction)],
            )
        });
        one(reduction, &feeds, &["x"], &|b| {
            let attributes = [text("reduction", reduction), int("ignore_index", 3)];
            b.op("SoftmaxCrossEntropyLoss", &["x", "labels"], &attributes)
        });
    }
}

/// A parameter used twice, through an identity, and through a transposition.
#[test]
fn shared_parameters() {
    let feeds = [("w", floats(1, &[3, 3])), ("x", floats(2, &[2, 3]))];
    one("tied weights", &feeds, &["w", "x"], &|b| {
        let same = b.call("Identity", &["w"]);
        let turned = b.call("Transpose", &["w"]);
        let inner = b.call("MatMul", &["x", &same]);
        let inner = b.call("Tanh", &[&inner]);
        let outer = b.call("MatMul", &[&inner, &turned]);
        b.call("Add", &[&outer, "x"])
    });
}
