//! Gradients written by `graph::differentiate`, run on the stock runtime and held to central finite
//! differences of the forward graph.

use std::collections::HashMap;

use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;
use prefclean::graph::builder::Builder;
use prefclean::graph::differentiate::differentiate;
use prefclean::graph::proto::{DimProto, DimValue, ModelProto, TensorProto, ValueInfoProto, elem};

use crate::runtime::session;

mod encoders;
mod models;
mod operators;
mod rewrites;
mod shapes;

/// A value to feed.
#[derive(Clone, Debug)]
pub enum Feed {
    Floats(Vec<i64>, Vec<f32>),
    Ints(Vec<i64>, Vec<i64>),
}

impl Feed {
    fn dims(&self) -> &[i64] {
        let (Feed::Floats(dims, _) | Feed::Ints(dims, _)) = self;
        dims
    }

    fn tensor(&self) -> SessionInputValue<'static> {
        match self.clone() {
            Feed::Floats(dims, data) => Tensor::from_array((dims, data)).unwrap().into(),
            Feed::Ints(dims, data) => Tensor::from_array((dims, data)).unwrap().into(),
        }
    }
}

pub type Feeds = Vec<(String, Feed)>;

/// How much of the inputs' shapes a model is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// All sizes.
    Sizes,
    /// A name for each size above 1; equal sizes have one name.
    Names,
    /// The number of dimensions only.
    Ranks,
}

pub const ALL_TOLD: [Told; 3] = [Told::Sizes, Told::Names, Told::Ranks];

impl Told {
    pub fn dims(self, dims: &[i64]) -> Vec<DimProto> {
        let dim = |&dim: &i64| match self {
            Told::Names if dim > 1 => DimProto {
                value: Some(DimValue::Name(format!("size_{dim}"))),
            },
            Told::Ranks => DimProto { value: None },
            _ => dim.into(),
        };
        dims.iter().map(dim).collect()
    }
}

/// Numbers between -1 and 1 that look random, the same each time.
pub fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678_9ABC_DEF1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
        let value = (state >> 40) as f32 / (1 << 23) as f32;
        value - 1.0
    };
    (0..8).for_each(|_| _ = next());
    (0..count).map(|_| next()).collect()
}

pub fn count(dims: &[i64]) -> usize {
    usize::try_from(dims.iter().product::<i64>()).unwrap()
}

pub fn run(session: &mut Session, feeds: &Feeds, outputs: &[String]) -> Vec<(Vec<i64>, Vec<f32>)> {
    let inputs: Vec<(String, SessionInputValue<'_>)> = feeds
        .iter()
        .map(|(name, feed)| (name.clone(), feed.tensor()))
        .collect();
    let found = session.run(inputs).unwrap();
    let read = |name: &String| {
        let (dims, data) = found[name.as_str()].try_extract_tensor::<f32>().unwrap();
        (dims.to_vec(), data.to_vec())
    };
    outputs.iter().map(read).collect()
}

/// The sum of a value's elements, weighted, in f64: what the gradients are of.
struct Scalar {
    session: Session,
    output: [String; 1],
    weights: Vec<f32>,
}

impl Scalar {
    fn at(&mut self, feeds: &Feeds) -> f64 {
        let found = run(&mut self.session, feeds, &self.output);
        let products = found[0].1.iter().zip(&self.weights);
        products.map(|(y, w)| f64::from(*y) * f64::from(*w)).sum()
    }

    /// The slope along a direction of one input, by central differences of two widths.
    fn slope(&mut self, feeds: &Feeds, input: usize, direction: &[f32], step: f32) -> f64 {
        let mut difference = |step: f32| {
            let mut at = |step: f32| {
                let mut moved = feeds.clone();
                let Feed::Floats(_, data) = &mut moved[input].1 else {
                    panic!("`{}` is not a float input", moved[input].0);
                };
                for (value, d) in data.iter_mut().zip(direction) {
                    *value += step * d;
                }
                self.at(&moved)
            };
            (at(step) - at(-step)) / (2.0 * f64::from(step))
        };
        (4.0 * difference(step) - difference(2.0 * step)) / 3.0
    }
}

/// A model with one output, `y`, and what to feed it.
pub struct Subject {
    pub model: ModelProto,
    pub y: String,
    pub feeds: Feeds,
}

/// What a check allows.
#[derive(Clone, Copy)]
pub struct Tolerance {
    /// Step of the finite difference.
    pub step: f32,
    /// Largest difference as a share of the largest slope of the parameter.
    pub relative: f64,
    /// Slopes below this share of the scalar's own size are taken for 0.
    pub absolute: f64,
    /// Most coordinates of a parameter that are moved.
    pub coordinates: usize,
}

pub const SINGLE_OPERATOR: Tolerance = Tolerance {
    step: 1e-2,
    relative: 2e-3,
    absolute: 1e-4,
    coordinates: 24,
};

/// Differentiates a weighted sum of `y` with respect to inputs, and compares each gradient with finite
/// differences: in every coordinate of a small input, in some of a large one and along the gradient.
pub fn check(
    environment: &Environment,
    subject: &Subject,
    wanted: &[String],
    tolerance: Tolerance,
    what: &str,
) -> ModelProto {
    let mut forward = session(environment, &subject.model.to_bytes(), 1);
    let (dims, y) = run(
        &mut forward,
        &subject.feeds,
        std::slice::from_ref(&subject.y),
    )
    .remove(0);
    let weights: Vec<f32> = noise(7, y.len())
        .iter()
        .map(|w| w + w.signum() * 0.5)
        .collect();

    let (scalar, name) = with_scalar(&subject.model, &subject.y, &dims, &weights);
    let differentiated = differentiate(&scalar, &name, wanted)
        .unwrap_or_else(|error| panic!("{what}: {error} {:?}", error.hint()));
    let (backward, outputs) = with_outputs(differentiated.model.clone(), &differentiated.gradients);
    let mut backward = session(environment, &backward.to_bytes(), 1);
    let gradients = run(&mut backward, &subject.feeds, &outputs);

    let mut scalar = Scalar {
        session: forward,
        output: [subject.y.clone()],
        weights,
    };
    let size = y.iter().map(|y| f64::from(y.abs())).sum::<f64>().max(1.0);
    for (name, (dims, gradient)) in wanted.iter().zip(gradients) {
        let input = subject.feeds.iter().position(|(n, _)| n == name).unwrap();
        assert_eq!(
            dims,
            subject.feeds[input].1.dims(),
            "{what}: shape of the gradient of `{name}`"
        );
        let largest = gradient
            .iter()
            .fold(0.0, |m: f64, g| m.max(f64::from(g.abs())));
        let bound = tolerance.relative * largest + tolerance.absolute * size;
        let stride = gradient.len().div_ceil(tolerance.coordinates).max(1);
        for at in (0..gradient.len()).step_by(stride) {
            let mut direction = vec![0.0; gradient.len()];
            direction[at] = 1.0;
            let slope = scalar.slope(&subject.feeds, input, &direction, tolerance.step);
            let found = f64::from(gradient[at]);
            assert!(
                (found - slope).abs() <= bound,
                "{what}: gradient of `{name}` at {at}: {found}, by differences {slope} (bound {bound})"
            );
        }
        if stride > 1 {
            let norm = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
            let direction: Vec<f32> = gradient.iter().map(|g| g / norm.max(1e-12)).collect();
            let slope = scalar.slope(&subject.feeds, input, &direction, tolerance.step);
            let bound = bound.max(tolerance.relative * f64::from(norm));
            assert!(
                (f64::from(norm) - slope).abs() <= bound,
                "{what}: gradient of `{name}` along itself: {norm}, by differences {slope}"
            );
        }
    }
    differentiated.model
}

/// A model whose only outputs are the values given, and the outputs' names.
pub fn with_outputs(mut model: ModelProto, values: &[String]) -> (ModelProto, Vec<String>) {
    let graph = model.graph.as_mut().unwrap();
    graph.output.clear();
    let mut outputs = Vec::new();
    for (i, value) in values.iter().enumerate() {
        // two parameters may have one gradient, and an output is no input
        let output = format!("gradient.{i}");
        let mut identity = Builder::new("");
        identity.op_to("", "Identity", &[value], &[&output], &[]);
        graph.node.extend(identity.finish().graph.unwrap().node);
        graph.output.push(untyped(&output));
        outputs.push(output);
    }
    (model, outputs)
}

/// An output whose type the runtime finds out.
fn untyped(name: &str) -> ValueInfoProto {
    ValueInfoProto {
        name: name.to_owned(),
        r#type: None,
        doc_string: String::new(),
    }
}

/// The model with the weighted sum of a value added to it.
pub fn with_scalar(
    model: &ModelProto,
    y: &str,
    dims: &[i64],
    weights: &[f32],
) -> (ModelProto, String) {
    let mut model = model.clone();
    let mut builder = Builder::with_opset("scalar", model.opset());
    let graph = model.graph.as_mut().unwrap();
    builder.reserve(
        graph
            .node
            .iter()
            .flat_map(|n| &n.output)
            .map(String::as_str),
    );
    builder.reserve(graph.initializer.iter().map(|t| t.name.as_str()));
    builder.reserve(graph.input.iter().map(|v| v.name.as_str()));
    let weights = builder.constant(TensorProto::from_f32("weights", dims, weights));
    let product = builder.call("Mul", &[y, &weights]);
    let scalar = builder.reduce("ReduceSum", &product, &[], false);
    builder.output(&scalar, elem::FLOAT, &[]);
    let added = builder.finish().graph.unwrap();
    graph.node.extend(added.node);
    graph.initializer.extend(added.initializer);
    graph.output = added.output;
    (model, scalar)
}

/// A test of one operator: values to feed, which of them want gradients, and the node.
pub struct Case<'a> {
    pub what: &'a str,
    pub feeds: &'a [(&'a str, Feed)],
    pub wanted: &'a [&'a str],
    pub build: &'a dyn Fn(&mut Builder) -> String,
}

impl Case<'_> {
    /// Checks the case for some operator sets, the first of them with everything that a model may be
    /// told of shapes.
    pub fn check(&self, environment: &Environment, opsets: &[i64]) {
        for told in ALL_TOLD {
            self.check_one(environment, opsets[0], told, SINGLE_OPERATOR);
        }
        for (&opset, told) in opsets.iter().skip(1).zip(ALL_TOLD.into_iter().cycle()) {
            self.check_one(environment, opset, told, SINGLE_OPERATOR);
        }
    }

    pub fn check_one(
        &self,
        environment: &Environment,
        opset: i64,
        told: Told,
        tolerance: Tolerance,
    ) -> ModelProto {
        let mut builder = Builder::with_opset("case", opset);
        for (name, feed) in self.feeds {
            let elem_type = match feed {
                Feed::Floats(..) => elem::FLOAT,
                Feed::Ints(..) => elem::INT64,
            };
            builder.input(name, elem_type, &told.dims(feed.dims()));
        }
        let y = (self.build)(&mut builder);
        let mut model = builder.finish();
        let graph = model.graph.as_mut().unwrap();
        graph.output.push(untyped(&y));
        let feeds = self
            .feeds
            .iter()
            .map(|(n, f)| ((*n).to_owned(), f.clone()))
            .collect();
        let wanted: Vec<String> = self.wanted.iter().map(|&n| n.to_owned()).collect();
        let what = format!("{} (operator set {opset}, told {told:?})", self.what);
        check(
            environment,
            &Subject { model, y, feeds },
            &wanted,
            tolerance,
            &what,
        )
    }
}

/// Floats of a shape, between -1 and 1.
pub fn floats(seed: u64, dims: &[i64]) -> Feed {
    Feed::Floats(dims.to_vec(), noise(seed, count(dims)))
}

/// Floats of a shape, from a function of such noise.
pub fn mapped(seed: u64, dims: &[i64], f: impl Fn(f32) -> f32) -> Feed {
    Feed::Floats(
        dims.to_vec(),
        noise(seed, count(dims)).into_iter().map(f).collect(),
    )
}

pub fn integers(dims: &[i64], values: &[i64]) -> Feed {
    Feed::Ints(dims.to_vec(), values.to_vec())
}

/// How often each operator occurs.
pub fn census(model: &ModelProto) -> HashMap<&str, usize> {
    let mut census = HashMap::new();
    for node in &model.graph.as_ref().unwrap().node {
        *census.entry(node.op_type.as_str()).or_default() += 1;
    }
    census
}
