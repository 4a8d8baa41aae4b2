//! Operators that are copied as they are, and those that cannot be lowered, with what to do instead.

use crate::graph::GraphError;
use crate::graph::builder::MICROSOFT;
use crate::graph::proto::NodeProto;

/// Operators of `com.microsoft` that stock runtimes execute: what fusions of forward graphs make.
/// Those without a gradient can stand in evaluation graphs and below the lowest layer that trains.
const STOCK: [&str; 24] = [
    "Attention",
    "BiasAdd",
    "BiasGelu",
    "BiasSoftmax",
    "BiasSplitGelu",
    "EmbedLayerNormalization",
    "ExpandDims",
    "FastGelu",
    "FusedGemm",
    "FusedMatMul",
    "Gelu",
    "GemmFastGelu",
    "GroupQueryAttention",
    "Inverse",
    "MatMulNBits",
    "MultiHeadAttention",
    "NGramRepeatBlock",
    "PackedAttention",
    "QuickGelu",
    "RelativePositionBias",
    "RotaryEmbedding",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "Trilu",
];

/// Operators beyond what is lowered, in groups that share their advice.
const REFUSED: [(&[&str], &str); 9] = [
    (
        &[
            "AveragePoolGrad",
            "BatchNormInternal",
            "BatchNormalizationGrad",
            "ConvGrad",
            "ConvTransposeGrad",
            "GlobalAveragePoolGrad",
            "MaxPoolGrad",
            "ResizeGrad",
        ],
        "layers with convolution, pooling, batch norm or resizing cannot be trained here: name their \
         parameters, and those below them, in `frozen_params` when making the artifacts",
    ),
    (
        &["GRUGrad", "GRUTraining", "LSTMGrad", "LSTMTraining"],
        "recurrent layers cannot be trained here: name their parameters, and those below them, in \
         `frozen_params` when making the artifacts",
    ),
    (
        &["ATen", "PythonOp", "PythonOpGrad", "TritonOp"],
        "export the model with `torch.onnx.export`, of standard operators only: without \
         `operator_export_type=ONNX_ATEN_FALLBACK`, without custom autograd functions, without ORTModule",
    ),
    (
        &["FakeQuant", "FakeQuantGrad"],
        "train the model in f32, without quantisation, and quantise the trained model",
    ),
    (
        &[
            "AdasumAllReduce",
            "HorovodAllReduce",
            "HorovodBarrier",
            "MegatronF",
            "MegatronG",
            "NcclAllGather",
            "NcclAllReduce",
            "NcclReduceScatter",
            "RecordEvent",
            "Recv",
            "Send",
            "WaitEvent",
        ],
        "make the artifacts for a single device, without data, tensor or pipeline parallelism",
    ),
    (
        &[
            "BiasDropout",
            "BiasSoftmaxDropout",
            "BitmaskBiasDropout",
            "BitmaskDropout",
            "BitmaskDropoutGrad",
            "SoftmaxDropoutGrad",
        ],
        "dropout that was fused for CUDA: export the model in evaluation mode (`model.eval()`), or make \
         the artifacts on the CPU",
    ),
    (
        &[
            "FlattenAndUnpad",
            "InvertibleLayerNormalizationGrad",
            "PadAndUnflatten",
            "ShrunkenGather",
            "YieldOp",
        ],
        "the graph is one of ORTModule: make artifacts with `onnxruntime.training.artifacts.\
         generate_artifacts` of onnxruntime-training 1.19.2, or with `prefclean artifacts`",
    ),
    (
        &[
            "AdamOptimizer",
            "InPlaceAccumulator",
            "IsAllFinite",
            "LambOptimizer",
            "MixedPrecisionScale",
            "ReduceAllL2",
            "SGDOptimizer",
            "ZeroGradient",
        ],
        "the graph is of an older training interface: make artifacts with `onnxruntime.training.\
         artifacts.generate_artifacts` of onnxruntime-training 1.19.2, or with `prefclean artifacts`",
    ),
    (
        &[
            "SoftmaxCrossEntropy",
            "SoftmaxCrossEntropyGrad",
            "SparseSoftmaxCrossEntropy",
            "SparseSoftmaxCrossEntropyGrad",
        ],
        "a loss of an older training interface: use the standard `SoftmaxCrossEntropyLoss`",
    ),
];

/// Whether a stock runtime executes a node as it is.
pub(super) fn is_stock(node: &NodeProto) -> bool {
    match node.domain.as_str() {
        // the gradients of pooling stood in the default domain
        "" | "ai.onnx" => advice(&node.op_type).is_none(),
        MICROSOFT => STOCK.contains(&node.op_type.as_str()),
        _ => false,
    }
}

/// What to do about an operator of the groups beyond what is lowered.
fn advice(name: &str) -> Option<&'static str> {
    let group = REFUSED.iter().find(|(names, _)| names.contains(&name));
    group.map(|(_, hint)| *hint)
}

/// The error that names a node beyond what is lowered.
pub(super) fn refusal(node: &NodeProto) -> GraphError {
    let name = node.op_type.as_str();
    let hint = match (advice(name), node.domain.as_str()) {
        (Some(hint), _) => hint,
        (None, MICROSOFT) => {
            "export the model from standard operators (no fused attention, no convolution) and make the \
             artifacts again with onnxruntime-training 1.19.2, or with `prefclean artifacts`"
        }
        (None, _) => {
            "operators of other domains and local functions are not executed: export the model with \
             `torch.onnx.export(..., dynamo=False)`, or inline its functions \
             (`onnx.inliner.inline_local_functions`)"
        }
    };
    GraphError::Operator {
        operator: match node.domain.as_str() {
            "" => name.to_owned(),
            domain => format!("{domain}.{name}"),
        },
        node: node.label().to_owned(),
        hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_disjoint() {
        assert!(STOCK.is_sorted());
        let mut all: Vec<&str> = STOCK.to_vec();
        for (names, hint) in REFUSED {
            assert!(names.is_sorted(), "{names:?}");
            assert!(!hint.contains("  "), "{hint}");
            all.extend(names);
        }
        let lowered = super::super::rules::RULES.map(|(name, _)| name);
        all.extend(lowered);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
