//! Cuts a forward model where its frozen part ends.
//!
//! When only the last layers train, what the others make of a text never changes: `reward` runs the
//! frozen part once per text, keeps the token states, and trains the rest on them.

use std::collections::{BTreeSet, HashSet};

use crate::graph::backbone::INPUT_IDS;
use crate::graph::checkpoint::Parameter;
use crate::graph::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, elem};

use super::{Composed, Place, names};

/// Name of the token states in both parts: f32, `[rows, tokens, width]`.
pub const STATES: &str = "states";

/// The two parts of a reward model.
#[derive(Clone, Debug)]
pub struct Cut {
    /// From token ids to [`STATES`], its only output; its parameters are constants.
    pub frozen: ModelProto,
    /// From [`STATES`] to the loss. May still take token ids, for their shape.
    pub rest: Composed,
}

/// Operators whose work is worth keeping.
const PRODUCTS: [&str; 3] = ["FusedMatMul", "Gemm", "MatMul"];

/// Cuts a reward model at the one value that carries the texts from its frozen to its trained part.
///
/// `None` when there is no such value: the first layer trains, or no layer, or several values would have
/// to be kept. `width` is that of a token's state.
#[must_use]
pub fn cut(composed: &Composed, width: usize) -> Option<Cut> {
    let in_layer = |(parameter, place): (&Parameter, &Place)| {
        parameter.trainable && matches!(place, Place::Layer(_))
    };
    // otherwise the frozen part ends behind the pooling, where there are no tokens any more
    if !composed
        .parameters
        .iter()
        .zip(&composed.places)
        .any(in_layer)
    {
        return None;
    }
    let graph = composed.model.graph.as_ref()?;
    let (trainable, fixed): (Vec<&Parameter>, Vec<&Parameter>) =
        composed.parameters.iter().partition(|p| p.trainable);
    let names_of = |parameters: &[&Parameter]| -> HashSet<String> {
        parameters.iter().map(|p| p.name.clone()).collect()
    };
    let trained = reached(graph, names_of(&trainable), |_| true);
    // lengths are no content: what only knows the shape of the ids is made again
    let reads_text = reached(graph, HashSet::from([INPUT_IDS.to_owned()]), |node| {
        node.op_type != "Shape" && node.op_type != "Size"
    });
    let weighed = reached(graph, names_of(&fixed), |_| true);
    let frozen_state =
        |name: &str| reads_text.contains(name) && weighed.contains(name) && !trained.contains(name);

    let is_trained = |node: &&NodeProto| node.output.iter().any(|o| trained.contains(o));
    let read_there = graph
        .node
        .iter()
        .filter(is_trained)
        .flat_map(NodeProto::names_read);
    let boundary: BTreeSet<&str> = read_there.filter(|name| frozen_state(name)).collect();
    let mut boundary = boundary.into_iter();
    let (Some(boundary), None) = (boundary.next(), boundary.next()) else {
        return None;
    };

    let dims = [
        "rows".into(),
        "tokens".into(),
        i64::try_from(width).ok()?.into(),
    ];
    let states = ValueInfoProto::tensor(STATES, elem::FLOAT, dims.to_vec());
    let mut frozen = composed.model.clone();
    let frozen_graph = frozen.graph.as_mut()?;
    frozen_graph.node.push(NodeProto {
        op_type: "Identity".into(),
        input: vec![boundary.to_owned()],
        output: vec![STATES.to_owned()],
        ..NodeProto::default()
    });
    frozen_graph.output = vec![states.clone()];
    let constants = fixed
        .iter()
        .map(|p| TensorProto::from_f32(&p.name, &p.dims, &p.data));
    frozen_graph.initializer.extend(constants);
    let fixed_names = names_of(&fixed);
    frozen_graph
        .input
        .retain(|input| !fixed_names.contains(&input.name));
    names::prune(frozen_graph);
    let works = |node: &NodeProto| PRODUCTS.contains(&node.op_type.as_str());
    if !frozen_graph.node.iter().any(works) {
        return None;
    }

    let mut rest = composed.clone();
    let rest_graph = rest.model.graph.as_mut()?;
    for node in &mut rest_graph.node {
        for output in node.output.iter_mut().filter(|o| *o == boundary) {
            // nothing reads it any more
            *output = format!("{boundary}.frozen");
        }
        for input in node.input.iter_mut().filter(|i| *i == boundary) {
            STATES.clone_into(input);
        }
    }
    rest_graph.input.insert(0, states);
    names::prune(rest_graph);
    let read = |name: &str| rest_graph.input.iter().any(|input| input.name == name);
    let keep: Vec<bool> = rest.parameters.iter().map(|p| read(&p.name)).collect();
    retain(&mut rest.parameters, &keep);
    retain(&mut rest.places, &keep);
    retain(&mut rest.readable, &keep);
    Some(Cut { frozen, rest })
}

fn retain<T>(items: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    items.retain(|_| *keep.next().expect("one flag for each item"));
}

/// The values that depend on one of `from` through nodes that `pass` lets through.
fn reached(
    graph: &GraphProto,
    from: HashSet<String>,
    pass: impl Fn(&NodeProto) -> bool,
) -> HashSet<String> {
    let mut reached = from;
    for node in graph.node.iter().filter(|node| pass(node)) {
        if node.names_read().iter().any(|&name| reached.contains(name)) {
            reached.extend(node.output.iter().cloned());
        }
    }
    reached
}
