//! The relative position bias of `MPNet`.

use super::super::GraphError;
use super::super::builder::{Builder, ints};
use super::super::proto::TensorProto;
use super::weights::Weights;
use super::{Architecture, Config, dim};

/// Distances from here on share the last bucket.
const MAX_DISTANCE: f64 = 128.0;

/// The bias of every head for every pair of positions: `[1, heads, tokens, tokens]`.
pub(super) fn relative_bias(
    graph: &mut Builder,
    config: &Config,
    weights: &Weights<'_>,
    tokens: &str,
) -> Result<String, GraphError> {
    let buckets = config.relative_attention_num_buckets;
    let table = weights.as_is(
        graph,
        "encoder.relative_attention_bias.weight",
        &[buckets, config.num_attention_heads],
    )?;
    let positions = dim(config.usable_positions(Architecture::Mpnet));
    let matrix: Vec<i64> = (0..positions)
        .flat_map(|row| (0..positions).map(move |column| bucket(column - row, dim(buckets))))
        .collect();
    let matrix = TensorProto::from_i64("relative_buckets", &[positions, positions], &matrix);
    let matrix = graph.initializer(matrix);
    let (zeros, axes) = (graph.ints(&[0, 0]), graph.ints(&[0, 1]));
    let ends = graph.op("Concat", &[tokens, tokens], &[super::int("axis", 0)]);
    let used = graph.op("Slice", &[&matrix, &zeros, &ends, &axes], &[]);
    let bias = graph.op("Gather", &[&table, &used], &[]);
    let bias = graph.op("Transpose", &[&bias], &[ints("perm", &[2, 0, 1])]);
    let first = graph.ints(&[0]);
    Ok(graph.op("Unsqueeze", &[&bias, &first], &[]))
}

/// The bucket of a distance (key position minus query position): half of the buckets for each
/// direction, exact for short distances, logarithmic for long ones.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "small integers; f32 and truncation as in the reference implementation"
)]
fn bucket(distance: i64, buckets: i64) -> i64 {
    let half = buckets / 2;
    let exact = half / 2;
    let offset = if distance > 0 { half } else { 0 };
    let length = distance.abs();
    if length < exact {
        return offset + length;
    }
    let span = (MAX_DISTANCE / exact as f64).ln() as f32;
    let steps = (length as f32 / exact as f32).ln() / span * (half - exact) as f32;
    offset + (exact + steps as i64).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::bucket;

    /// Values of `MPNetEncoder.relative_position_bucket` with 32 buckets:
    /// 8 + floor(log(n / 8) / log(16) * 8) beyond distance 8, plus 16 for later positions.
    #[test]
    fn buckets_match_the_reference() {
        let expected = [
            (0, 0),
            (-1, 1),
            (-7, 7),
            (-8, 8),
            (-11, 8),
            (-12, 9),
            (-16, 10),
            (-23, 11),
            (-127, 15),
            (-400, 15),
            (1, 17),
            (7, 23),
            (8, 24),
            (16, 26),
            (300, 31),
        ];
        for (distance, value) in expected {
            assert_eq!(bucket(distance, 32), value, "distance {distance}");
        }
    }
}
