//! Operators of older operator sets, rewritten to those of version 17.

use std::collections::HashSet;

use crate::graph::GraphError;
use crate::graph::builder::int;
use crate::graph::proto::{GraphProto, NodeProto, TensorProto};

/// Oldest operator set whose graphs can be rewritten.
const OLDEST: i64 = 11;
/// From here on operators mean the same in version 17.
const SAME: i64 = 13;

/// Rewrites a graph of operator set `from`.
///
/// # Errors
/// [`GraphError::Forward`] for operator sets before 11.
pub(super) fn raise(graph: &mut GraphProto, from: i64) -> Result<(), GraphError> {
    if from < OLDEST {
        return Err(GraphError::Forward {
            what: format!("operator set {from}: expected {OLDEST} or later"),
            hint: "export the model with operator set 17 (`opset_version=17`)",
        });
    }
    if from >= SAME {
        return Ok(());
    }
    let with_subgraphs = graph.node.iter().find(|n| n.graphs().next().is_some());
    if let Some(node) = with_subgraphs {
        return Err(GraphError::Forward {
            what: format!(
                "operator set {from} with a branch or loop at node `{}`: expected {SAME} or later",
                node.name
            ),
            hint: "export the model with operator set 17 (`opset_version=17`)",
        });
    }
    let mut raised = Raised::new(graph);
    for node in std::mem::take(&mut graph.node) {
        raised.node(node);
    }
    graph.node = raised.nodes;
    graph.initializer.extend(raised.constants);
    Ok(())
}

/// Nodes and constants of the new graph.
struct Raised {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    taken: HashSet<String>,
}

impl Raised {
    fn new(graph: &GraphProto) -> Self {
        let values = graph.node.iter().flat_map(|n| n.output.iter().cloned());
        let tensors = graph.initializer.iter().map(|t| t.name.clone());
        let inputs = graph.input.iter().map(|v| v.name.clone());
        Self {
            nodes: Vec::with_capacity(graph.node.len()),
            constants: Vec::new(),
            taken: values.chain(tensors).chain(inputs).collect(),
        }
    }

    fn fresh(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    fn constant(&mut self, base: &str, values: &[i64]) -> String {
        let name = self.fresh(base);
        let length = i64::try_from(values.len()).unwrap_or(i64::MAX);
        let tensor = TensorProto::from_i64(&name, &[length], values);
        self.constants.push(tensor);
        name
    }

    fn node(&mut self, mut node: NodeProto) {
        if !node.domain.is_empty() && node.domain != "ai.onnx" {
            self.nodes.push(node);
            return;
        }
        match node.op_type.as_str() {
            "Squeeze" | "Unsqueeze" | "ReduceSum" => self.axes_to_input(&mut node, "axes"),
            "Split" => self.axes_to_input(&mut node, "split"),
            "Softmax" | "LogSoftmax" => return self.softmax(node),
            _ => {}
        }
        self.nodes.push(node);
    }

    fn axes_to_input(&mut self, node: &mut NodeProto, name: &str) {
        let Some(at) = node.attribute.iter().position(|a| a.name == name) else {
            return;
        };
        let values = node.attribute.remove(at).ints;
        let output = node.output.first().cloned().unwrap_or_default();
        let constant = self.constant(&format!("{output}.{name}"), &values);
        node.input.truncate(1);
        node.input.push(constant);
    }

    /// Before version 13 a softmax was over all dimensions from its axis on: over the rows of a matrix.
    fn softmax(&mut self, mut node: NodeProto) {
        let axis = node.int("axis", 1);
        node.attribute.clear();
        let (Some(input), Some(output)) =
            (node.input.first().cloned(), node.output.first().cloned())
        else {
            return self.nodes.push(node);
        };
        node.attribute.push(int("axis", -1));
        if axis == -1 {
            return self.nodes.push(node);
        }
        let names = ["shape", "matrix", "rows"].map(|part| self.fresh(&format!("{output}.{part}")));
        let [shape, matrix, rows] = &names;
        let call = |op_type: &str, inputs: &[&str], output: &str| NodeProto {
            op_type: op_type.into(),
            name: format!("{output}_node"),
            input: inputs.iter().map(|&i| i.to_owned()).collect(),
            output: vec![output.to_owned()],
            ..NodeProto::default()
        };
        self.nodes.push(call("Shape", &[&input], shape));
        let mut flat = call("Flatten", &[&input], matrix);
        flat.attribute.push(int("axis", axis));
        self.nodes.push(flat);
        node.input[0].clone_from(matrix);
        node.output[0].clone_from(rows);
        self.nodes.push(node);
        self.nodes.push(call("Reshape", &[rows, shape], &output));
    }
}
