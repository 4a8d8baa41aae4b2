//! Comparisons as a graph: texts are nodes, labels are arcs from chosen to rejected.
//!
//! Texts are compared within a prompt only, so a graph falls into one part a prompt. Knows
//! hashes of texts and numbers of rows, nothing of files, findings or checks; what ranks
//! texts by their comparisons can build on it too.

mod components;
mod cycles;

#[cfg(test)]
mod tests;

pub use cycles::{Cycle, Cycles, PromptCycles};

use rayon::prelude::ParallelSliceMut;

/// One labelled pair: two texts below a prompt, each by a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Hash of the prompt.
    pub prompt: u64,
    /// Hash of the preferred text.
    pub chosen: u64,
    /// Hash of the other text.
    pub rejected: u64,
    /// The row that says so.
    pub row: u32,
}

/// A label, between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// Node of the preferred text.
    pub chosen: u32,
    /// Node of the other text.
    pub rejected: u32,
    /// The row that says so.
    pub row: u32,
}

/// All labels that prefer one text to another: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arc {
    /// Node of the text that is not preferred.
    pub to: u32,
    /// Number of labels.
    pub labels: u32,
    /// Position of the first of them in [`ComparisonGraph::labels`]; the others follow.
    first: u32,
}

/// A directed multigraph of comparisons.
///
/// Nodes are numbered in the order of (prompt, text), so that neither numbers nor anything
/// made of them depends on the order of rows; nodes of a prompt are neighbours. Comparisons of
/// a text with itself are left out: they are no preference.
///
/// Memory: 16 bytes a node, 12 a label and 12 an arc; time: sorting.
#[derive(Debug, Clone, Default)]
pub struct ComparisonGraph {
    nodes: Vec<(u64, u64)>,
    labels: Vec<Label>,
    arcs: Vec<Arc>,
    /// Arcs of node `n`: `arcs[starts[n]..starts[n + 1]]`, ascending by `to`.
    starts: Vec<u32>,
}

impl ComparisonGraph {
    /// The graph of comparisons, whatever their order.
    ///
    /// # Panics
    /// If there are more than 2^31 comparisons.
    #[must_use]
    pub fn new(comparisons: impl IntoIterator<Item = Comparison>) -> Self {
        let comparisons: Vec<Comparison> = comparisons
            .into_iter()
            .filter(|c| c.chosen != c.rejected)
            .collect();
        assert!(
            u32::try_from(2 * comparisons.len()).is_ok(),
            "nodes are 32 bits wide"
        );
        let mut nodes: Vec<(u64, u64)> = comparisons
            .iter()
            .flat_map(|c| [(c.prompt, c.chosen), (c.prompt, c.rejected)])
            .collect();
        nodes.par_sort_unstable();
        nodes.dedup();
        let node = |prompt, text| {
            let at = nodes.binary_search(&(prompt, text));
            u32::try_from(at.expect("each text is a node")).expect("counted above")
        };
        let mut labels: Vec<Label> = comparisons
            .iter()
            .map(|c| Label {
                chosen: node(c.prompt, c.chosen),
                rejected: node(c.prompt, c.rejected),
                row: c.row,
            })
            .collect();
        labels.par_sort_unstable();
        let mut arcs = Vec::new();
        let mut starts = vec![0; nodes.len() + 1];
        let mut first = 0;
        for run in labels.chunk_by(|a, b| (a.chosen, a.rejected) == (b.chosen, b.rejected)) {
            let n = u32::try_from(run.len()).expect("counted above");
            arcs.push(Arc {
                to: run[0].rejected,
                labels: n,
                first,
            });
            first += n;
            starts[run[0].chosen as usize + 1] += 1;
        }
        for node in 0..nodes.len() {
            starts[node + 1] += starts[node];
        }
        Self {
            nodes,
            labels,
            arcs,
            starts,
        }
    }

    /// Number of texts.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// Hashes of the prompt and the text of a node.
    #[must_use]
    pub fn text(&self, node: u32) -> (u64, u64) {
        self.nodes[node as usize]
    }

    /// All labels, ascending.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// To which texts a text was preferred, ascending by node.
    #[must_use]
    pub fn arcs(&self, node: u32) -> &[Arc] {
        &self.arcs[self.range(node)]
    }

    /// The rows of an arc, ascending.
    pub fn rows(&self, arc: &Arc) -> impl Iterator<Item = u32> {
        let first = arc.first as usize;
        let labels = &self.labels[first..first + arc.labels as usize];
        labels.iter().map(|label| label.row)
    }

    /// Number of labels that prefer `chosen` to `rejected`.
    #[must_use]
    pub fn count(&self, chosen: u32, rejected: u32) -> u32 {
        self.arc(chosen, rejected)
            .map_or(0, |at| self.arcs[at].labels)
    }

    /// Prompts as ranges of nodes, ascending.
    pub fn prompts(&self) -> impl Iterator<Item = std::ops::Range<u32>> {
        let mut next = 0;
        self.nodes.chunk_by(|a, b| a.0 == b.0).map(move |nodes| {
            let begin = next;
            next += u32::try_from(nodes.len()).expect("nodes are 32 bits wide");
            begin..next
        })
    }

    /// Cycles and the labels that must be wrong because of them; see [`Cycles`].
    #[must_use]
    pub fn cycles(&self) -> Cycles {
        cycles::find(self)
    }

    fn range(&self, node: u32) -> std::ops::Range<usize> {
        self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize
    }

    /// Position of an arc.
    fn arc(&self, from: u32, to: u32) -> Option<usize> {
        let range = self.range(from);
        let at = self.arcs[range.clone()].binary_search_by_key(&to, |arc| arc.to);
        at.ok().map(|at| range.start + at)
    }
}
