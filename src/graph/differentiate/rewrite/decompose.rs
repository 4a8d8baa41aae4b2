//! Fused operators written out.

use super::super::super::builder::{Builder, MICROSOFT, float, int, tensor};
use super::super::super::proto::{NodeProto, TensorProto, elem};
use super::Around;

/// Writes a fused operator as others that have gradients.
pub(super) fn written_out(around: &Around<'_>, node: &NodeProto, b: &mut Builder) -> bool {
    match node.op_type.as_str() {
        "BiasGelu" => with_bias(node, b, "Gelu"),
        "FastGelu" if node.input_at(1).is_some() => with_bias(node, b, "FastGelu"),
        "SkipLayerNormalization" => skip_norm(node, b, "LayerNormalization"),
        "SkipSimplifiedLayerNormalization" => skip_norm(node, b, "SimplifiedLayerNormalization"),
        "EmbedLayerNormalization" => embeddings(around, node, b).is_some(),
        // the other domain has the same operators
        "LayerNormalization" | "SimplifiedLayerNormalization" if node.domain == MICROSOFT => {
            let mut node = node.clone();
            node.domain = String::new();
            b.node(node);
            true
        }
        _ => false,
    }
}

/// An activation of `x + bias`.
fn with_bias(node: &NodeProto, b: &mut Builder, activation: &str) -> bool {
    let (Some(x), Some(bias), Some(y)) = (node.input_at(0), node.input_at(1), node.output_at(0))
    else {
        return false;
    };
    let sum = b.call("Add", &[x, bias]);
    b.op_to(MICROSOFT, activation, &[&sum], &[y], &[]);
    true
}

/// A norm of `x + skip + bias`; inputs are x, skip, gamma, beta (not of the simplified one), bias.
fn skip_norm(node: &NodeProto, b: &mut Builder, norm: &str) -> bool {
    let simplified = norm != "LayerNormalization";
    let (beta, bias) = if simplified {
        (None, node.input_at(3))
    } else {
        (node.input_at(3), node.input_at(4))
    };
    let (Some(x), Some(skip), Some(gamma)) = (node.input_at(0), node.input_at(1), node.input_at(2))
    else {
        return false;
    };
    let (Some(y), epsilon) = (node.output_at(0), node.float("epsilon", 1e-12)) else {
        return false;
    };
    let mut x = x.to_owned();
    if let Some(bias) = bias {
        x = b.call("Add", &[&x, bias]);
    }
    let sum = match node.output_at(3) {
        Some(name) => name.to_owned(),
        None => b.fresh("Add"),
    };
    b.op_to("", "Add", &[&x, skip], &[&sum], &[]);
    let mut inputs = vec![sum.as_str(), gamma];
    inputs.extend(beta);
    let mut outputs = vec![y];
    // mean, unless simplified, and inverse deviation
    let statistics = if simplified {
        [node.output_at(2), None]
    } else {
        [1, 2].map(|i| node.output_at(i))
    };
    let last = statistics
        .iter()
        .rposition(Option::is_some)
        .map_or(0, |at| at + 1);
    outputs.extend(statistics[..last].iter().map(|name| name.unwrap_or("")));
    let attributes = [float("epsilon", epsilon), int("axis", -1)];
    b.op_to("", norm, &inputs, &outputs, &attributes);
    true
}

/// The norm of word, position and segment embeddings; inputs are ids, segments, the three tables,
/// gamma, beta, mask, positions.
fn embeddings(around: &Around<'_>, node: &NodeProto, b: &mut Builder) -> Option<()> {
    let ids = node.input_at(0)?;
    let (words, places) = (node.input_at(2)?, node.input_at(3)?);
    let (gamma, beta) = (node.input_at(5)?, node.input_at(6)?);
    let y = node.output_at(0)?;
    if node
        .output_at(1)
        .is_some_and(|index| around.readers.contains_key(index))
    {
        mask_index(node, b)?;
    }
    let mut sum = b.call("Gather", &[words, ids]);
    if let (Some(segments), Some(table)) = (node.input_at(1), node.input_at(4)) {
        let segments = b.call("Gather", &[table, segments]);
        sum = b.call("Add", &[&sum, &segments]);
    }
    let positions = if let Some(positions) = node.input_at(8) {
        b.call("Gather", &[places, positions])
    } else {
        let tokens = b.op("Shape", &[ids], &[int("start", 1), int("end", 2)]);
        let zero = b.ints(&[0]);
        b.call("Slice", &[places, &zero, &tokens, &zero])
    };
    let total = match node.output_at(2) {
        Some(name) => name.to_owned(),
        None => b.fresh("Add"),
    };
    b.op_to("", "Add", &[&sum, &positions], &[&total], &[]);
    let attributes = [
        float("epsilon", node.float("epsilon", 1e-12)),
        int("axis", -1),
    ];
    b.op_to(
        "",
        "LayerNormalization",
        &[&total, gamma, beta],
        &[y],
        &attributes,
    );
    Some(())
}

/// The number of tokens of each row, as the second output gives it.
fn mask_index(node: &NodeProto, b: &mut Builder) -> Option<()> {
    let (ids, index) = (node.input_at(0)?, node.output_at(1)?);
    let last = b.ints(&[1]);
    if let Some(mask) = node.input_at(7) {
        b.op_to(
            "",
            "ReduceSum",
            &[mask, &last],
            &[index],
            &[int("keepdims", 0)],
        );
    } else {
        let rows = b.op("Shape", &[ids], &[int("end", 1)]);
        let zero = TensorProto::from_raw("", elem::INT32, &[1], vec![0; 4]);
        b.op_to(
            "",
            "ConstantOfShape",
            &[&rows],
            &[index],
            &[tensor("value", zero)],
        );
    }
    Some(())
}
