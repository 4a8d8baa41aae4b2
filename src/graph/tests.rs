//! Random graphs of known operators with absurd shapes, constants and attributes: all that reads
//! graphs answers with a result or an error.

use proptest::prelude::*;

use super::artifacts::Artifacts;
use super::artifacts::make::{ComposeOptions, ForwardModel, Train, compose};
use super::builder::{Builder, MICROSOFT};
use super::checkpoint::Checkpoint;
use super::differentiate::{differentiate, parameters_of};
use super::lower::{self, LoweringOptions};
use super::optimizer::OptimizerSettings;
use super::proto::{
    AttributeProto, DimProto, ModelProto, NodeProto, TensorProto, attribute_type, elem,
};

/// Operators that the rules know; those of [`MICROSOFT`] come last.
const OPERATORS: [&str; 108] = [
    "Abs",
    "Add",
    "And",
    "ArgMax",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Cos",
    "CumSum",
    "Div",
    "Dropout",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "EyeLike",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "Greater",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "Mean",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "NonZero",
    "Not",
    "OneHot",
    "PRelu",
    "Pad",
    "Pow",
    "RMSNormalization",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Shape",
    "Sigmoid",
    "Sign",
    "SimplifiedLayerNormalization",
    "Sin",
    "Size",
    "Slice",
    "Softmax",
    "SoftmaxCrossEntropyLoss",
    "Softplus",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Swish",
    "Tanh",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
    "Xor",
    "BiasGelu",
    "BiasSoftmax",
    "BroadcastGradientArgs",
    "ConcatTraining",
    "DivGrad",
    "FastGelu",
    "FusedMatMul",
    "GatherGrad",
    "GatherNDGrad",
    "LayerNormalizationGrad",
    "QuickGelu",
    "ReduceSumTraining",
    "Scale",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "SliceGrad",
    "SoftmaxGrad",
    "SoftmaxGrad_13",
    "SplitTraining",
    "TanhGrad",
];
const FIRST_OF_MICROSOFT: usize = 88;

const INTS: [&str; 14] = [
    "axis",
    "keepdims",
    "batch_dims",
    "transA",
    "transB",
    "num_outputs",
    "start",
    "end",
    "noop_with_empty_axes",
    "stash_type",
    "allowzero",
    "to",
    "upper",
    "scale_down",
];
const LISTS: [&str; 4] = ["axes", "perm", "split", "value_ints"];

/// What a size, an axis or an index may be in a hostile file.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => -2i64..5,
        1 => prop::sample::select(vec![1 << 31, 1 << 40, -(1 << 40), i64::MAX, i64::MIN]),
    ]
}

fn numbers() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(number(), 0..4)
}

fn attribute() -> impl Strategy<Value = AttributeProto> {
    let int = (prop::sample::select(&INTS[..]), number());
    let int = int.prop_map(|(name, value)| super::builder::int(name, value));
    let list = (prop::sample::select(&LISTS[..]), numbers());
    let list = list.prop_map(|(name, values)| super::builder::ints(name, &values));
    let value = constant("").prop_map(|tensor| AttributeProto {
        name: "value".into(),
        t: Some(tensor),
        r#type: attribute_type::TENSOR,
        ..AttributeProto::default()
    });
    prop_oneof![4 => int, 2 => list, 1 => value]
}

/// A small constant; one of integers may be a shape, axes, or indices.
fn constant(name: &'static str) -> impl Strategy<Value = TensorProto> {
    let dims = prop::collection::vec(0i64..4, 0..4);
    let floats = dims.prop_map(move |dims| {
        let count = dims.iter().product::<i64>();
        let data: Vec<f32> = (0..count).map(|_| 0.5).collect();
        TensorProto::from_f32(name, &dims, &data)
    });
    let ints = numbers().prop_map(move |values| {
        let length = i64::try_from(values.len()).unwrap();
        TensorProto::from_i64(name, &[length], &values)
    });
    let scalar = number().prop_map(move |value| TensorProto::from_i64(name, &[], &[value]));
    prop_oneof![3 => floats, 3 => ints, 1 => scalar]
}

#[derive(Clone, Debug)]
struct Call {
    operator: usize,
    /// Which of the inputs is the last value.
    place: usize,
    /// The others: which of the values so far, counted from the last one; 0 leaves the input out.
    inputs: Vec<usize>,
    outputs: usize,
    attributes: Vec<AttributeProto>,
}

fn call(operators: std::ops::Range<usize>) -> impl Strategy<Value = Call> {
    let place = prop_oneof![4 => Just(0usize), 1 => 0usize..4];
    let inputs = (place, prop::collection::vec(0usize..8, 0..4));
    let attributes = prop::collection::vec(attribute(), 0..3);
    (operators, inputs, 1usize..4, attributes).prop_map(
        |(operator, (place, inputs), outputs, attributes)| Call {
            operator,
            place,
            inputs,
            outputs,
            attributes,
        },
    )
}

fn dimension() -> impl Strategy<Value = DimProto> {
    prop_oneof![
        2 => Just("rows".into()),
        1 => Just("tokens".into()),
        4 => (0i64..5).prop_map(DimProto::from),
        1 => Just(DimProto { value: None }),
        1 => number().prop_map(DimProto::from),
    ]
}

/// A graph in which every value is made before it is read; mostly a chain that begins at `x`.
fn model(operators: std::ops::Range<usize>) -> impl Strategy<Value = ModelProto> {
    let shape = || prop::collection::vec(dimension(), 0..3);
    let constants = (constant("a"), constant("b"), constant("c"));
    let calls = prop::collection::vec(call(operators), 1..5);
    (13i64..=22, shape(), shape(), constants, calls).prop_map(
        |(opset, mut first, mut second, (a, b, c), calls)| {
            for dims in [&mut first, &mut second] {
                dims.insert(0, "rows".into());
            }
            let mut graph = Builder::with_opset("random", opset);
            graph.input("x", elem::FLOAT, &first);
            graph.input("ids", elem::INT64, &second);
            let mut values: Vec<String> = vec!["ids".into()];
            values.extend([a, b, c].map(|tensor| graph.initializer(tensor)));
            let mut last = String::from("x");
            for (index, call) in calls.into_iter().enumerate() {
                let other = |back: &usize| match back {
                    0 => String::new(),
                    back => values[values.len().saturating_sub(*back)].clone(),
                };
                let mut input: Vec<String> = call.inputs.iter().map(other).collect();
                input.insert(call.place.min(input.len()), last.clone());
                let mut attribute = call.attributes;
                attribute.sort_by(|a, b| a.name.cmp(&b.name));
                attribute.dedup_by(|a, b| a.name == b.name);
                let domain = match call.operator {
                    ..FIRST_OF_MICROSOFT => "",
                    _ => MICROSOFT,
                };
                let outputs = 0..call.outputs;
                let output: Vec<String> = outputs.map(|o| format!("v{index}_{o}")).collect();
                graph.node(NodeProto {
                    input,
                    output: output.clone(),
                    op_type: OPERATORS[call.operator].into(),
                    domain: domain.into(),
                    attribute,
                    ..NodeProto::default()
                });
                values.push(std::mem::replace(&mut last, output[0].clone()));
                values.extend(output.iter().skip(1).cloned());
            }
            let margin = graph.call("Sub", &[&last, "x"]);
            let total = graph.reduce("ReduceMean", &margin, &[], false);
            graph.output(&total, elem::FLOAT, &[]);
            graph.output(&last, elem::FLOAT, &["rows".into()]);
            graph.finish()
        },
    )
}

fn read(model: &ModelProto) -> Result<ModelProto, TestCaseError> {
    let read = ModelProto::from_bytes(&model.to_bytes());
    // shapes that cannot be are all that is wrong with these graphs
    read.map_err(|error| TestCaseError::reject(error.to_string()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn differentiating_and_making_never_panic(model in model(0..FIRST_OF_MICROSOFT)) {
        let model = read(&model)?;
        let graph = model.graph.as_ref().unwrap();
        let total = &graph.output[0].name;
        for parameters in [vec!["x".to_owned()], parameters_of(&model, total)] {
            if let Ok(differentiated) = differentiate(&model, total, &parameters) {
                // what is written is in order
                let bytes = differentiated.model.to_bytes();
                prop_assert!(ModelProto::from_bytes(&bytes).is_ok());
            }
        }
        let reward = graph.output[1].name.clone();
        let options = ComposeOptions {
            train: Train::All,
            ..ComposeOptions::default()
        };
        let artifacts = ForwardModel::new(model, Some(&reward))
            .and_then(|forward| compose(forward, &options))
            .and_then(|composed| composed.artifacts(OptimizerSettings::default()));
        if let Ok(artifacts) = artifacts {
            let _ = lower::step_model(&artifacts, &LoweringOptions::default());
        }
    }

    #[test]
    fn lowering_never_panics(model in model(0..OPERATORS.len())) {
        let model = read(&model)?;
        let artifacts = Artifacts {
            training: model.clone(),
            eval: model,
            optimizer: OptimizerSettings::default(),
            checkpoint: Checkpoint::default(),
        };
        if let Ok(lowered) = lower::eval_model(&artifacts, &LoweringOptions::default()) {
            prop_assert!(ModelProto::from_bytes(&lowered.to_bytes()).is_ok());
        }
    }
}
