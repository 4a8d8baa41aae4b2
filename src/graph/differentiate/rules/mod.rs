//! How the gradient of a node's outputs becomes that of its inputs, by operator.

use super::super::GraphError;
use super::super::proto::NodeProto;
use super::backward::{Backward, Call};
use super::known_domain;

mod activation;
mod elementwise;
mod indexing;
mod join;
mod matmul;
mod norm;
mod rearrange;
mod reduce;

/// Hands the gradients of a node's outputs on to the inputs that want theirs.
type Rule = fn(&mut Backward<'_>, &Call<'_>) -> Result<(), GraphError>;

/// Which inputs of an operator have a gradient.
#[derive(Clone, Copy)]
enum Inputs {
    /// All of them.
    All,
    /// The first only; the others are shapes, indices and the like.
    First,
    /// All but the first, a condition.
    AfterFirst,
}

use Inputs::{AfterFirst, All, First};

/// The rules, by operator.
const RULES: &[(&str, Inputs, Rule)] = &[
    ("Abs", All, elementwise::abs),
    ("Add", All, elementwise::add),
    ("Cast", First, rearrange::cast),
    ("Clip", All, elementwise::clip),
    ("Concat", All, join::concat),
    ("Cos", All, elementwise::cos),
    ("Div", All, elementwise::div),
    ("Dropout", First, rearrange::dropout),
    ("Erf", All, elementwise::erf),
    ("Exp", All, elementwise::exp),
    ("Expand", First, rearrange::expand),
    ("FastGelu", All, activation::fast_gelu),
    ("Flatten", First, rearrange::reshape),
    ("FusedMatMul", All, matmul::fused),
    ("Gather", First, indexing::gather),
    ("GatherElements", First, indexing::gather_elements),
    ("GatherND", First, indexing::gather_nd),
    ("Gelu", All, activation::gelu),
    ("Gemm", All, matmul::gemm),
    ("Identity", First, rearrange::identity),
    ("LayerNormalization", All, norm::layer_norm),
    ("LeakyRelu", All, activation::leaky_relu),
    ("Log", All, elementwise::log),
    ("LogSoftmax", All, activation::log_softmax),
    ("MatMul", All, matmul::matmul),
    ("Max", All, elementwise::extreme),
    ("Mean", All, elementwise::mean),
    ("Min", All, elementwise::extreme),
    ("Mul", All, elementwise::mul),
    ("Neg", All, elementwise::neg),
    ("Pad", First, join::pad),
    ("Pow", All, elementwise::pow),
    ("QuickGelu", All, activation::quick_gelu),
    ("Reciprocal", All, elementwise::reciprocal),
    ("ReduceL1", First, reduce::l1),
    ("ReduceL2", First, reduce::l2),
    ("ReduceLogSumExp", First, reduce::log_sum_exp),
    ("ReduceMax", First, reduce::extreme),
    ("ReduceMean", First, reduce::mean),
    ("ReduceMin", First, reduce::extreme),
    ("ReduceSum", First, reduce::sum),
    ("ReduceSumSquare", First, reduce::sum_square),
    ("Relu", All, activation::relu),
    ("Reshape", First, rearrange::reshape),
    ("Sigmoid", All, activation::sigmoid),
    (
        "SimplifiedLayerNormalization",
        All,
        norm::simplified_layer_norm,
    ),
    ("Sin", All, elementwise::sin),
    ("Slice", First, join::slice),
    ("Softmax", All, activation::softmax),
    ("SoftmaxCrossEntropyLoss", First, norm::cross_entropy),
    ("Softplus", All, activation::softplus),
    ("Split", First, join::split),
    ("Sqrt", All, elementwise::sqrt),
    ("Squeeze", First, rearrange::squeeze),
    ("Sub", All, elementwise::sub),
    ("Sum", All, elementwise::add),
    ("Tanh", All, activation::tanh),
    ("Tile", First, rearrange::tile),
    ("Transpose", First, rearrange::transpose),
    ("Trilu", First, rearrange::trilu),
    ("Unsqueeze", First, rearrange::unsqueeze),
    ("Where", AfterFirst, elementwise::choose),
];

/// Operators whose outputs do not change with small changes of their inputs, or hardly anywhere.
const FLAT: &[&str] = &[
    "And",
    "ArgMax",
    "ArgMin",
    "Bernoulli",
    "Ceil",
    "Constant",
    "ConstantOfShape",
    "Equal",
    "EyeLike",
    "Floor",
    "Greater",
    "GreaterOrEqual",
    "IsInf",
    "IsNaN",
    "Less",
    "LessOrEqual",
    "NonZero",
    "Not",
    "OneHot",
    "Or",
    "RandomNormalLike",
    "RandomUniformLike",
    "Round",
    "Shape",
    "Sign",
    "Size",
    "Xor",
];

fn find(node: &NodeProto) -> Option<&'static (&'static str, Inputs, Rule)> {
    if !known_domain(node) {
        return None;
    }
    let position = RULES.binary_search_by(|(name, ..)| (*name).cmp(&node.op_type));
    position.ok().map(|position| &RULES[position])
}

/// Whether the gradient of input `index` may be asked for. For an operator without a rule it may: the
/// question then ends in an error.
pub(super) fn is_differentiable(node: &NodeProto, index: usize) -> bool {
    match find(node) {
        Some((_, All, _)) => true,
        Some((_, First, _)) => index == 0,
        Some((_, AfterFirst, _)) => index > 0,
        None => !FLAT.contains(&node.op_type.as_str()),
    }
}

/// Every operator with a rule, and those without a slope.
#[cfg(test)]
pub(super) fn operators() -> Vec<&'static str> {
    let named = RULES.iter().map(|(name, ..)| *name);
    named.chain(FLAT.iter().copied()).collect()
}

/// The rule for a node.
pub(super) fn rule(node: &NodeProto) -> Result<Rule, GraphError> {
    find(node).map(|(.., rule)| *rule).ok_or_else(|| {
        let operator = match node.domain.as_str() {
            "" => node.op_type.clone(),
            domain => format!("{domain}.{}", node.op_type),
        };
        GraphError::Operator {
            operator,
            node: node.label().to_owned(),
            hint: hint(&node.op_type),
        }
    })
}

/// How to export a model without an operator.
fn hint(operator: &str) -> &'static str {
    match operator {
        "Attention"
        | "MultiHeadAttention"
        | "GroupQueryAttention"
        | "PackedAttention"
        | "PackedMultiHeadAttention"
        | "DecoderMaskedMultiHeadAttention"
        | "RelativePositionBias"
        | "GatedRelativePositionBias"
        | "SparseAttention"
        | "QAttention"
        | "LongformerAttention" => {
            "export the model with attn_implementation=\"eager\" and without graph optimization \
             (optimum: leave out `--optimize`), so that attention stays in standard operators"
        }
        "RotaryEmbedding" | "GemmaRotaryEmbedding" | "RMSNormalization" | "MatMulNBits" => {
            "export the model in f32 from standard operators of operator set 17 to 21, without graph \
             optimization (optimum: leave out `--optimize`) and without quantization"
        }
        "Einsum" => {
            "write the model's einsum as matmul and transpose before exporting it; the attention of \
             most models has no Einsum with attn_implementation=\"eager\""
        }
        "If" | "Loop" | "Scan" => {
            "export the model with torch.onnx.export(..., dynamo=False) for inputs of two dimensions \
             (no past keys and values, use_cache=False), so that no control flow is left on the way \
             from the parameters"
        }
        "QuantizeLinear"
        | "DequantizeLinear"
        | "DynamicQuantizeLinear"
        | "MatMulInteger"
        | "QLinearMatMul"
        | "DynamicQuantizeMatMul" => "export the model in f32, without quantization",
        "Conv" | "ConvTranspose" | "MaxPool" | "AveragePool" | "GlobalAveragePool"
        | "BatchNormalization" | "LSTM" | "GRU" | "RNN" | "Resize" => {
            "this is no transformer encoder or decoder; train its last layers or a head instead, \
             behind this operator"
        }
        "ScatterND" | "ScatterElements" | "ScatterAdd" => {
            "write assignments to slices (`x[:, i] = y`) in the model as torch.cat or torch.where \
             before exporting it"
        }
        "BiasSplitGelu"
        | "BiasAdd"
        | "BiasDropout"
        | "GemmFastGelu"
        | "FusedGemm"
        | "FusedConv"
        | "FusedMatMulActivation"
        | "QOrderedMatMul" => {
            "export the model without graph optimization (optimum: leave out `--optimize`)"
        }
        _ => {
            "export the model from standard operators without graph optimization, with dropout off, \
             or train only what comes after this operator"
        }
    }
}
