//! Walks over graphs with inner graphs: what a node reads, and what an output needs.

use std::collections::HashSet;

use super::proto::{GraphProto, NodeProto};

impl NodeProto {
    /// The graphs in its attributes, such as the branches of `If`.
    pub fn graphs(&self) -> impl Iterator<Item = &GraphProto> {
        let attributes = self.attribute.iter();
        attributes.flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
    }

    /// As [`NodeProto::graphs`], to be changed.
    pub fn graphs_mut(&mut self) -> impl Iterator<Item = &mut GraphProto> {
        let attributes = self.attribute.iter_mut();
        attributes.flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs))
    }

    /// The values that it reads, those that its inner graphs take from outside included. An input that
    /// is left out is none.
    #[must_use]
    pub fn names_read(&self) -> Vec<&str> {
        let inputs = self.input.iter().map(String::as_str);
        let inputs = inputs.filter(|name| !name.is_empty());
        inputs.chain(self.names_captured()).collect()
    }

    /// The values that its inner graphs take from outside.
    #[must_use]
    pub fn names_captured(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for graph in self.graphs() {
            let made: HashSet<&str> = graph.names_defined().collect();
            let inner = graph.node.iter().flat_map(Self::names_read);
            let given = graph.output.iter().map(|value| value.name.as_str());
            names.extend(inner.chain(given).filter(|name| !made.contains(name)));
        }
        names
    }
}

impl GraphProto {
    /// The values that it defines itself: inputs, initializers, then what its nodes make.
    pub fn names_defined(&self) -> impl Iterator<Item = &str> {
        let inputs = self.input.iter().map(|value| value.name.as_str());
        let constants = self.initializer.iter().map(|tensor| tensor.name.as_str());
        let made = self.node.iter().flat_map(|node| &node.output);
        let made = made.filter(|name| !name.is_empty()).map(String::as_str);
        inputs.chain(constants).chain(made)
    }

    /// Drops nodes and initializers that no output needs; returns the names that are needed.
    pub fn prune(&mut self) -> HashSet<String> {
        let outputs = self.output.iter().map(|value| value.name.clone());
        let mut needed: HashSet<String> = outputs.collect();
        let mut kept = Vec::with_capacity(self.node.len());
        for node in std::mem::take(&mut self.node).into_iter().rev() {
            if node.output.iter().any(|name| needed.contains(name)) {
                needed.extend(node.names_read().into_iter().map(str::to_owned));
                kept.push(node);
            }
        }
        kept.reverse();
        self.node = kept;
        self.initializer
            .retain(|tensor| needed.contains(&tensor.name));
        needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::proto::{AttributeProto, ValueInfoProto, elem};

    fn node(inputs: &[&str], outputs: &[&str]) -> NodeProto {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        NodeProto {
            input: names(inputs),
            output: names(outputs),
            ..NodeProto::default()
        }
    }

    fn graph(nodes: Vec<NodeProto>, output: &str) -> GraphProto {
        GraphProto {
            node: nodes,
            output: vec![ValueInfoProto::tensor(output, elem::FLOAT, Vec::new())],
            ..GraphProto::default()
        }
    }

    /// A node whose branch makes `inner` of `outer`, and gives `given`.
    fn branching() -> NodeProto {
        let inner = graph(vec![node(&["outer"], &["inner"])], "given");
        let mut branching = node(&["condition", ""], &["", "chosen"]);
        branching.attribute = vec![AttributeProto {
            graphs: vec![inner],
            ..AttributeProto::default()
        }];
        branching
    }

    #[test]
    fn inner_graphs_read_and_omitted_names_are_none() {
        assert_eq!(branching().names_read(), ["condition", "outer", "given"]);
    }

    #[test]
    fn only_what_an_output_needs_is_kept() {
        let nodes = vec![
            node(&[], &["outer"]),
            // an output that is left out is not one that is needed
            node(&[], &["", "unread"]),
            branching(),
        ];
        let mut graph = graph(nodes, "chosen");
        let needed = graph.prune();
        let kept: Vec<_> = graph.node.iter().map(NodeProto::label).collect();
        assert_eq!(graph.node.len(), 2, "{kept:?}");
        assert!(needed.contains("given") && !needed.contains(""));
    }
}
