//! From artifacts and trained parameters to a forward model that gives rewards.

use std::collections::{HashMap, HashSet};

use crate::graph::GraphError;
use crate::graph::checkpoint::{Checkpoint, Parameter};
use crate::graph::proto::{GraphProto, ModelProto, TensorProto, ValueInfoProto, elem};

use super::compose::REWARD;
use super::forward::no_graph;
use super::{lora, names};

/// The forward model with the values of `checkpoint`: low-rank products merged, loss taken out.
///
/// `eval` is the measuring graph of artifacts that were made here. Inputs: those of the forward model,
/// and the masks that the pooling reads. Output: [`REWARD`], `[rows]`.
///
/// # Errors
/// [`GraphError::Forward`] for a graph without [`REWARD`] or a checkpoint of another model.
pub fn export(eval: &ModelProto, checkpoint: Checkpoint) -> Result<ModelProto, GraphError> {
    let mut model = eval.clone();
    let graph = model.graph.as_mut().ok_or_else(no_graph)?;
    let made = |name: &str| {
        graph
            .node
            .iter()
            .any(|n| n.output.iter().any(|o| o == name))
    };
    if !made(REWARD) {
        return Err(GraphError::Forward {
            what: format!("the eval model has no value `{REWARD}`, the reward of each row"),
            hint: "export works on artifacts that `prefclean artifacts` made; artifacts of other \
                   origin hold no forward part that could be told apart",
        });
    }
    graph.name = "reward_model".into();
    let rows = vec!["rows".into()];
    graph.output = vec![ValueInfoProto::tensor(REWARD, elem::FLOAT, rows)];
    names::prune(graph);
    set_values(graph, checkpoint.parameters)?;
    lora::merge(graph)?;
    names::prune(graph);
    Ok(model)
}

/// Turns the inputs that are parameters into initializers.
fn set_values(graph: &mut GraphProto, parameters: Vec<Parameter>) -> Result<(), GraphError> {
    let other = |what: String| GraphError::Forward {
        what,
        hint: "take the checkpoint that belongs to these artifacts",
    };
    let shapes: HashMap<String, Vec<i64>> = graph
        .input
        .iter()
        .map(|v| (v.name.clone(), fixed_shape(v)))
        .collect();
    let mut set = HashSet::new();
    for parameter in parameters {
        let Some(shape) = shapes.get(&parameter.name) else {
            continue; // a parameter of another part, such as one that only the loss reads
        };
        if *shape != parameter.dims {
            return Err(other(format!(
                "parameter `{}` has shape {:?} in the checkpoint, {shape:?} in the model",
                parameter.name, parameter.dims
            )));
        }
        if parameter.data.iter().any(|v| !v.is_finite()) {
            let what = format!("parameter `{}` is not finite", parameter.name);
            return Err(GraphError::Malformed(what));
        }
        let tensor = TensorProto::from_f32(&parameter.name, &parameter.dims, &parameter.data);
        graph.initializer.push(tensor);
        set.insert(parameter.name);
    }
    graph.input.retain(|v| !set.contains(&v.name));
    // what is fed has a free number of rows; a parameter has a fixed shape
    let missing = graph.input.iter().find(|v| {
        let shape = &shapes[&v.name];
        !shape.is_empty() && shape.iter().all(|&d| d >= 0)
    });
    match missing {
        None => Ok(()),
        Some(value) => Err(other(format!(
            "the checkpoint lacks parameter `{}`",
            value.name
        ))),
    }
}

/// The dimensions of an input, -1 for free ones.
fn fixed_shape(value: &ValueInfoProto) -> Vec<i64> {
    use crate::graph::proto::DimValue;
    let dims = value.tensor_type().and_then(|t| t.shape.as_ref());
    dims.map_or_else(Vec::new, |shape| {
        let size = |d: &crate::graph::proto::DimProto| match d.value {
            Some(DimValue::Size(size)) => size,
            _ => -1,
        };
        shape.dim.iter().map(size).collect()
    })
}
