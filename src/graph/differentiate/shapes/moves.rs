//! What is known of elements that are picked, cut, joined and reshaped.
#![expect(clippy::unnecessary_wraps, reason = "the functions have one signature")]

use super::infer::{Call, broadcast, index_of};
use super::size::product;
use super::{Dim, Facts, MAX_CONTENTS, Size};

impl Call<'_> {
    pub(super) fn gather(&self) -> Option<Vec<Facts>> {
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

    pub(super) fn gather_nd(&self) -> Option<Vec<Dim>> {
        let (data, indices) = (self.dims(0)?, self.dims(1)?);
        let batch = usize::try_from(self.node.int("batch_dims", 0)).ok()?;
        let (depth, lead) = indices.split_last()?;
        let depth = usize::try_from(depth.as_ref()?.number()?).ok()?;
        let rest = data.get(batch.checked_add(depth)?..)?;
        Some([lead, rest].concat())
    }

    pub(super) fn slice(&self) -> Option<Vec<Facts>> {
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
            let found = span(dims[axis].as_ref(), at(&starts), at(&ends), step);
            if let (Some((start, length)), 1, 1) = (&found, rank, axes.len()) {
                facts.contents = sliced(data.contents.as_deref(), *start, length);
            }
            dims[axis] = found.map(|(_, length)| length);
        }
        facts.dims = Some(dims);
        Some(vec![facts])
    }

    pub(super) fn split(&self) -> Option<Vec<Facts>> {
        let first = self.input(0);
        let mut dims = first.dims.clone()?;
        let axis = index_of(self.node.int("axis", 0), dims.len())?;
        let parts = i64::try_from(self.node.output.len()).ok()?;
        let equal = || {
            // where they differ the last part is the shorter one
            let whole = dims[axis].as_ref()?.number()?;
            let each = (parts > 0 && whole % parts == 0).then(|| Size::known(whole / parts))?;
            Some(vec![each; self.node.output.len()])
        };
        let given = self
            .node
            .input_at(1)
            .map(|_| self.input(1).contents.clone());
        let sizes = given.unwrap_or_else(equal);
        let part = |index: usize| {
            dims[axis] = sizes.as_ref().and_then(|sizes| sizes.get(index)?.clone());
            Facts::new(first.elem, Some(dims.clone()))
        };
        Some((0..self.node.output.len()).map(part).collect())
    }

    pub(super) fn concat(&self) -> Option<Vec<Facts>> {
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

    pub(super) fn reshape(&self) -> Option<Vec<Facts>> {
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

    pub(super) fn flatten(&self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        let axis = self.node.int("axis", 1);
        let axis = if usize::try_from(axis) == Ok(dims.len()) {
            dims.len()
        } else {
            index_of(axis, dims.len()).or((axis == 0).then_some(0))?
        };
        Some(vec![product(&dims[..axis]), product(&dims[axis..])])
    }

    pub(super) fn transpose(&self) -> Option<Vec<Dim>> {
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

    pub(super) fn squeeze(&self) -> Option<Vec<Facts>> {
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

    pub(super) fn unsqueeze(&self) -> Option<Vec<Facts>> {
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

    pub(super) fn expand(&self) -> Option<Vec<Dim>> {
        Some(broadcast(self.dims(0)?, &self.as_dims(1)?))
    }

    pub(super) fn tile(&self) -> Option<Vec<Dim>> {
        let dims = self.dims(0)?;
        let repeats = self.input(1).contents.as_ref();
        let repeat = |(i, dim): (usize, &Dim)| dim.as_ref()?.times(repeats?.get(i)?.as_ref()?);
        Some(dims.iter().enumerate().map(repeat).collect())
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
