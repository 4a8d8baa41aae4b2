//! The four files of training artifacts from a composed model.

use crate::graph::GraphError;
use crate::graph::builder::MICROSOFT;
use crate::graph::checkpoint::{Checkpoint, Parameter};
use crate::graph::differentiate::differentiate;
use crate::graph::lower::{LOSS, MARGIN, PAIR_LOSS};
use crate::graph::proto::{DimProto, ModelProto, NodeProto, ValueInfoProto, elem};

use crate::graph::optimizer::OptimizerSettings;

use super::super::Artifacts;
use super::compose::{Composed, REWARD};
use super::forward::no_graph;

/// The flag that makes the first micro-batch replace what a buffer holds.
const RESET: &str = "lazy_reset_grad";

impl Composed {
    /// Adds the gradients of the trainable parameters: the artifacts, as the generator of
    /// onnxruntime-training 1.19.2 writes them.
    ///
    /// # Errors
    /// What differentiation refuses: an operator without a gradient, a parameter that does not reach
    /// the loss.
    pub fn artifacts(self, optimizer: OptimizerSettings) -> Result<Artifacts, GraphError> {
        let trainable: Vec<String> = self
            .parameters
            .iter()
            .filter(|p| p.trainable)
            .map(|p| p.name.clone())
            .collect();
        let differentiated = differentiate(&self.model, LOSS, &trainable)?;
        let mut training = differentiated.model;
        training.ir_version = self.model.ir_version;
        add_accumulators(&mut training, &self.parameters, &differentiated.gradients)?;
        let mut eval = self.model;
        add_outputs(&mut eval);
        let checkpoint = Checkpoint {
            parameters: self.parameters,
            ..Checkpoint::default()
        };
        Artifacts::new(training, eval, optimizer, checkpoint)
    }
}

/// Gradients go into buffers that are inputs, so that several micro-batches can make one step.
fn add_accumulators(
    training: &mut ModelProto,
    parameters: &[Parameter],
    gradients: &[String],
) -> Result<(), GraphError> {
    let graph = training.graph.as_mut().ok_or_else(no_graph)?;
    graph.name = "training".into();
    graph.output.retain(|v| v.name == LOSS);
    let trainable = parameters.iter().filter(|p| p.trainable);
    for (parameter, gradient) in trainable.zip(gradients) {
        let name = &parameter.name;
        let buffer = format!("{name}_grad.accumulation.buffer");
        let flag = format!("{name}_grad.accumulation.out");
        let dims: Vec<DimProto> = parameter.dims.iter().map(|&d| d.into()).collect();
        let buffer_value = ValueInfoProto::tensor(&buffer, elem::FLOAT, dims);
        graph.input.push(buffer_value);
        let flag_value = ValueInfoProto::tensor(&flag, elem::BOOL, vec![1.into()]);
        graph.output.push(flag_value);
        graph.node.push(NodeProto {
            op_type: "InPlaceAccumulatorV2".into(),
            domain: MICROSOFT.into(),
            name: format!("{name}_grad.accumulation"),
            input: vec![buffer, gradient.clone(), RESET.into()],
            output: vec![flag],
            ..NodeProto::default()
        });
    }
    let reset = ValueInfoProto::tensor(RESET, elem::BOOL, vec![1.into()]);
    graph.input.push(reset);
    Ok(())
}

/// Lets the measuring graph show what is inside.
fn add_outputs(eval: &mut ModelProto) {
    if let Some(graph) = &mut eval.graph {
        graph.name = "eval".into();
        for (name, dim) in [(MARGIN, "pairs"), (PAIR_LOSS, "pairs"), (REWARD, "rows")] {
            let value = ValueInfoProto::tensor(name, elem::FLOAT, vec![dim.into()]);
            graph.output.push(value);
        }
    }
}
