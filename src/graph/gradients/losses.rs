//! The softmax cross-entropy loss and its gradient.

use super::Builder;
use crate::graph::GraphError;
use crate::graph::builder::int;
use crate::graph::proto::{TensorProto, elem};

/// Which classes are right, and how much each label counts.
#[derive(Clone, Copy, Debug)]
pub struct Labels<'a> {
    /// The right classes: i32 or i64, `[n, ...]`.
    pub classes: &'a str,
    /// Weights of classes: f32, `[classes]`.
    pub weights: Option<&'a str>,
    /// The label that does not count: an integer scalar.
    pub ignore_index: Option<&'a str>,
}

/// Of `SoftmaxCrossEntropyLoss` with respect to its scores: `g (exp(log_p) - onehot(labels))`, for
/// the reduction `mean` divided by the number of labels that count.
///
/// # Shapes
/// `log_p`: `[n, classes, ...]`; `labels`: i32 or i64, `[n, ...]`; `g`: a scalar, for the reduction
/// `none` the shape of `labels`; `ignore_index`: an integer scalar, the label that does not count.
///
/// # Errors
/// [`GraphError::Unsupported`] for a reduction other than `mean`, `sum` and `none`.
pub fn softmax_cross_entropy(
    b: &mut Builder,
    g: &str,
    log_p: &str,
    labels: &str,
    reduction: &str,
    ignore_index: Option<&str>,
) -> Result<String, GraphError> {
    let labels = Labels {
        classes: labels,
        weights: None,
        ignore_index,
    };
    weighted_softmax_cross_entropy(b, g, log_p, &labels, reduction)
}

/// As [`softmax_cross_entropy`], where classes may have weights; the mean divides by their sum over
/// the labels.
///
/// # Errors
/// As [`softmax_cross_entropy`].
pub fn weighted_softmax_cross_entropy(
    b: &mut Builder,
    g: &str,
    log_p: &str,
    labels: &Labels<'_>,
    reduction: &str,
) -> Result<String, GraphError> {
    let counted = Counted::new(b, labels);
    let p = b.call("Exp", &[log_p]);
    let shape = b.call("Shape", &[log_p]);
    let axis = b.ints(&[1]);
    let classes = b.call("Gather", &[&shape, &axis]);
    let ends = b.constant(TensorProto::from_f32("constant", &[2], &[0.0, 1.0]));
    let inputs = [counted.classes.as_str(), &classes, &ends];
    let onehot = b.op("OneHot", &inputs, &[int("axis", 1)]);
    let difference = b.call("Sub", &[&p, &onehot]);

    let mut share = g.to_owned();
    if Reduction::of(reduction)? == Reduction::Mean {
        let total = counted.total(b);
        share = b.call("Div", &[&share, &total]);
    }
    if let Some(counts) = &counted.counts {
        share = b.call("Mul", &[&share, counts]);
    }
    if reduction == "none" || counted.counts.is_some() {
        share = b.call("Unsqueeze", &[&share, &axis]);
    }
    Ok(b.call("Mul", &[&difference, &share]))
}

/// The loss itself, from log probabilities: for each label `-log_p` of its class, then reduced.
///
/// # Errors
/// As [`softmax_cross_entropy`].
pub fn softmax_cross_entropy_loss(
    b: &mut Builder,
    log_p: &str,
    labels: &Labels<'_>,
    reduction: &str,
) -> Result<String, GraphError> {
    let reduction = Reduction::of(reduction)?;
    let counted = Counted::new(b, labels);
    let axis = b.ints(&[1]);
    let positions = b.call("Unsqueeze", &[&counted.classes, &axis]);
    let picked = b.op("GatherElements", &[log_p, &positions], &[int("axis", 1)]);
    let picked = b.call("Squeeze", &[&picked, &axis]);
    let mut loss = b.call("Neg", &[&picked]);
    if let Some(counts) = &counted.counts {
        loss = b.call("Mul", &[&loss, counts]);
    }
    if reduction != Reduction::None {
        loss = b.reduce("ReduceSum", &loss, &[], false);
    }
    if reduction == Reduction::Mean {
        let total = counted.total(b);
        loss = b.call("Div", &[&loss, &total]);
    }
    Ok(loss)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reduction {
    Mean,
    Sum,
    None,
}

impl Reduction {
    fn of(name: &str) -> Result<Self, GraphError> {
        match name {
            "mean" => Ok(Self::Mean),
            "sum" => Ok(Self::Sum),
            "none" => Ok(Self::None),
            other => Err(GraphError::Unsupported(format!(
                "reduction `{other}` of a loss: expected `mean`, `sum` or `none`"
            ))),
        }
    }
}

/// Labels as positions, and how much each counts.
struct Counted {
    /// i64, in range: a label to ignore is 0 here.
    classes: String,
    /// In the shape of the labels; all 1 when absent.
    counts: Option<String>,
}

impl Counted {
    fn new(b: &mut Builder, labels: &Labels<'_>) -> Self {
        let (to_i64, to_f32) = (
            [int("to", elem::INT64.into())],
            [int("to", elem::FLOAT.into())],
        );
        let mut classes = b.op("Cast", &[labels.classes], &to_i64);
        let mut counts = None;
        if let Some(ignored) = labels.ignore_index {
            let ignored = b.op("Cast", &[ignored], &to_i64);
            let same = b.call("Equal", &[&classes, &ignored]);
            let zero = b.constant(TensorProto::from_i64("constant", &[], &[0]));
            classes = b.call("Where", &[&same, &zero, &classes]);
            let differs = b.call("Not", &[&same]);
            counts = Some(b.op("Cast", &[&differs], &to_f32));
        }
        if let Some(weights) = labels.weights {
            let weights = b.call("Gather", &[weights, &classes]);
            counts = Some(match counts {
                Some(counts) => b.call("Mul", &[&counts, &weights]),
                None => weights,
            });
        }
        Self { classes, counts }
    }

    /// What a mean divides by.
    fn total(&self, b: &mut Builder) -> String {
        if let Some(counts) = &self.counts {
            b.reduce("ReduceSum", counts, &[], false)
        } else {
            let size = b.call("Size", &[&self.classes]);
            b.op("Cast", &[&size], &[int("to", elem::FLOAT.into())])
        }
    }
}
