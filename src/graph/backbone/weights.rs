//! Weights by name from a safetensors file, checked against the shapes that the settings promise.

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use super::super::GraphError;
use super::super::builder::Builder;
use super::super::proto::{TensorProto, elem};
use super::dim;

/// Prefixes under which checkpoints with a task head keep the encoder.
const PREFIXES: [&str; 3] = ["", "bert.", "mpnet."];

/// The tensors of a file.
pub(super) struct Weights<'a> {
    tensors: SafeTensors<'a>,
    prefix: &'static str,
}

impl<'a> Weights<'a> {
    pub(super) fn new(tensors: SafeTensors<'a>) -> Self {
        let has = |prefix: &&str| {
            let name = format!("{prefix}embeddings.word_embeddings.weight");
            tensors.tensor(&name).is_ok()
        };
        let prefix = PREFIXES.into_iter().find(has).unwrap_or("");
        Self { tensors, prefix }
    }

    fn view(&self, name: &str, shape: Option<&[usize]>) -> Result<TensorView<'_>, GraphError> {
        let name = format!("{}{name}", self.prefix);
        let view = self
            .tensors
            .tensor(&name)
            .map_err(|_| GraphError::Malformed(format!("weight `{name}` is missing")))?;
        if view.dtype() != Dtype::F32 {
            return Err(GraphError::Unsupported(format!(
                "weight `{name}`: expected F32, found {:?}",
                view.dtype()
            )));
        }
        if let Some(shape) = shape.filter(|&shape| shape != view.shape()) {
            return Err(GraphError::Malformed(format!(
                "weight `{name}`: expected shape {shape:?}, found {:?}",
                view.shape()
            )));
        }
        Ok(view)
    }

    /// The values of a weight.
    pub(super) fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, GraphError> {
        Ok(floats(self.view(name, Some(shape))?.data()))
    }

    /// The first row of a matrix `width` wide.
    pub(super) fn first_row(&self, name: &str, width: usize) -> Result<Vec<f32>, GraphError> {
        let view = self.view(name, None)?;
        match view.shape() {
            [rows, columns] if *rows > 0 && *columns == width => {
                Ok(floats(&view.data()[..width * size_of::<f32>()]))
            }
            shape => Err(GraphError::Malformed(format!(
                "weight `{name}`: expected rows of {width}, found shape {shape:?}"
            ))),
        }
    }

    /// Adds a weight as it stands and gives back its name.
    pub(super) fn as_is(
        &self,
        graph: &mut Builder,
        name: &str,
        shape: &[usize],
    ) -> Result<String, GraphError> {
        let view = self.view(name, Some(shape))?;
        let dims: Vec<i64> = shape.iter().copied().map(dim).collect();
        let tensor = TensorProto::from_raw(name, elem::FLOAT, &dims, view.data().to_vec());
        Ok(graph.initializer(tensor))
    }

    /// `input * weight^T + bias` of a layer that maps `from` features `to` others.
    pub(super) fn linear(
        &self,
        graph: &mut Builder,
        name: &str,
        (from, to): (usize, usize),
        input: &str,
    ) -> Result<String, GraphError> {
        let weight = self.f32(&format!("{name}.weight"), &[to, from])?;
        let mut transposed = vec![0.0; weight.len()];
        transpose_into(&weight, from, &mut transposed, to, 0, 1.0);
        let bias = self.f32(&format!("{name}.bias"), &[to])?;
        Ok(product(graph, name, (from, to), &transposed, &bias, input))
    }

    /// Square linear layers of the same input side by side in one product, each scaled.
    pub(super) fn joined_linear(
        &self,
        graph: &mut Builder,
        name: &str,
        parts: &[String; 3],
        size: usize,
        scales: &[f32; 3],
        input: &str,
    ) -> Result<String, GraphError> {
        let to = 3 * size;
        let mut joined = vec![0.0; size * to];
        let mut biases = Vec::with_capacity(to);
        for (index, (part, &scale)) in parts.iter().zip(scales).enumerate() {
            let weight = self.f32(&format!("{part}.weight"), &[size, size])?;
            transpose_into(&weight, size, &mut joined, to, index * size, scale);
            let bias = self.f32(&format!("{part}.bias"), &[size])?;
            biases.extend(bias.iter().map(|b| b * scale));
        }
        Ok(product(graph, name, (size, to), &joined, &biases, input))
    }
}

fn product(
    graph: &mut Builder,
    name: &str,
    (from, to): (usize, usize),
    weight: &[f32],
    bias: &[f32],
    input: &str,
) -> String {
    let weight = graph.f32(&format!("{name}.weight"), &[dim(from), dim(to)], weight);
    let bias = graph.f32(&format!("{name}.bias"), &[dim(to)], bias);
    let product = graph.op("MatMul", &[input, &weight], &[]);
    graph.op("Add", &[&product, &bias], &[])
}

/// Writes a row-major `[n, from]` matrix, transposed and scaled, to columns of a `[from, to]` one.
fn transpose_into(
    source: &[f32],
    from: usize,
    target: &mut [f32],
    to: usize,
    first_column: usize,
    scale: f32,
) {
    for (column, row) in source.chunks_exact(from).enumerate() {
        for (index, value) in row.iter().enumerate() {
            target[index * to + first_column + column] = value * scale;
        }
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<4>();
    chunks.iter().map(|b| f32::from_le_bytes(*b)).collect()
}
