//! Gradients of losses.

use super::Builder;
use crate::graph::GraphError;
use crate::graph::builder::int;
use crate::graph::proto::{TensorProto, elem};

/// Of `SoftmaxCrossEntropyLoss` with respect to its scores: `g (exp(log_p) - onehot(labels))`, for
/// the reduction `mean` divided by the number of labels that count.
///
/// # Shapes
/// `log_p`: `[n, classes, ...]`; `labels`: i32 or i64, `[n, ...]`; `g`: a scalar, for the reduction
/// `none` the shape of `labels`; `ignore_index`: an i64 scalar, the label that does not count.
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
    let p = b.call("Exp", &[log_p]);
    let shape = b.call("Shape", &[log_p]);
    let one = b.ints(&[1]);
    let classes = b.call("Gather", &[&shape, &one]);
    let ends = b.constant(TensorProto::from_f32("constant", &[2], &[0.0, 1.0]));
    let onehot = b.op("OneHot", &[labels, &classes, &ends], &[int("axis", 1)]);
    let difference = b.call("Sub", &[&p, &onehot]);
    // per label: its share of the loss, its gradient
    let counted = ignore_index.map(|ignored| {
        let to = [int("to", elem::INT64.into())];
        let labels = b.op("Cast", &[labels], &to);
        let ignored = b.op("Cast", &[ignored], &to);
        let same = b.call("Equal", &[&labels, &ignored]);
        let differs = b.call("Not", &[&same]);
        b.op("Cast", &[&differs], &[int("to", elem::FLOAT.into())])
    });
    let mut share = g.to_owned();
    match reduction {
        "mean" => {
            let count = if let Some(counted) = &counted {
                b.reduce("ReduceSum", counted, &[], false)
            } else {
                let size = b.call("Size", &[labels]);
                b.op("Cast", &[&size], &[int("to", elem::FLOAT.into())])
            };
            share = b.call("Div", &[&share, &count]);
        }
        "sum" | "none" => {}
        other => {
            return Err(GraphError::Unsupported(format!(
                "reduction `{other}` of a loss: expected `mean`, `sum` or `none`"
            )));
        }
    }
    if let Some(counted) = &counted {
        share = b.call("Mul", &[&share, counted]);
    }
    if reduction == "none" || counted.is_some() {
        let axis = b.ints(&[1]);
        share = b.call("Unsqueeze", &[&share, &axis]);
    }
    Ok(b.call("Mul", &[&difference, &share]))
}
