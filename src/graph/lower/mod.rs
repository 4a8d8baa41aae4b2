//! Rewrites training graphs for a stock runtime.
//!
//! A `training_model.onnx` holds operators that only training builds of ONNX Runtime had. Each is
//! replaced by standard ones, by a rule of `rules`; standard nodes and the fused
//! operators that stock runtimes kept are copied. The optimizer's update is appended, so that one run
//! of the graph is a whole training step. [`super::artifacts`] is the way in.

use std::collections::{HashMap, HashSet};

use super::GraphError;
use super::builder::{Builder, MICROSOFT, OPSET};
use super::checkpoint::Parameter;
use super::optimizer::{self, OptimizerSettings, Update};
use super::proto::{
    DimProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, elem,
};

mod rules;

use rules::{RULES, inputs};

#[cfg(test)]
mod tests;

/// Name of the mean loss among a step's outputs.
pub const LOSS: &str = "loss";
/// Name of the margins (`[pairs]`) among the outputs.
pub const MARGIN: &str = "margin";
/// Name of the losses of single pairs (`[pairs]`) among the outputs.
pub const PAIR_LOSS: &str = "pair_loss";
/// Name of a step's learning rate: an f32 scalar input.
pub const LEARNING_RATE: &str = "learning_rate";
/// Name of a step's number, from 1: an i64 scalar input.
pub const STEP: &str = "step";

const ACCUMULATOR: &str = "InPlaceAccumulatorV2";
const BUFFER_SUFFIX: &str = "_grad.accumulation.buffer";
const RESET: &str = "lazy_reset_grad";

/// Oldest default operator set whose nodes mean the same in the declared one.
const OLDEST_OPSET: i64 = 13;

/// Operators of `com.microsoft` that stock runtimes execute.
const STOCK: [&str; 5] = ["BiasGelu", "FastGelu", "FusedMatMul", "Gelu", "QuickGelu"];

/// Name of a step's output that replaces a parameter or moment.
#[must_use]
pub fn new_name(name: &str) -> String {
    format!("{name}.new")
}

/// Names of the inputs that hold a parameter's first and second moment.
#[must_use]
pub fn moment_names(parameter: &str) -> [String; 2] {
    [
        format!("{parameter}.moment1"),
        format!("{parameter}.moment2"),
    ]
}

fn label(node: &NodeProto) -> &str {
    match node.output_at(0) {
        Some(output) if node.name.is_empty() => output,
        _ => &node.name,
    }
}

/// Writes the model of a whole training step.
///
/// Inputs: the data, [`LEARNING_RATE`], [`STEP`], then each trainable parameter and its moments.
/// Outputs: [`LOSS`], [`MARGIN`], [`PAIR_LOSS`], then [`new_name`] of each parameter and moment.
pub(super) fn step_model(
    training: &ModelProto,
    parameters: &[Parameter],
    settings: &OptimizerSettings,
) -> Result<ModelProto, GraphError> {
    let graph = graph_of(training)?;
    let source = Source::new(graph, parameters)?;
    let mut b = source.begin("step", training.opset());
    declare_data(&mut b, graph, &source);
    b.input(LEARNING_RATE, elem::FLOAT, &[]);
    b.input(STEP, elem::INT64, &[]);

    let mut gradients = HashMap::new();
    for node in &graph.node {
        let node = source.renamed(node);
        if node.op_type == ACCUMULATOR {
            let [buffer, gradient, ..] = inputs::<2>(&node)?;
            let parameter = buffer.strip_suffix(BUFFER_SUFFIX).unwrap_or(buffer);
            gradients.insert(parameter.to_owned(), gradient.to_owned());
        } else {
            lower_node(&mut b, node)?;
        }
    }
    let mut updated = Vec::new();
    for parameter in parameters.iter().filter(|p| p.trainable) {
        let name = &parameter.name;
        let gradient = gradients
            .remove(name)
            .ok_or_else(|| GraphError::Malformed(format!("parameter `{name}` has no gradient")))?;
        updated.push((parameter, gradient));
    }
    if let Some(other) = gradients.keys().min() {
        return Err(GraphError::Malformed(format!(
            "the checkpoint lacks the trainable parameter `{other}`"
        )));
    }
    source.outputs(&mut b, true);
    append_update(&mut b, settings, &updated);
    Ok(pruned(b.finish()))
}

/// Adds parameters and moments as inputs, their new values as outputs, and the update between.
fn append_update(b: &mut Builder, settings: &OptimizerSettings, updated: &[(&Parameter, String)]) {
    let mut updates = Vec::with_capacity(updated.len());
    for (parameter, gradient) in updated {
        let name = &parameter.name;
        let moments = moment_names(name);
        let state: Vec<&String> = std::iter::once(name)
            .chain(moments.iter().take(settings.moments()))
            .collect();
        for name in state {
            declare_parameter(b, name, &parameter.dims);
            let dims: Vec<DimProto> = parameter.dims.iter().map(|&dim| dim.into()).collect();
            b.output(&new_name(name), elem::FLOAT, &dims);
        }
        updates.push(Update {
            parameter: name.clone(),
            gradient: gradient.clone(),
            new_parameter: new_name(name),
            new_moments: moments.each_ref().map(|name| new_name(name)),
            moments,
        });
    }
    optimizer::update(b, settings, LEARNING_RATE, STEP, &updates);
}

/// Writes the model that only measures: data and trainable parameters in, [`MARGIN`] and
/// [`PAIR_LOSS`] out.
pub(super) fn eval_model(
    eval: &ModelProto,
    parameters: &[Parameter],
) -> Result<ModelProto, GraphError> {
    let graph = graph_of(eval)?;
    let source = Source::new(graph, parameters)?;
    let mut b = source.begin("eval", eval.opset());
    declare_data(&mut b, graph, &source);
    for parameter in parameters.iter().filter(|p| p.trainable) {
        declare_parameter(&mut b, &parameter.name, &parameter.dims);
    }
    for node in &graph.node {
        lower_node(&mut b, source.renamed(node))?;
    }
    source.outputs(&mut b, false);
    Ok(pruned(b.finish()))
}

fn graph_of(model: &ModelProto) -> Result<&GraphProto, GraphError> {
    if model.opset() < OLDEST_OPSET {
        return Err(GraphError::Unsupported(format!(
            "operator set {}: expected {OLDEST_OPSET} or later",
            model.opset()
        )));
    }
    let graph = model.graph.as_ref();
    graph.ok_or_else(|| GraphError::Malformed("the model has no graph".into()))
}

fn declare_data(target: &mut Builder, graph: &GraphProto, source: &Source<'_>) {
    for value in graph.input.iter().filter(|v| source.is_data(v)) {
        if let Some(tensor) = value.tensor_type() {
            let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
            target.input(&value.name, tensor.elem_type, dims);
        }
    }
}

fn declare_parameter(target: &mut Builder, name: &str, dims: &[i64]) {
    let dims: Vec<DimProto> = dims.iter().map(|&dim| dim.into()).collect();
    target.input(name, elem::FLOAT, &dims);
}

fn lower_node(b: &mut Builder, node: NodeProto) -> Result<(), GraphError> {
    if node.domain.is_empty() || node.domain == "ai.onnx" {
        b.node(node);
        return Ok(());
    }
    if node.domain == MICROSOFT {
        if let Some((_, rule)) = RULES.iter().find(|(name, _)| *name == node.op_type) {
            return rule(b, &node);
        }
        if STOCK.contains(&node.op_type.as_str()) {
            b.node(node);
            return Ok(());
        }
    }
    Err(GraphError::Operator {
        operator: format!("{}.{}", node.domain, node.op_type),
        node: label(&node).to_owned(),
        hint: "export the model from standard operators (no fused attention, no dropout, no \
               convolution) and make the artifacts again with onnxruntime-training 1.19.2",
    })
}

/// A graph to lower: which of its values are what.
struct Source<'a> {
    graph: &'a GraphProto,
    parameters: &'a [Parameter],
    /// Names of inner values that would clash with names of the result.
    clashes: HashSet<String>,
    loss: String,
    pair_loss: String,
    margin: String,
}

impl<'a> Source<'a> {
    fn new(graph: &'a GraphProto, parameters: &'a [Parameter]) -> Result<Self, GraphError> {
        let makers: HashMap<&str, &NodeProto> = graph
            .node
            .iter()
            .flat_map(|node| node.output.iter().map(move |o| (o.as_str(), node)))
            .collect();
        let loss = graph.output.first().map_or("", |v| v.name.as_str());
        let mean = makers.get(loss).filter(|node| node.op_type == "ReduceMean");
        let pair_loss = mean.and_then(|node| node.input_at(0)).ok_or_else(|| {
            GraphError::Unsupported(format!(
                "the first output, `{loss}`, is not a mean over pairs"
            ))
        })?;
        let margin = find_margin(&makers, pair_loss).ok_or_else(|| {
            GraphError::Unsupported("no difference of two rewards before the loss".into())
        })?;

        let mut reserved: HashSet<String> = [LOSS, MARGIN, PAIR_LOSS, LEARNING_RATE, STEP]
            .map(str::to_owned)
            .into();
        for parameter in parameters {
            for name in std::iter::once(parameter.name.clone()).chain(moment_names(&parameter.name))
            {
                reserved.insert(new_name(&name));
                if name != parameter.name {
                    reserved.insert(name);
                }
            }
        }
        let inner = graph.node.iter().flat_map(|node| &node.output);
        let inner = inner.chain(graph.initializer.iter().map(|tensor| &tensor.name));
        let clashes: HashSet<String> = inner.filter(|n| reserved.contains(*n)).cloned().collect();
        let source = Self {
            graph,
            parameters,
            loss: loss.to_owned(),
            pair_loss: pair_loss.to_owned(),
            margin,
            clashes,
        };
        if let Some(value) = graph.input.iter().find(|v| reserved.contains(&v.name)) {
            return Err(GraphError::Unsupported(format!(
                "the name `{}` of an input is taken",
                value.name
            )));
        }
        Ok(source)
    }

    /// Whether an input carries data: neither a parameter nor part of gradient accumulation.
    fn is_data(&self, value: &ValueInfoProto) -> bool {
        let name = &value.name;
        name != RESET
            && !name.ends_with(BUFFER_SUFFIX)
            && !self.parameters.iter().any(|p| p.name == *name)
    }

    /// A builder that knows the names in use, with the constants and the frozen parameters.
    fn begin(&self, name: &str, opset: i64) -> Builder {
        let mut graph = Builder::with_opset(name, opset.max(OPSET));
        graph.reserve([LOSS, MARGIN, PAIR_LOSS, LEARNING_RATE, STEP]);
        graph.reserve(self.graph.input.iter().map(|v| v.name.as_str()));
        let outputs = self.graph.node.iter().flat_map(|node| &node.output);
        graph.reserve(outputs.map(String::as_str));
        let frozen = self.parameters.iter().filter(|p| !p.trainable);
        let mut known = HashSet::new();
        for parameter in frozen {
            known.insert(parameter.name.as_str());
            graph.f32(&parameter.name, &parameter.dims, &parameter.data);
        }
        let trainable = self.parameters.iter().filter(|p| p.trainable);
        known.extend(trainable.map(|p| p.name.as_str()));
        for tensor in &self.graph.initializer {
            // the forward values of parameters may stand here too; the checkpoint's count
            if !known.contains(tensor.name.as_str()) {
                let name = self.rename(&tensor.name);
                graph.initializer(TensorProto {
                    name,
                    ..tensor.clone()
                });
            }
        }
        graph
    }

    fn rename(&self, name: &str) -> String {
        if self.clashes.contains(name) {
            format!("{name}.inner")
        } else {
            name.to_owned()
        }
    }

    fn renamed(&self, node: &NodeProto) -> NodeProto {
        let mut node = node.clone();
        self.rename_in(&mut node);
        node
    }

    fn rename_in(&self, node: &mut NodeProto) {
        for name in node.input.iter_mut().chain(&mut node.output) {
            *name = self.rename(name);
        }
        for graph in node.attribute.iter_mut().filter_map(|a| a.g.as_mut()) {
            graph
                .node
                .iter_mut()
                .for_each(|inner| self.rename_in(inner));
            for value in &mut graph.output {
                value.name = self.rename(&value.name);
            }
        }
    }

    fn outputs(&self, b: &mut Builder, with_loss: bool) {
        let pairs: [DimProto; 1] = ["pairs".into()];
        let mut output = |value: &str, name: &str, dims: &[DimProto]| {
            let value = self.rename(value);
            b.op_to("", "Identity", &[&value], &[name], &[]);
            b.output(name, elem::FLOAT, dims);
        };
        if with_loss {
            output(&self.loss, LOSS, &[]);
        }
        output(&self.margin, MARGIN, &pairs);
        output(&self.pair_loss, PAIR_LOSS, &pairs);
    }
}

/// The output of the subtraction that is nearest to the loss, walking back.
fn find_margin(makers: &HashMap<&str, &NodeProto>, from: &str) -> Option<String> {
    let mut seen = HashSet::new();
    let mut queue = std::collections::VecDeque::from([from]);
    while let Some(value) = queue.pop_front() {
        if !seen.insert(value) {
            continue;
        }
        if let Some(node) = makers.get(value) {
            if node.op_type == "Sub" {
                return Some(value.to_owned());
            }
            queue.extend(node.input.iter().map(String::as_str));
        }
    }
    None
}

/// Drops nodes and constants that no output depends on, such as the gradients of the data.
fn pruned(mut model: ModelProto) -> ModelProto {
    if let Some(graph) = &mut model.graph {
        let mut needed: HashSet<String> = graph.output.iter().map(|v| v.name.clone()).collect();
        let mut kept = Vec::with_capacity(graph.node.len());
        for node in std::mem::take(&mut graph.node).into_iter().rev() {
            if node.output.iter().any(|name| needed.contains(name)) {
                add_names_read(&node, &mut needed);
                kept.push(node);
            }
        }
        kept.reverse();
        graph.node = kept;
        graph
            .initializer
            .retain(|tensor| needed.contains(&tensor.name));
    }
    model
}

fn add_names_read(node: &NodeProto, names: &mut HashSet<String>) {
    names.extend(node.input.iter().filter(|name| !name.is_empty()).cloned());
    for graph in node.attribute.iter().filter_map(|a| a.g.as_ref()) {
        names.extend(graph.output.iter().map(|v| v.name.clone()));
        graph
            .node
            .iter()
            .for_each(|inner| add_names_read(inner, names));
    }
}
