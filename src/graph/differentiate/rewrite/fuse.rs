//! Groups of nodes that are one operator with a short gradient.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::super::super::builder::{Builder, MICROSOFT, float, int};
use super::super::super::proto::NodeProto;
use super::super::shapes::index_of;
use super::{Around, is_vector};

/// Cubic coefficient of the tanh approximation of GELU.
const GELU_CUBIC: f32 = 0.044_715;

/// Most values that are looked at for the factors of a product.
const MAX_LOOKS: usize = 16;

/// Writes the operator whose last node this is, if it is one.
pub(super) fn fused(around: &Around<'_>, node: &NodeProto, b: &mut Builder) -> bool {
    let found = match node.op_type.as_str() {
        "Mul" => around
            .gelu(node)
            .or_else(|| around.fast_gelu(node))
            .or_else(|| around.quick_gelu(node))
            .or_else(|| around.simplified_norm(node))
            .or_else(|| around.scaled_product(node)),
        "Div" => around.scaled_product(node),
        "Add" => around.norm(node),
        _ => None,
    };
    let (Some(call), Some(output)) = (found, node.output_at(0)) else {
        return false;
    };
    let inputs: Vec<&str> = call.inputs.iter().map(String::as_str).collect();
    b.op_to(
        call.domain,
        call.op_type,
        &inputs,
        &[output],
        &call.attributes,
    );
    true
}

/// An operator found.
struct Found {
    domain: &'static str,
    op_type: &'static str,
    inputs: Vec<String>,
    attributes: Vec<super::super::super::proto::AttributeProto>,
}

impl Found {
    fn new(domain: &'static str, op_type: &'static str, inputs: &[&str]) -> Self {
        Self {
            domain,
            op_type,
            inputs: inputs.iter().map(|&name| name.to_owned()).collect(),
            attributes: Vec::new(),
        }
    }

    fn with(mut self, attribute: super::super::super::proto::AttributeProto) -> Self {
        self.attributes.push(attribute);
        self
    }
}

fn near(value: f32, expected: f32) -> bool {
    (value - expected).abs() <= 1e-4 * expected.abs()
}

/// The two inputs of a node in both orders.
fn orders(node: &NodeProto) -> impl Iterator<Item = (&str, &str)> {
    let both = node.input_at(0).zip(node.input_at(1));
    both.into_iter().flat_map(|(a, b)| [(a, b), (b, a)])
}

impl<'a> Around<'a> {
    /// A product as a number and other factors; `whole` is not taken apart.
    fn factors<'v>(&self, value: &'v str, whole: &str) -> (f32, Vec<&'v str>)
    where
        'a: 'v,
    {
        let (mut number, mut others) = (1.0, Vec::new());
        let mut open = vec![value];
        let mut looks = 0;
        while let Some(value) = open.pop() {
            looks += 1;
            let inputs = |node: &'a NodeProto| node.input_at(0).zip(node.input_at(1));
            if looks > MAX_LOOKS {
                others.push(value);
            } else if let Some(constant) = self.shapes.float(value) {
                number *= constant;
            } else if value == whole {
                others.push(value);
            } else if let Some((a, b)) = self.maker(value, "Mul").and_then(inputs) {
                open.extend([a, b]);
            } else if let Some((a, b)) = self.maker(value, "Div").and_then(inputs)
                && let Some(divisor) = self.shapes.float(b)
            {
                number /= divisor;
                open.push(a);
            } else {
                others.push(value);
            }
        }
        (number, others)
    }

    /// `x`, if a value is `factor * x`; any factor will do when none is expected.
    fn multiple<'v>(&self, value: &'v str) -> Option<(f32, &'v str)>
    where
        'a: 'v,
    {
        let constant = |name: &str| self.shapes.float(name);
        if let Some(node) = self.maker(value, "Mul") {
            let mut found = orders(node).filter_map(|(a, b)| Some((constant(a)?, b)));
            if let Some(found) = found.next() {
                return Some(found);
            }
        }
        if let Some(node) = self.maker(value, "Div")
            && let Some((x, divisor)) = node.input_at(0).zip(node.input_at(1))
            && let Some(divisor) = constant(divisor)
        {
            return Some((1.0 / divisor, x));
        }
        None
    }

    /// `x`, if a value is `1 + x`.
    fn one_more<'v>(&self, value: &str) -> Option<&'v str>
    where
        'a: 'v,
    {
        let node = self.maker(value, "Add")?;
        let is_one = |name: &str| self.shapes.float(name).is_some_and(|c| near(c, 1.0));
        orders(node).find_map(|(a, b)| is_one(a).then_some(b))
    }

    /// Whether the product that `node` ends is `number * x * other`.
    fn is_product(&self, node: &NodeProto, number: f32, x: &str, other: &str) -> bool {
        let (Some(output), Some(_)) = (node.output_at(0), node.input_at(1)) else {
            return false;
        };
        let (found, mut factors) = self.factors(output, x);
        let mut expected = [x, other];
        factors.sort_unstable();
        expected.sort_unstable();
        near(found, number) && factors == expected
    }

    /// The factors of the product that `node` ends.
    fn factors_of(&self, node: &'a NodeProto) -> Vec<&'a str> {
        node.output_at(0)
            .map_or_else(Vec::new, |output| self.factors(output, "").1)
    }

    /// `x (1 + erf(x / sqrt 2)) / 2`
    fn gelu(&self, node: &NodeProto) -> Option<Found> {
        let node = *self.makers.get(node.output_at(0)?)?;
        self.factors_of(node).into_iter().find_map(|other| {
            let erf = self.maker(self.one_more(other)?, "Erf")?;
            let (scale, x) = self.multiple(erf.input_at(0)?)?;
            let fits = near(scale, FRAC_1_SQRT_2) && self.is_product(node, 0.5, x, other);
            fits.then(|| Found::new(MICROSOFT, "Gelu", &[x]))
        })
    }

    /// `x (1 + tanh(sqrt(2 / pi) (x + c x^3))) / 2`
    fn fast_gelu(&self, node: &NodeProto) -> Option<Found> {
        let node = *self.makers.get(node.output_at(0)?)?;
        self.factors_of(node).into_iter().find_map(|other| {
            let tanh = self.maker(self.one_more(other)?, "Tanh")?;
            let (scale, sum) = self.multiple(tanh.input_at(0)?)?;
            let sum = self.maker(sum, "Add")?;
            let x = orders(sum).find_map(|(x, cubic)| {
                let (number, cube) = self.multiple(cubic)?;
                let cube = self.maker(cube, "Pow")?;
                let exponent = self.shapes.float(cube.input_at(1)?)?;
                let same = cube.input_at(0) == Some(x) && near(exponent, 3.0);
                (same && near(number, GELU_CUBIC)).then_some(x)
            })?;
            let fits =
                near(scale, FRAC_2_SQRT_PI * FRAC_1_SQRT_2) && self.is_product(node, 0.5, x, other);
            fits.then(|| Found::new(MICROSOFT, "FastGelu", &[x]))
        })
    }

    /// `x sigmoid(alpha x)`
    fn quick_gelu(&self, node: &NodeProto) -> Option<Found> {
        orders(node).find_map(|(x, other)| {
            let sigmoid = self.maker(other, "Sigmoid")?.input_at(0)?;
            let alpha = if self.behind_casts(sigmoid) == self.behind_casts(x) {
                1.0
            } else {
                let (alpha, inner) = self.multiple(sigmoid)?;
                (inner == x).then_some(alpha)?
            };
            Some(Found::new(MICROSOFT, "QuickGelu", &[x]).with(float("alpha", alpha)))
        })
    }

    /// The mean over the last axis, kept: what it is of.
    fn mean_of_rows(&self, value: &str) -> Option<&'a str> {
        let node = self.maker(value, "ReduceMean")?;
        let axes = match node.attribute("axes") {
            Some(axes) => axes.ints.clone(),
            None => self.shapes.integers(node.input_at(1)?)?,
        };
        let x = node.input_at(0)?;
        let rank = self.shapes.rank(x)?;
        let last = |axis: i64| index_of(axis, rank) == rank.checked_sub(1);
        (matches!(axes[..], [axis] if last(axis)) && node.int("keepdims", 1) != 0).then_some(x)
    }

    /// `sqrt(mean(x^2) + epsilon)` over the last axis.
    fn root_mean_square(&self, value: &str) -> Option<(&'a str, f32)> {
        let sum = self.maker(self.maker(value, "Sqrt")?.input_at(0)?, "Add")?;
        orders(sum).find_map(|(square, epsilon)| {
            let epsilon = self.shapes.float(epsilon)?;
            let square = self.mean_of_rows(square)?;
            let x = if let Some(power) = self.maker(square, "Pow") {
                let exponent = power.input_at(1)?;
                let two = self.shapes.float(exponent).is_some_and(|e| near(e, 2.0))
                    || self.shapes.integers(exponent).as_deref() == Some(&[2]);
                two.then_some(power.input_at(0)?)?
            } else {
                let product = self.maker(square, "Mul")?;
                let (a, b) = product.input_at(0).zip(product.input_at(1))?;
                (a == b).then_some(a)?
            };
            Some((x, epsilon))
        })
    }

    /// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`
    fn norm(&self, node: &NodeProto) -> Option<Found> {
        orders(node).find_map(|(scaled, beta)| {
            let product = self.maker(scaled, "Mul")?;
            orders(product).find_map(|(normal, gamma)| {
                let quotient = self.maker(normal, "Div")?;
                let (centred, deviation) = quotient.input_at(0).zip(quotient.input_at(1))?;
                let (squared, epsilon) = self.root_mean_square(deviation)?;
                let of_centred = |value: &str| {
                    let difference = self.maker(value, "Sub")?;
                    let (x, mean) = difference.input_at(0).zip(difference.input_at(1))?;
                    (self.mean_of_rows(mean)? == x).then_some(x)
                };
                let x = of_centred(centred)?;
                let vectors = is_vector(self.shapes, gamma) && is_vector(self.shapes, beta);
                let fits = of_centred(squared) == Some(x) && vectors && self.same_width(x, gamma);
                let found = Found::new("", "LayerNormalization", &[x, gamma, beta]);
                fits.then(|| found.with(float("epsilon", epsilon)).with(int("axis", -1)))
            })
        })
    }

    /// `x / sqrt(mean(x^2) + epsilon) * gamma`
    fn simplified_norm(&self, node: &NodeProto) -> Option<Found> {
        orders(node).find_map(|(normal, gamma)| {
            let (x, epsilon) = if let Some(quotient) = self.maker(normal, "Div") {
                let (x, root) = quotient.input_at(0).zip(quotient.input_at(1))?;
                let (squared, epsilon) = self.root_mean_square(root)?;
                (self.behind_casts(squared) == self.behind_casts(x)).then_some((squared, epsilon))
            } else {
                let product = self.maker(normal, "Mul")?;
                orders(product).find_map(|(x, inverse)| {
                    let (squared, epsilon) = self.root_mean_square(self.inverse_of(inverse)?)?;
                    let same = self.behind_casts(squared) == self.behind_casts(x);
                    same.then_some((squared, epsilon))
                })
            }?;
            let fits = is_vector(self.shapes, gamma) && self.same_width(x, gamma);
            let found = Found::new("", "SimplifiedLayerNormalization", &[x, gamma]);
            fits.then(|| found.with(float("epsilon", epsilon)).with(int("axis", -1)))
        })
    }

    /// `x`, if a value is `1 / x`.
    fn inverse_of(&self, value: &str) -> Option<&'a str> {
        if let Some(reciprocal) = self.maker(value, "Reciprocal") {
            return reciprocal.input_at(0);
        }
        let quotient = self.maker(value, "Div")?;
        let one = self.shapes.float(quotient.input_at(0)?)?;
        near(one, 1.0).then_some(quotient.input_at(1)?)
    }

    /// Whether a vector certainly is as long as the last axis of `x`.
    fn same_width(&self, x: &str, vector: &str) -> bool {
        let last = |value: &str| self.shapes.dims(value)?.last()?.clone();
        last(x).is_some() && last(x) == last(vector)
    }

    /// `alpha a b`, where nothing else reads `a b`.
    fn scaled_product(&self, node: &NodeProto) -> Option<Found> {
        let (alpha, product) = self.multiple(node.output_at(0)?)?;
        let matmul = self.maker(product, "MatMul")?;
        let (a, b) = matmul.input_at(0).zip(matmul.input_at(1))?;
        let matrices = [a, b]
            .iter()
            .all(|value| self.shapes.rank(value).is_some_and(|rank| rank > 1));
        let fits = matrices && alpha.is_finite() && self.readers.get(product) == Some(&1);
        let found = Found::new(MICROSOFT, "FusedMatMul", &[a, b]);
        fits.then(|| found.with(float("alpha", alpha)))
    }
}
