//! Brings exports to one form: weights are initializers of their own, norms give what gradients
//! need, operators are those of operator set 17 or later.

use std::collections::{HashMap, HashSet};

use super::forward::{MAX_COPIED_BYTES, no_graph};
use super::{names, opset};
use crate::graph::GraphError;
use crate::graph::builder::{MICROSOFT, OPSET, int};
use crate::graph::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetId, TensorProto, elem,
};

/// Newest operator set of training graphs: the last that onnxruntime-training 1.19.2 knows.
pub(super) const NEWEST_OPSET: i64 = 21;

/// Element types that weights must not have, and how they are called.
const OTHER_FLOATS: [(i32, &str); 3] =
    [(10, "float16"), (16, "bfloat16"), (elem::DOUBLE, "float64")];

/// Operators of quantized models.
const QUANTIZED: [&str; 9] = [
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "QLinearMatMul",
    "QuantizeLinear",
    "QAttention",
];

/// Brings a model to that form.
pub(super) fn normalise(model: &mut ModelProto) -> Result<(), GraphError> {
    let opset = model.opset();
    let graph = model.graph.as_mut().ok_or_else(no_graph)?;
    refuse_quantized(graph)?;
    let weights: HashSet<String> = graph.initializer.iter().map(|t| t.name.clone()).collect();
    graph.input.retain(|v| !weights.contains(&v.name));
    constants(graph)?;
    identities(graph)?;
    refuse_other_floats(graph)?;
    opset::raise(graph, opset)?;
    complete_norms(graph);
    narrow_arg_max(graph);
    declare(model, opset.max(OPSET))
}

fn refuse_quantized(graph: &GraphProto) -> Result<(), GraphError> {
    let quantized = |node: &&NodeProto| QUANTIZED.contains(&node.op_type.as_str());
    match graph.node.iter().find(quantized) {
        None => Ok(()),
        Some(node) => Err(GraphError::Forward {
            what: format!(
                "a quantized model: node `{}` is {}",
                node.name, node.op_type
            ),
            hint: "export the model without quantization, in f32",
        }),
    }
}

fn refuse_other_floats(graph: &GraphProto) -> Result<(), GraphError> {
    let large = |t: &&TensorProto| crate::graph::element_count(&t.dims).is_none_or(|n| n > 64);
    for tensor in graph.initializer.iter().filter(large) {
        let other = OTHER_FLOATS.iter().find(|(e, _)| *e == tensor.data_type);
        if let Some((_, name)) = other {
            return Err(GraphError::Forward {
                what: format!("weight `{}` is {name}: expected f32", tensor.name),
                hint: "export the model in f32 (`model.float()` before torch.onnx.export; with \
                       optimum: `--dtype fp32`); training casts to fp16 or bf16 where it is asked to",
            });
        }
    }
    Ok(())
}

/// Constant nodes become initializers.
fn constants(graph: &mut GraphProto) -> Result<(), GraphError> {
    let mut kept = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        let standard = node.domain.is_empty() || node.domain == "ai.onnx";
        if node.op_type != "Constant" || !standard {
            kept.push(node);
            continue;
        }
        let (Some(attribute), Some(name)) = (node.attribute.pop(), node.output.pop()) else {
            let what = format!("constant `{}` has no value or name", node.name);
            return Err(GraphError::Malformed(what));
        };
        let Some(tensor) = value(attribute, &name) else {
            let what = format!("constant `{name}` is not of numbers");
            return Err(GraphError::Unsupported(what));
        };
        graph.initializer.push(tensor);
    }
    graph.node = kept;
    Ok(())
}

fn value(attribute: AttributeProto, name: &str) -> Option<TensorProto> {
    let length = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    match attribute.name.as_str() {
        "value" => attribute.t.map(|tensor| TensorProto {
            name: name.to_owned(),
            ..tensor
        }),
        "value_float" => Some(TensorProto::from_f32(name, &[], &[attribute.f])),
        "value_int" => Some(TensorProto::from_i64(name, &[], &[attribute.i])),
        "value_floats" => {
            let values = &attribute.floats;
            Some(TensorProto::from_f32(name, &[length(values.len())], values))
        }
        "value_ints" => {
            let values = &attribute.ints;
            Some(TensorProto::from_i64(name, &[length(values.len())], values))
        }
        _ => None,
    }
}

/// Identities of initializers become copies of them, or go.
///
/// Exporters write equal initializers once and reach the others through Identity. Norms of all layers
/// would share their scale and train as one, so these are copied. Matrices that are equal before
/// training, and more than a fill of one number, are so because the model ties them: they stay one.
fn identities(graph: &mut GraphProto) -> Result<(), GraphError> {
    let mut index: HashMap<String, usize> = HashMap::new();
    for (i, tensor) in graph.initializer.iter().enumerate() {
        index.insert(tensor.name.clone(), i);
    }
    let outputs: HashSet<String> = graph.output.iter().map(|v| v.name.clone()).collect();
    let mut copied = 0u64;
    let mut tied = HashMap::new();
    let mut kept = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let source = match (node.op_type.as_str(), node.input_at(0), node.output_at(0)) {
            ("Identity", Some(input), Some(output)) if !outputs.contains(output) => {
                index.get(input).map(|&i| (i, output.to_owned()))
            }
            _ => None,
        };
        let Some((i, name)) = source else {
            kept.push(node);
            continue;
        };
        if is_tied(&graph.initializer[i]) {
            tied.insert(name.clone(), graph.initializer[i].name.clone());
            index.insert(name, i);
            continue;
        }
        copied += graph.initializer[i].raw_data.as_ref().map_or(0, Vec::len) as u64;
        if copied > MAX_COPIED_BYTES {
            let what = "copies of shared weights would take more than 2 GiB";
            return Err(GraphError::Unsupported(what.into()));
        }
        let tensor = TensorProto {
            name: name.clone(),
            ..graph.initializer[i].clone()
        };
        index.insert(name, graph.initializer.len());
        graph.initializer.push(tensor);
    }
    graph.node = kept;
    names::rename(graph, &tied);
    Ok(())
}

/// Whether equal values mean one weight: a matrix with different numbers.
fn is_tied(tensor: &TensorProto) -> bool {
    let raw = tensor.raw_data.as_deref().unwrap_or_default();
    let (numbers, _) = raw.as_chunks::<4>();
    tensor.dims.len() > 1 && numbers.iter().any(|n| *n != numbers[0])
}

/// Gives norms the outputs that their gradients read.
fn complete_norms(graph: &mut GraphProto) {
    for node in &mut graph.node {
        let wanted = match (node.domain.as_str(), node.op_type.as_str()) {
            ("" | "ai.onnx", "LayerNormalization") => 3,
            ("" | "ai.onnx" | MICROSOFT, "SimplifiedLayerNormalization") => 2,
            _ => continue,
        };
        let Some(name) = node.output.first().cloned() else {
            continue;
        };
        let suffixes = if wanted == 3 {
            &["mean", "inverse"][..]
        } else {
            &["inverse"][..]
        };
        node.output.resize(wanted, String::new());
        for (output, suffix) in node.output[1..].iter_mut().zip(suffixes) {
            if output.is_empty() {
                // names of exports hold no such suffix, and the norm's own name is unique
                *output = format!("{name}.norm_{suffix}");
            }
        }
    }
}

/// Gives `ArgMax` of 64-bit integers, by which exports of decoders find the last token, 32-bit ones:
/// onnxruntime-training 1.19.2 has no other. What they look through are ids and flags.
fn narrow_arg_max(graph: &mut GraphProto) {
    const SAME_TYPE: [&str; 9] = [
        "Add",
        "Expand",
        "Identity",
        "Mul",
        "Range",
        "Reshape",
        "Squeeze",
        "Sub",
        "Unsqueeze",
    ];
    let inputs = graph.input.iter().filter_map(|v| {
        let tensor = v.tensor_type()?;
        (tensor.elem_type == elem::INT64).then(|| v.name.clone())
    });
    let constants = graph.initializer.iter();
    let constants = constants.filter(|t| t.data_type == elem::INT64);
    let mut wide: HashSet<String> = inputs.chain(constants.map(|t| t.name.clone())).collect();
    let mut nodes = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        let kind = node.op_type.as_str();
        let same =
            SAME_TYPE.contains(&kind) && node.input.first().is_some_and(|i| wide.contains(i));
        let cast = kind == "Cast" && node.int("to", 0) == i64::from(elem::INT64);
        if same || cast || kind == "Shape" {
            wide.extend(node.output.iter().cloned());
        }
        let output = node.output_at(0).unwrap_or_default().to_owned();
        if node.op_type == "ArgMax"
            && let Some(input) = node.input.first_mut().filter(|i| wide.contains(*i))
        {
            let narrow = format!("{output}.narrow");
            nodes.push(NodeProto {
                op_type: "Cast".into(),
                name: format!("{narrow}_node"),
                input: vec![std::mem::replace(input, narrow.clone())],
                output: vec![narrow],
                attribute: vec![int("to", elem::INT32.into())],
                ..NodeProto::default()
            });
        }
        nodes.push(node);
    }
    graph.node = nodes;
}

/// Declares the domains in use.
fn declare(model: &mut ModelProto, opset: i64) -> Result<(), GraphError> {
    const NEWER: [&str; 6] = [
        "Attention",
        "RMSNormalization",
        "RotaryEmbedding",
        "Swish",
        "TensorScatter",
        "CumProd",
    ];
    let graph = model.graph.as_ref().ok_or_else(no_graph)?;
    if opset > NEWEST_OPSET + 1 {
        let newer = |n: &&NodeProto| n.domain.is_empty() && NEWER.contains(&n.op_type.as_str());
        if let Some(node) = graph.node.iter().find(newer) {
            return Err(GraphError::Forward {
                what: format!(
                    "operator {} of node `{}` is newer than operator set {NEWEST_OPSET}",
                    node.op_type, node.name
                ),
                hint: "export the model with operator set 17 to 21 (`opset_version=17`)",
            });
        }
    }
    let mut used = HashSet::new();
    domains(graph, &mut used);
    model.opset_import.retain(|set| {
        !set.domain.is_empty() && set.domain != "ai.onnx" && used.contains(&set.domain)
    });
    let set = |domain: &str, version| OperatorSetId {
        domain: domain.into(),
        version,
    };
    model
        .opset_import
        .insert(0, set("", opset.min(NEWEST_OPSET)));
    if !model.opset_import.iter().any(|s| s.domain == MICROSOFT) {
        model.opset_import.push(set(MICROSOFT, 1));
    }
    Ok(())
}

fn domains(graph: &GraphProto, used: &mut HashSet<String>) {
    for node in &graph.node {
        used.insert(node.domain.clone());
        node.graphs().for_each(|inner| domains(inner, used));
    }
}
