//! Products of low rank beside linear layers (Hu et al. 2021, arXiv:2106.09685), and their merging
//! into the weights.

use std::collections::{HashMap, HashSet};

use crate::graph::GraphError;
use crate::graph::checkpoint::Parameter;
use crate::graph::proto::{GraphProto, NodeProto, TensorProto, elem};

use super::names;
use super::parameters::Linear;
use super::random::Normal;

/// Ends of names of the two factors: `[inputs, rank]` and `[rank, outputs]`.
const DOWN: &str = ".lora_a";
const UP: &str = ".lora_b";

/// The number that the product of the factors is multiplied with.
const SCALE: &str = "lora.scale";

/// Adds `scale * x A B` to the output of each layer. A starts normal with variance `1 / inputs`, B at
/// zero, so that training starts from the model as it is.
///
/// Gives the factors; a weight that several layers share has one pair of them.
pub(super) fn add(
    graph: &mut GraphProto,
    beside: &[&Linear],
    rank: usize,
    scale: f32,
    random: &mut Normal,
) -> Result<Vec<Parameter>, GraphError> {
    let dims: HashMap<&str, &[i64]> = graph
        .initializer
        .iter()
        .map(|t| (t.name.as_str(), t.dims.as_slice()))
        .collect();
    let mut factors: Vec<Parameter> = Vec::new();
    let mut done = HashSet::new();
    for linear in beside {
        let Some([rows, columns]) = dims.get(linear.weight.as_str()).copied() else {
            continue;
        };
        let (from, to) = if linear.transposed {
            (*columns, *rows)
        } else {
            (*rows, *columns)
        };
        if done.insert(linear.weight.as_str()) {
            factors.extend(pair(&linear.weight, from, to, rank, random)?);
        }
    }
    let by_node: HashMap<usize, &Linear> = beside.iter().map(|l| (l.node, *l)).collect();
    let mut nodes = Vec::with_capacity(graph.node.len() + 4 * beside.len());
    for (index, mut node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        let Some(linear) = by_node.get(&index) else {
            nodes.push(node);
            continue;
        };
        let (Some(input), Some(output)) = (node.input.first(), node.output.first()) else {
            nodes.push(node);
            continue;
        };
        let (input, output) = (input.clone(), output.clone());
        let [base, low, scaled, up] =
            ["base", "lora_low", "lora_scaled", "lora"].map(|part| format!("{output}.{part}"));
        node.output[0].clone_from(&base);
        nodes.push(node);
        let factor = |end: &str| format!("{}{end}", linear.weight);
        nodes.push(call("MatMul", &[&input, &factor(DOWN)], &low));
        // scaled where it is narrow
        nodes.push(call("Mul", &[&low, SCALE], &scaled));
        nodes.push(call("MatMul", &[&scaled, &factor(UP)], &up));
        nodes.push(call("Add", &[&base, &up], &output));
    }
    graph.node = nodes;
    let scale = TensorProto::from_f32(SCALE, &[], &[scale]);
    graph.initializer.push(scale);
    Ok(factors)
}

fn pair(
    weight: &str,
    from: i64,
    to: i64,
    rank: usize,
    random: &mut Normal,
) -> Result<[Parameter; 2], GraphError> {
    let rank = i64::try_from(rank).unwrap_or(i64::MAX);
    if rank > from.min(to) {
        return Err(GraphError::Forward {
            what: format!(
                "`{weight}` maps {from} features to {to}: a product of rank {rank} beside it \
                 would be larger than itself"
            ),
            hint: "take a lower rank, or a pattern that leaves this weight out",
        });
    }
    let count = |dims: &[i64]| {
        crate::graph::element_count(dims)
            .ok_or_else(|| GraphError::Unsupported(format!("a product of rank {rank}")))
    };
    #[expect(clippy::cast_precision_loss, reason = "a width")]
    let deviation = 1.0 / (from as f64).sqrt();
    Ok([
        Parameter {
            name: format!("{weight}{DOWN}"),
            data: random.draw(count(&[from, rank])?, deviation),
            dims: vec![from, rank],
            trainable: true,
        },
        Parameter {
            name: format!("{weight}{UP}"),
            data: vec![0.0; count(&[rank, to])?],
            dims: vec![rank, to],
            trainable: true,
        },
    ])
}

fn call(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        name: format!("{output}_node"),
        input: inputs.iter().map(|&i| i.to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// The weight that a factor belongs to, and the end of the factor's name; other names as they are.
pub(super) fn factor_of(name: &str) -> (&str, &str) {
    for end in [DOWN, UP] {
        if let Some(weight) = name.strip_suffix(end) {
            return (weight, end);
        }
    }
    (name, "")
}

/// Adds the products to the weights (initializers of `graph`) and takes the factors out of it.
///
/// # Errors
/// [`GraphError::Malformed`] when the graph around a factor is not as [`add`] leaves it.
pub(super) fn merge(graph: &mut GraphProto) -> Result<(), GraphError> {
    let weights: Vec<String> = graph
        .initializer
        .iter()
        .filter_map(|t| t.name.strip_suffix(UP).map(str::to_owned))
        .collect();
    if weights.is_empty() {
        return Ok(());
    }
    let index: HashMap<String, usize> = graph
        .initializer
        .iter()
        .enumerate()
        .map(|(i, t)| (t.name.clone(), i))
        .collect();
    let tensor = |name: &str| {
        let found = index.get(name).map(|&i| &graph.initializer[i]);
        found.ok_or_else(|| GraphError::Malformed(format!("low-rank factor `{name}` is missing")))
    };
    let scale = match tensor(SCALE)?.to_f32()?.as_slice() {
        [scale] => *scale,
        _ => return Err(GraphError::Malformed(format!("`{SCALE}` is not a number"))),
    };
    let mut readers: HashMap<&str, &NodeProto> = HashMap::new();
    for node in graph.node.iter().rev() {
        readers.extend(node.input.iter().map(|input| (input.as_str(), node)));
    }
    let mut merged = Vec::new();
    for weight in &weights {
        let (a, b) = (
            tensor(&format!("{weight}{DOWN}"))?,
            tensor(&format!("{weight}{UP}"))?,
        );
        let target = tensor(weight)?;
        let transposed = is_transposed(&readers, target, b);
        merged.push((index[weight], sum(target, a, b, scale, transposed)?));
    }
    for (at, tensor) in merged {
        graph.initializer[at] = tensor;
    }
    bypass(graph);
    names::prune(graph);
    Ok(())
}

/// Whether a weight is `[outputs, inputs]`: told by its reader where it is square.
fn is_transposed(
    readers: &HashMap<&str, &NodeProto>,
    weight: &TensorProto,
    up: &TensorProto,
) -> bool {
    match weight.dims.as_slice() {
        [rows, columns] if rows == columns => {}
        dims => return up.dims.last() != dims.last(),
    }
    let mut flips = false;
    let mut reader = readers.get(weight.name.as_str());
    // a view or two, then the product
    for _ in 0..8 {
        let Some(node) = reader else { break };
        match node.op_type.as_str() {
            "Transpose" => flips = !flips,
            "Identity" => {}
            "Gemm" => return flips != (node.int("transB", 0) != 0),
            _ => break,
        }
        reader = node.output_at(0).and_then(|output| readers.get(output));
    }
    flips
}

/// `weight + scale * a b`, or its transpose.
fn sum(
    weight: &TensorProto,
    a: &TensorProto,
    b: &TensorProto,
    scale: f32,
    transposed: bool,
) -> Result<TensorProto, GraphError> {
    let malformed = || {
        let name = &weight.name;
        GraphError::Malformed(format!("low-rank factors of `{name}` do not fit it"))
    };
    let size = |dim: i64| usize::try_from(dim).map_err(|_| malformed());
    let ([from, rank], [rank_b, to]) = (a.dims.as_slice(), b.dims.as_slice()) else {
        return Err(malformed());
    };
    let expected = if transposed {
        [*to, *from]
    } else {
        [*from, *to]
    };
    if rank != rank_b || weight.dims != expected {
        return Err(malformed());
    }
    let (from, rank, to) = (size(*from)?, size(*rank)?, size(*to)?);
    let (mut values, a, b) = (weight.to_f32()?, a.to_f32()?, b.to_f32()?);
    let mut row = vec![0f64; to];
    for i in 0..from {
        row.fill(0.0);
        for k in 0..rank {
            let left = f64::from(a[i * rank + k]) * f64::from(scale);
            for (sum, &right) in row.iter_mut().zip(&b[k * to..(k + 1) * to]) {
                *sum += left * f64::from(right);
            }
        }
        for (j, &add) in row.iter().enumerate() {
            let at = if transposed { j * from + i } else { i * to + j };
            #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
            let new = (f64::from(values[at]) + add) as f32;
            values[at] = new;
        }
    }
    debug_assert_eq!(weight.data_type, elem::FLOAT);
    Ok(TensorProto::from_f32(&weight.name, &weight.dims, &values))
}

/// Takes the additions of products out: their first input takes the place of their output.
fn bypass(graph: &mut GraphProto) {
    let ups: HashSet<String> = graph
        .node
        .iter()
        .filter(|n| n.op_type == "MatMul" && n.input_at(1).is_some_and(|i| i.ends_with(UP)))
        .flat_map(|n| n.output.iter().cloned())
        .collect();
    let mut back = HashMap::new();
    graph.node.retain(|node| {
        let adds = node.op_type == "Add" && node.input_at(1).is_some_and(|i| ups.contains(i));
        if adds && let (Some(base), Some(output)) = (node.input_at(0), node.output_at(0)) {
            back.insert(base.to_owned(), output.to_owned());
        }
        !adds
    });
    names::rename(graph, &back);
}
