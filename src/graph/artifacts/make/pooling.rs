//! From states of tokens to features of a text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::graph::GraphError;
use crate::graph::backbone::{ATTENTION_MASK, RESPONSE_MASK};
use crate::graph::builder::{Builder, int};
use crate::graph::proto::elem;

/// A way from the states of tokens to one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// The first token's state.
    Cls,
    /// The mean over the tokens of [`PoolOver`].
    Mean,
    /// The maximum over the tokens of [`PoolOver`].
    Max,
    /// The last token's state, for decoders; padding on either side.
    Last,
}

/// Over which tokens mean and maximum are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PoolOver {
    /// Those of the response: the input `response_mask`.
    #[default]
    Response,
    /// All: the input `attention_mask`.
    Text,
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cls => "cls",
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Last => "last",
        })
    }
}

impl FromStr for Pool {
    type Err = GraphError;

    fn from_str(text: &str) -> Result<Self, GraphError> {
        match text {
            "cls" => Ok(Self::Cls),
            "mean" => Ok(Self::Mean),
            "max" => Ok(Self::Max),
            "last" => Ok(Self::Last),
            _ => Err(GraphError::Unsupported(format!(
                "pooling `{text}`: expected cls, mean, max or last"
            ))),
        }
    }
}

/// Which inputs the pooling reads besides the states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PoolInputs {
    pub(super) attention: bool,
    pub(super) response: bool,
}

/// What `pools` over those tokens will read.
pub(super) fn inputs(pools: &[Pool], over: PoolOver) -> PoolInputs {
    let spans = pools.iter().any(|p| matches!(p, Pool::Mean | Pool::Max));
    PoolInputs {
        attention: pools.contains(&Pool::Last) || (spans && over == PoolOver::Text),
        response: spans && over == PoolOver::Response,
    }
}

/// Pools `state` (`[rows, tokens, width]`) into `[rows, pools * width]`, side by side as asked.
///
/// A row without tokens to pool gets zeros. The maximum picks by index, so that one token has the
/// gradient of each feature.
pub(super) fn pool(b: &mut Builder, state: &str, pools: &[Pool], over: PoolOver) -> String {
    let mask = match over {
        PoolOver::Response => RESPONSE_MASK.to_owned(),
        PoolOver::Text => b.op("Cast", &[ATTENTION_MASK], &[int("to", elem::FLOAT.into())]),
    };
    let spans = pools.iter().any(|p| matches!(p, Pool::Mean | Pool::Max));
    let count = spans.then(|| b.reduce("ReduceSum", &mask, &[1], true));
    let pooled: Vec<String> = pools
        .iter()
        .map(|pool| match (pool, &count) {
            (Pool::Mean, Some(count)) => mean(b, state, &mask, count),
            (Pool::Max, Some(count)) => maximum(b, state, &mask, count),
            (Pool::Last, _) => last(b, state),
            _ => first(b, state),
        })
        .collect();
    match pooled.as_slice() {
        [one] => one.clone(),
        several => {
            let several: Vec<&str> = several.iter().map(String::as_str).collect();
            b.op("Concat", &several, &[int("axis", 1)])
        }
    }
}

fn first(b: &mut Builder, state: &str) -> String {
    let (zero, one) = (b.ints(&[0]), b.ints(&[1]));
    let first = b.call("Slice", &[state, &zero, &one, &one]);
    b.call("Squeeze", &[&first, &one])
}

fn mean(b: &mut Builder, state: &str, mask: &str, count: &str) -> String {
    let (axis, one) = (b.ints(&[1]), b.scalar(1.0));
    let row = b.call("Unsqueeze", &[mask, &axis]);
    let sum = b.call("MatMul", &[&row, state]);
    let sum = b.call("Squeeze", &[&sum, &axis]);
    let divisor = b.call("Max", &[count, &one]);
    b.call("Div", &[&sum, &divisor])
}

fn maximum(b: &mut Builder, state: &str, mask: &str, count: &str) -> String {
    let (axis, last, zero) = (b.ints(&[1]), b.ints(&[2]), b.scalar(0.0));
    let inside = b.call("Greater", &[mask, &zero]);
    let inside = b.call("Unsqueeze", &[&inside, &last]);
    let lowest = b.scalar(f32::MIN);
    let masked = b.call("Where", &[&inside, state, &lowest]);
    let at = b.op("ArgMax", &[&masked], &[int("axis", 1), int("keepdims", 1)]);
    let top = b.op("GatherElements", &[state, &at], &[int("axis", 1)]);
    let top = b.call("Squeeze", &[&top, &axis]);
    let any = b.call("Greater", &[count, &zero]);
    b.call("Where", &[&any, &top, &zero])
}

fn last(b: &mut Builder, state: &str) -> String {
    let axis = b.ints(&[1]);
    // where the count of tokens so far reaches that of all, on a token
    let axis_number = b.constant(crate::graph::proto::TensorProto::from_i64(
        "axis",
        &[],
        &[1],
    ));
    let so_far = b.call("CumSum", &[ATTENTION_MASK, &axis_number]);
    let all = b.reduce("ReduceSum", ATTENTION_MASK, &[1], true);
    let reached = b.call("Equal", &[&so_far, &all]);
    let to_float = [int("to", elem::FLOAT.into())];
    let reached = b.op("Cast", &[&reached], &to_float);
    let token = b.op("Cast", &[ATTENTION_MASK], &to_float);
    let at = b.call("Mul", &[&reached, &token]);
    let at = b.call("Unsqueeze", &[&at, &axis]);
    let state = b.call("MatMul", &[&at, state]);
    b.call("Squeeze", &[&state, &axis])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_correspond() {
        for pool in [Pool::Cls, Pool::Mean, Pool::Max, Pool::Last] {
            assert_eq!(pool.to_string().parse::<Pool>().unwrap(), pool);
        }
        assert!("sum".parse::<Pool>().is_err());
    }

    #[test]
    fn masks_are_asked_for_where_they_are_read() {
        let both = [Pool::Cls, Pool::Mean];
        assert!(inputs(&both, PoolOver::Response).response);
        assert!(inputs(&both, PoolOver::Text).attention);
        assert_eq!(
            inputs(&[Pool::Cls], PoolOver::Response),
            PoolInputs::default()
        );
        assert!(inputs(&[Pool::Last], PoolOver::Response).attention);
    }
}
