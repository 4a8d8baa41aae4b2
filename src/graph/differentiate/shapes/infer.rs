//! What each operator makes of what is known of its inputs.

use super::super::super::proto::{NodeProto, elem};
use super::size::product;
use super::{Dim, Facts, MAX_CONTENTS, Shapes, Size};

/// Most dimensions that are followed.
const MAX_RANK: usize = 16;

/// What is known of the outputs of a node; shorter than its outputs where nothing is.
pub(super) fn outputs(node: &NodeProto, shapes: &Shapes<'_>) -> Vec<Facts> {
    let call = Call { node, shapes };
    let mut facts = call.outputs().unwrap_or_default();
    for fact in &mut facts {
        fact.dims.take_if(|dims| dims.len() > MAX_RANK);
        fact.contents.take_if(|values| values.len() > MAX_CONTENTS);
    }
    facts
}

/// The axis as an index; `None` when it is out of range.
pub(in super::super) fn index_of(axis: i64, rank: usize) -> Option<usize> {
    let signed = i64::try_from(rank).ok()?;
    let axis = if axis < 0 {
        axis.checked_add(signed)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|&axis| axis < rank)
}

/// The dimensions of two operands broadcast together.
pub(in super::super) fn broadcast(a: &[Dim], b: &[Dim]) -> Vec<Dim> {
    let (long, short) = if a.len() < b.len() { (b, a) } else { (a, b) };
    let lead = long.len() - short.len();
    let joined = long[lead..].iter().zip(short).map(|(a, b)| {
        let number = |dim: &Dim| dim.as_ref().and_then(Size::number);
        match (number(a), number(b)) {
            (Some(1), _) => b.clone(),
            (_, Some(1)) => a.clone(),
            (Some(_), _) => a.clone(),
            (_, Some(_)) => b.clone(),
            _ if a == b => a.clone(),
            _ => None,
        }
    });
    long[..lead].iter().cloned().chain(joined).collect()
}

struct Call<'a> {
    node: &'a NodeProto,
    shapes: &'a Shapes<'a>,
}

impl Call<'_> {
    fn input(&self, index: usize) -> &Facts {
        self.shapes.facts(self.node.input_at(index).unwrap_or(""))
    }

    fn dims(&self, index: usize) -> Option<&[Dim]> {
        self.input(index).dims.as_deref()
    }

    fn integers(&self, index: usize) -> Option<Vec<i64>> {
        self.shapes.integers(self.node.input_at(index)?)
    }

    /// Axes given as attribute or as input `index`.
    fn axes(&self, index: usize) -> Option<Vec<i64>> {
        match self.node.attribute("axes") {
            Some(axes) => Some(axes.ints.clone()),
            None => self.integers(index),
        }
    }

    fn one(elem: Option<i32>, dims: Option<Vec<Dim>>) -> Option<Vec<Facts>> {
        Some(vec![Facts::new(elem, dims)])
    }

    /// One output with the element type of the first input.
    fn same_elem(&self, dims: Option<Vec<Dim>>) -> Option<Vec<Facts>> {
        Self::one(self.input(0).elem, dims)
    }

    fn outputs(&self) -> Option<Vec<Facts>> {
        let first = self.input(0);
        match self.node.op_type.as_str() {
            "Identity" => Some(vec![first.clone()]),
            "Abs"
            | "Neg"
            | "Sqrt"
            | "Reciprocal"
            | "Exp"
            | "Log"
            | "Erf"
            | "Sin"
            | "Cos"
            | "Sigmoid"
            | "Tanh"
            | "Relu"
            | "LeakyRelu"
            | "Gelu"
            | "FastGelu"
            | "QuickGelu"
            | "BiasGelu"
            | "Softplus"
            | "Softmax"
            | "LogSoftmax"
            | "Clip"
            | "Floor"
            | "Ceil"
            | "Round"
            | "Sign"
            | "Elu"
            | "HardSigmoid"
            | "HardSwish"
            | "Trilu"
            | "CumSum"
            | "ScatterElements"
            | "ScatterND"
            | "SimplifiedLayerNormalization"
            | "LayerNormalization"
            | "Dropout"
            | "SkipLayerNormalization"
            | "SkipSimplifiedLayerNormalization" => self.like_first(),
            "Not" | "IsNaN" | "IsInf" => Self::one(Some(elem::BOOL), first.dims.clone()),
            "And" | "Or" | "Xor" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual" => {
                Self::one(Some(elem::BOOL), self.broadcast_all())
            }
            "Equal" => self.equal(),
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "Max" | "Min" | "Sum" | "Mean"
            | "PRelu" => self.arithmetic(),
            "Where" => self.choose(),
            "Cast" => self.cast(),
            "MatMul" | "FusedMatMul" => self.same_elem(self.matmul()),
            "Gemm" => self.same_elem(self.gemm()),
            "Shape" => self.shape(),
            "Size" => self.size(),
            "Constant" => self.constant(),
            "ConstantOfShape" => self.constant_of_shape(),
            "Range" => self.range(),
            "Gather" => self.gather(),
            "GatherElements" => self.same_elem(self.dims(1).map(<[Dim]>::to_vec)),
            "GatherND" => self.same_elem(self.gather_nd()),
            "Slice" => self.slice(),
            "Split" => self.split(),
            "Concat" => self.concat(),
            "Reshape" => self.reshape(),
            "Flatten" => self.same_elem(self.flatten()),
            "Transpose" => self.same_elem(self.transpose()),
            "Squeeze" => self.squeeze(),
            "Unsqueeze" => self.unsqueeze(),
            "Expand" => self.same_elem(self.expand()),
            "Tile" => self.same_elem(self.tile()),
            "Pad" => self.same_elem(self.dims(0).map(|dims| vec![None; dims.len()])),
            "ArgMax" | "ArgMin" => Self::one(Some(elem::INT64), self.arg_reduced()),
            "SoftmaxCrossEntropyLoss" => self.cross_entropy(),
            name if name.starts_with("Reduce") => self.same_elem(self.reduced()),
            _ => None,
        }
    }

    /// The first output like the first input; further ones of norms and dropout.
    fn like_first(&self) -> Option<Vec<Facts>> {
        let first = self.input(0);
        let like = Facts::new(first.elem, first.dims.clone());
        let per_row = || {
            let mut row = like.clone();
            let axis = self.node.int("axis", -1);
            row.dims = row.dims.and_then(|mut dims| {
                let axis = index_of(axis, dims.len())?;
                dims[axis..].fill(Size::known(1));
                Some(dims)
            });
            row.elem = Some(elem::FLOAT);
            row
        };
        Some(match self.node.op_type.as_str() {
            "LayerNormalization" => vec![like.clone(), per_row(), per_row()],
            "SimplifiedLayerNormalization" => vec![like.clone(), per_row()],
            "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => {
                vec![like.clone(), per_row(), per_row(), like]
            }
            "Dropout" => {
                let mask = Facts::new(Some(elem::BOOL), like.dims.clone());
                vec![like, mask]
            }
            _ => vec![like],
        })
    }

    fn broadcast_all(&self) -> Option<Vec<Dim>> {
        let mut joined = Vec::new();
        for index in 0..self.node.input.len() {
            joined = broadcast(&joined, self.dims(index)?);
        }
        Some(joined)
    }

    /// The contents of two operands side by side, a scalar repeated.
    fn contents_pairs(&self, a: usize, b: usize) -> Option<Vec<(&Dim, &Dim)>> {
        let (a, b) = (
            self.input(a).contents.as_ref()?,
            self.input(b).contents.as_ref()?,
        );
        let length = if a.len() == 1 { b.len() } else { a.len() };
        if (a.len() != 1 && a.len() != length) || (b.len() != 1 && b.len() != length) {
            return None;
        }
        let at = |values: &Vec<Dim>, i: usize| if values.len() == 1 { 0 } else { i };
        Some((0..length).map(|i| (&a[at(a, i)], &b[at(b, i)])).collect())
    }

    fn arithmetic(&self) -> Option<Vec<Facts>> {
        let mut facts = Facts::new(self.input(0).elem, self.broadcast_all());
        let combine = |a: &Size, b: &Size| match self.node.op_type.as_str() {
            "Add" => a.plus(b),
            "Sub" => a.minus(b),
            "Mul" => a.times(b),
            "Div" => a.over(b),
            _ => None,
        };
        if self.node.input.len() == 2 && facts.elem == Some(elem::INT64) {
            facts.contents = self.contents_pairs(0, 1).map(|pairs| {
                let combine = |(a, b): (&Dim, &Dim)| combine(a.as_ref()?, b.as_ref()?);
                pairs.into_iter().map(combine).collect()
            });
        }
        Some(vec![facts])
    }

    fn equal(&self) -> Option<Vec<Facts>> {
        let mut facts = Facts::new(Some(elem::BOOL), self.broadcast_all());
        let compare = |(a, b): (&Dim, &Dim)| {
            let (a, b) = (a.as_ref()?, b.as_ref()?);
            match (a.number(), b.number()) {
                (Some(a), Some(b)) => Size::known((a == b).into()),
                // a size is not negative
                (Some(number), None) | (None, Some(number)) if number < 0 => Size::known(0),
                _ if a == b => Size::known(1),
                _ => None,
            }
        };
        let pairs = self.contents_pairs(0, 1);
        facts.contents = pairs.map(|pairs| pairs.into_iter().map(compare).collect());
        Some(vec![facts])
    }

    fn choose(&self) -> Option<Vec<Facts>> {
        let mut facts = Facts::new(self.input(1).elem, self.broadcast_all());
        facts.contents = self.contents_pairs(1, 2).and_then(|pairs| {
            let tests = self.input(0).contents.as_ref()?;
            (tests.len() == pairs.len()).then_some(())?;
            let choose = |(test, (yes, no)): (&Dim, (&Dim, &Dim))| {
                let test = test.as_ref()?.number()?;
                if test == 0 { no.clone() } else { yes.clone() }
            };
            Some(tests.iter().zip(pairs).map(choose).collect())
        });
        Some(vec![facts])
    }

    fn cast(&self) -> Option<Vec<Facts>> {
        let to = i32::try_from(self.node.int("to", 0)).ok()?;
        let mut facts = self.input(0).clone();
        let integer = |elem: Option<i32>| matches!(elem, Some(elem::INT64 | elem::INT32));
        if !integer(facts.elem) || !integer(Some(to)) {
            facts.contents = None;
        }
        facts.elem = Some(to);
        Some(vec![facts])
    }

    fn matmul(&self) -> Option<Vec<Dim>> {
        let swapped = |index: usize, name: &str| {
            let mut dims = self.dims(index)?.to_vec();
            if self.node.int(name, 0) != 0 && dims.len() > 1 {
                let last = dims.len() - 1;
                dims.swap(last - 1, last);
            }
            Some(dims)
        };
        if self.node.int("transBatchA", 0) != 0 || self.node.int("transBatchB", 0) != 0 {
            return self.dims(0).map(|dims| vec![None; dims.len()]);
        }
        let (mut a, mut b) = (swapped(0, "transA")?, swapped(1, "transB")?);
        let (row, column) = (a.len() == 1, b.len() == 1);
        if row {
            a.insert(0, Size::known(1));
        }
        if column {
            b.push(Size::known(1));
        }
        let (batch_a, batch_b) = (a.len().checked_sub(2)?, b.len().checked_sub(2)?);
        let mut dims = broadcast(&a[..batch_a], &b[..batch_b]);
        if !row {
            dims.push(a[batch_a].clone());
        }
        if !column {
            dims.push(b[batch_b + 1].clone());
        }
        Some(dims)
    }

    fn gemm(&self) -> Option<Vec<Dim>> {
        let [a, b] = [(0, "transA"), (1, "transB")].map(|(index, name)| {
            let dims = self.dims(index).filter(|dims| dims.len() == 2)?;
            let turned = self.node.int(name, 0) != 0;
            Some(if turned {
                [&dims[1], &dims[0]]
            } else {
                [&dims[0], &dims[1]]
            })
        });
        Some(vec![a?[0].clone(), b?[1].clone()])
    }

    fn shape(&self) -> Option<Vec<Facts>> {
        let mut facts = Facts::new(Some(elem::INT64), Some(vec![None]));
        if let Some(dims) = self.dims(0) {
            let rank = i64::try_from(dims.len()).ok()?;
            let bound = |name: &str, default: i64| {
                let at = self.node.int(name, default);
                let at = if at < 0 { at.saturating_add(rank) } else { at };
                usize::try_from(at.clamp(0, rank)).ok()
            };
            let (start, end) = (bound("start", 0)?, bound("end", rank)?);
            let part = dims.get(start..end.max(start))?;
            facts.dims = Some(vec![Size::known(i64::try_from(part.len()).ok()?)]);
            facts.contents = Some(part.to_vec());
        }
        Some(vec![facts])
    }

    fn size(&self) -> Option<Vec<Facts>> {
        let mut facts = Facts::new(Some(elem::INT64), Some(Vec::new()));
        facts.contents = self.dims(0).map(|dims| vec![product(dims)]);
        Some(vec![facts])
    }

    /// A constant that is not a tensor; those are known already.
    fn constant(&self) -> Option<Vec<Facts>> {
        let length = |values: usize| i64::try_from(values).ok().and_then(Size::known);
        let attribute = self.node.attribute.first()?;
        let mut facts = Facts::default();
        match attribute.name.as_str() {
            "value_int" => {
                facts = Facts::new(Some(elem::INT64), Some(Vec::new()));
                facts.contents = Some(vec![Size::known(attribute.i)]);
            }
            "value_ints" => {
                let values = &attribute.ints;
                facts = Facts::new(Some(elem::INT64), Some(vec![length(values.len())]));
                facts.contents = Some(values.iter().map(|&value| Size::known(value)).collect());
            }
            "value_float" => facts = Facts::new(Some(elem::FLOAT), Some(Vec::new())),
            "value_floats" => {
                let dims = vec![length(attribute.floats.len())];
                facts = Facts::new(Some(elem::FLOAT), Some(dims));
            }
            _ => {}
        }
        Some(vec![facts])
    }

    fn constant_of_shape(&self) -> Option<Vec<Facts>> {
        let value = self.node.attribute("value").and_then(|a| a.t.as_ref());
        let elem = value.map_or(elem::FLOAT, |tensor| tensor.data_type);
        let mut facts = Facts::new(Some(elem), self.as_dims(0));
        if let (Some([length]), elem::INT64) = (facts.dims.as_deref(), elem) {
            let length = length.as_ref().and_then(Size::number).unwrap_or(-1);
            let length = usize::try_from(length).ok().filter(|&n| n <= MAX_CONTENTS);
            let value = value.and_then(|tensor| tensor.to_i64().ok());
            let value = value.map_or(Some(0), |values| values.first().copied());
            facts.contents = length.zip(value).map(|(n, v)| vec![Size::known(v); n]);
        }
        Some(vec![facts])
    }

    /// The contents of an input as dimensions; unknown ones when only their number is known.
    fn as_dims(&self, index: usize) -> Option<Vec<Dim>> {
        let facts = self.input(index);
        facts.contents.clone().or_else(|| {
            let rank = facts.dims.as_ref()?.first()?.as_ref()?.number()?;
            let rank = usize::try_from(rank)
                .ok()
                .filter(|&rank| rank <= MAX_RANK)?;
            Some(vec![None; rank])
        })
    }

    fn range(&self) -> Option<Vec<Facts>> {
        let value = |index: usize| self.input(index).contents.as_ref()?.first()?.clone();
        let length = match (value(0), value(1), value(2)) {
            (Some(start), Some(end), Some(step)) if step.number() == Some(1) => end.minus(&start),
            _ => None,
        };
        self.same_elem(Some(vec![length]))
    }

    fn gather(&self) -> Option<Vec<Facts>> {
        let joined = || {
            let (data, indices) = (self.dims(0)?, self.dims(1)?);
            let axis = index_of(self.node.int("axis", 0), data.len())?;
            Some([&data[..axis], indices, &data[axis + 1..]].concat())
        };
        let mut facts = Facts::new(self.input(0).elem, joined());
        if let (Some(values), Some(indices)) = (&self.input(0).contents, self.integers(1)) {
            let pick = |&index: &i64| values.get(index_of(index, values.len())?)?.clone();
            facts.contents = Some(indices.iter().map(pick).collect());
        }
        Some(vec![facts])
    }

    fn gather_nd(&self) -> Option<Vec<Dim>> {
        let (data, indices) = (self.dims(0)?, self.dims(1)?);
        let batch = usize::try_from(self.node.int("batch_dims", 0)).ok()?;
        let (depth, lead) = indices.split_last()?;
        let depth = usize::try_from(depth.as_ref()?.number()?).ok()?;
        let rest = data.get(batch.checked_add(depth)?..)?;
        Some([lead, rest].concat())
    }

    fn slice(&self) -> Option<Vec<Facts>> {
        let data = self.input(0);
        let mut dims = data.dims.clone()?;
        let rank = dims.len();
        let (starts, ends) = (
            self.input(1).contents.clone(),
            self.input(2).contents.clone(),
        );
        let count = starts.as_ref().or(ends.as_ref()).map(Vec::len);
        let axes = match self.node.input_at(3) {
            Some(name) => self.shapes.integers(name),
            None => count.map(|n| (0..i64::try_from(n).unwrap_or(0)).collect()),
        };
        let steps = match self.node.input_at(4) {
            Some(name) => self.shapes.integers(name),
            None => count.map(|n| vec![1; n]),
        };
        let mut facts = Facts::new(data.elem, None);
        let Some(axes) = axes else {
            facts.dims = Some(vec![None; rank]);
            return Some(vec![facts]);
        };
        for (i, &axis) in axes.iter().enumerate() {
            let axis = index_of(axis, rank)?;
            let at = |values: &Option<Vec<Dim>>| values.as_ref()?.get(i)?.clone();
            let step = steps.as_ref().and_then(|steps| steps.get(i)).copied();
            dims[axis] = span(dims[axis].as_ref(), at(&starts), at(&ends), step).and_then(
                |(start, length)| {
                    if rank == 1 && axes.len() == 1 {
                        facts.contents = sliced(data.contents.as_deref(), start, &length);
                    }
                    Some(length)
                },
            );
        }
        facts.dims = Some(dims);
        Some(vec![facts])
    }

    fn split(&self) -> Option<Vec<Facts>> {
        let first = self.input(0);
        let mut dims = first.dims.clone()?;
        let axis = index_of(self.node.int("axis", 0), dims.len())?;
        let parts = i64::try_from(self.node.output.len()).ok()?;
        let sizes = match self.node.input_at(1) {
            Some(_) => self.input(1).contents.clone(),
            None => {
                let whole = dims[axis].as_ref().and_then(Size::number);
                // the last part is the shorter one where they differ
                whole
                    .filter(|whole| parts > 0 && whole % parts == 0)
                    .map(|whole| {
                        let each = Size::known(whole / parts);
                        vec![each; self.node.output.len()]
                    })
            }
        };
        let part = |index: usize| {
            dims[axis] = sizes.as_ref().and_then(|sizes| sizes.get(index)?.clone());
            Facts::new(first.elem, Some(dims.clone()))
        };
        Some((0..self.node.output.len()).map(part).collect())
    }

    fn concat(&self) -> Option<Vec<Facts>> {
        let mut contents = Some(Vec::new());
        let mut joined: Option<Vec<Dim>> = None;
        for index in 0..self.node.input.len() {
            let facts = self.input(index);
            contents = contents
                .zip(facts.contents.as_ref())
                .map(|(mut all, more)| {
                    all.extend_from_slice(more);
                    all.truncate(MAX_CONTENTS + 1);
                    all
                });
            // contents of unknown number: a vector of known length still says how many
            let Some(dims) = &facts.dims else {
                joined = None;
                break;
            };
            let axis = index_of(self.node.int("axis", 0), dims.len())?;
            joined = Some(match joined {
                None if index == 0 => dims.clone(),
                Some(mut all) if all.len() == dims.len() => {
                    for (i, (known, dim)) in all.iter_mut().zip(dims).enumerate() {
                        if i == axis {
                            *known = known
                                .as_ref()
                                .zip(dim.as_ref())
                                .and_then(|(a, b)| a.plus(b));
                        } else if known.is_none() {
                            known.clone_from(dim);
                        }
                    }
                    all
                }
                _ => return None,
            });
        }
        let mut facts = Facts::new(self.input(0).elem, joined);
        facts.contents = contents.or_else(|| self.partial_contents());
        Some(vec![facts])
    }

    /// The contents of joined vectors some of which are unknown but for their length.
    fn partial_contents(&self) -> Option<Vec<Dim>> {
        let mut all = Vec::new();
        for index in 0..self.node.input.len() {
            let facts = self.input(index);
            match (&facts.contents, facts.dims.as_deref()) {
                (Some(known), _) => all.extend_from_slice(known),
                (None, Some([length])) => {
                    let length = usize::try_from(length.as_ref()?.number()?).ok()?;
                    (length <= MAX_CONTENTS).then_some(())?;
                    all.extend(std::iter::repeat_n(None, length));
                }
                _ => return None,
            }
        }
        Some(all)
    }

    fn reshape(&self) -> Option<Vec<Facts>> {
        let first = self.input(0);
        let mut facts = Facts::new(first.elem, None);
        facts.dims = self.as_dims(1).map(|wanted| {
            let keeps_zero = self.node.int("allowzero", 0) != 0;
            let mut dims: Vec<Dim> = Vec::new();
            let mut open = None;
            for (i, dim) in wanted.iter().enumerate() {
                dims.push(match dim.as_ref().and_then(Size::number) {
                    Some(0) if !keeps_zero => {
                        first.dims.as_ref().and_then(|dims| dims.get(i)?.clone())
                    }
                    Some(-1) => {
                        open = Some(i);
                        Size::known(1)
                    }
                    _ => dim.clone(),
                });
            }
            if let Some(open) = open {
                let whole = first.dims.as_deref().and_then(product);
                let rest = product(&dims);
                dims[open] = whole.zip(rest).and_then(|(whole, rest)| whole.over(&rest));
            }
            dims
        });
        if facts.dims.as_ref().is_some_and(|dims| dims.len() <= 1) {
            facts.contents.clone_from(&first.contents);
        }
        Some(vec![facts])
    }

    fn flatten(&self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        let axis = self.node.int("axis", 1);
        let axis = if usize::try_from(axis) == Ok(dims.len()) {
            dims.len()
        } else {
            index_of(axis, dims.len()).or((axis == 0).then_some(0))?
        };
        Some(vec![product(&dims[..axis]), product(&dims[axis..])])
    }

    fn transpose(&self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        match self.node.attribute("perm") {
            None => Some(dims.iter().rev().cloned().collect()),
            Some(perm) if perm.ints.len() == dims.len() => {
                let at = |&axis: &i64| Some(dims[index_of(axis, dims.len())?].clone());
                perm.ints.iter().map(at).collect()
            }
            Some(_) => None,
        }
    }

    fn squeeze(&self) -> Option<Vec<Facts>> {
        let first = self.input(0);
        let mut facts = Facts::new(first.elem, None);
        facts.contents.clone_from(&first.contents);
        facts.dims = first.dims.as_ref().and_then(|dims| {
            let one = |dim: &Dim| dim.as_ref().and_then(Size::number).map(|n| n == 1);
            let named = self.node.attribute("axes").is_some() || self.node.input_at(1).is_some();
            let dropped: Vec<bool> = if named {
                let mut dropped = vec![false; dims.len()];
                for axis in self.axes(1)? {
                    dropped[index_of(axis, dims.len())?] = true;
                }
                dropped
            } else {
                // a named size may be 1
                dims.iter().map(one).collect::<Option<_>>()?
            };
            let kept = dims.iter().zip(dropped).filter(|(_, dropped)| !dropped);
            Some(kept.map(|(dim, _)| dim.clone()).collect())
        });
        Some(vec![facts])
    }

    fn unsqueeze(&self) -> Option<Vec<Facts>> {
        let first = self.input(0);
        let mut facts = Facts::new(first.elem, None);
        facts.dims = first
            .dims
            .as_ref()
            .zip(self.axes(1))
            .and_then(|(dims, axes)| {
                let rank = dims.len() + axes.len();
                let mut slots = vec![None; rank];
                for axis in axes {
                    slots[index_of(axis, rank)?] = Some(Size::known(1));
                }
                let mut rest = dims.iter().cloned();
                slots
                    .into_iter()
                    .map(|slot| slot.or_else(|| rest.next()))
                    .collect()
            });
        if first.dims.as_ref().is_some_and(Vec::is_empty)
            && facts.dims.as_ref().is_some_and(|dims| dims.len() == 1)
        {
            facts.contents.clone_from(&first.contents);
        }
        Some(vec![facts])
    }

    fn expand(&self) -> Option<Vec<Dim>> {
        Some(broadcast(self.dims(0)?, &self.as_dims(1)?))
    }

    fn tile(&self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        let repeats = self.input(1).contents.as_ref();
        let repeat = |(i, dim): (usize, &Dim)| dim.as_ref()?.times(repeats?.get(i)?.as_ref()?);
        Some(dims.iter().enumerate().map(repeat).collect())
    }

    fn arg_reduced(&self) -> Option<Vec<Dim>> {
        let mut dims = self.dims(0)?.to_vec();
        let axis = index_of(self.node.int("axis", 0), dims.len())?;
        if self.node.int("keepdims", 1) != 0 {
            dims[axis] = Size::known(1);
        } else {
            dims.remove(axis);
        }
        Some(dims)
    }

    fn reduced(&self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        let keep = self.node.int("keepdims", 1) != 0;
        let named = self.node.attribute("axes").is_some() || self.node.input_at(1).is_some();
        let axes = if named {
            self.axes(1)
        } else {
            Some(Vec::new())
        };
        let Some(axes) = axes else {
            return keep.then(|| vec![None; dims.len()]);
        };
        if axes.is_empty() && self.node.int("noop_with_empty_axes", 0) != 0 {
            return Some(dims.to_vec());
        }
        let mut gone = vec![axes.is_empty(); dims.len()];
        for axis in axes {
            gone[index_of(axis, dims.len())?] = true;
        }
        let slots = dims.iter().zip(gone);
        Some(if keep {
            slots
                .map(|(dim, gone)| if gone { Size::known(1) } else { dim.clone() })
                .collect()
        } else {
            slots
                .filter(|(_, gone)| !gone)
                .map(|(dim, _)| dim.clone())
                .collect()
        })
    }

    fn cross_entropy(&self) -> Option<Vec<Facts>> {
        let scores = self.input(0);
        let each = self
            .node
            .attribute("reduction")
            .is_some_and(|a| a.s == b"none");
        let loss = if each {
            self.dims(1).map(<[Dim]>::to_vec)
        } else {
            Some(Vec::new())
        };
        let log_p = Facts::new(scores.elem, scores.dims.clone());
        Some(vec![Facts::new(scores.elem, loss), log_p])
    }
}

/// Start and length of a slice with step 1, as far as they are certain.
fn span(
    dim: Option<&Size>,
    start: Dim,
    end: Dim,
    step: Option<i64>,
) -> Option<(Option<i64>, Size)> {
    let (start, end) = (start?, end?);
    if step != Some(1) {
        return None;
    }
    let whole = dim.and_then(Size::number);
    if let (Some(start), Some(end), Some(whole)) = (start.number(), end.number(), whole) {
        let clamped =
            |at: i64| (if at < 0 { at.saturating_add(whole) } else { at }).clamp(0, whole);
        let (start, end) = (clamped(start), clamped(end));
        return Some((Some(start), Size::known((end - start).max(0))?));
    }
    // up to the end of a named size
    let to_the_end =
        end.number().is_some_and(|end| end >= i64::from(i32::MAX)) || Some(&end) == dim;
    if start.number() == Some(0) && to_the_end {
        return Some((Some(0), dim?.clone()));
    }
    // up to a named size: a shorter table than that would fit nothing that has this size
    if start.number() == Some(0) && end.number().is_none() && whole.is_some_and(|n| n > 1) {
        return Some((None, end));
    }
    None
}

fn sliced(contents: Option<&[Dim]>, start: Option<i64>, length: &Size) -> Option<Vec<Dim>> {
    let start = usize::try_from(start?).ok()?;
    let length = usize::try_from(length.number()?).ok()?;
    Some(contents?.get(start..start.checked_add(length)?)?.to_vec())
}
