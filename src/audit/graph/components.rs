//! Strongly connected components.

use super::ComparisonGraph;

/// Strongly connected components of two or more nodes among `nodes`, over the arcs that
/// `is_there` accepts by position; members ascending, components by their first member.
///
/// # Source
/// Tarjan (1972), Depth-first search and linear graph algorithms; without recursion, since a
/// chain of comparisons may be as long as the data.
pub(super) fn strongly_connected(
    graph: &ComparisonGraph,
    nodes: std::ops::Range<u32>,
    is_there: impl Fn(usize) -> bool,
) -> Vec<Vec<u32>> {
    const NOT_SEEN: u32 = u32::MAX;
    let at = |node: u32| (node - nodes.start) as usize;
    let mut order = vec![NOT_SEEN; nodes.len()];
    let mut lowest = vec![NOT_SEEN; nodes.len()];
    let mut is_open = vec![false; nodes.len()];
    let mut open = Vec::new();
    let mut next = 0;
    let mut components = Vec::new();
    // node, and the position of the arc to follow next
    let mut path: Vec<(u32, usize)> = Vec::new();
    for root in nodes.clone() {
        if order[at(root)] != NOT_SEEN {
            continue;
        }
        path.push((root, graph.range(root).start));
        while let Some((node, arc)) = path.last_mut() {
            let node = *node;
            if order[at(node)] == NOT_SEEN {
                order[at(node)] = next;
                lowest[at(node)] = next;
                next += 1;
                open.push(node);
                is_open[at(node)] = true;
            }
            if *arc < graph.range(node).end {
                let position = *arc;
                *arc += 1;
                let to = graph.arcs[position].to;
                if !is_there(position) {
                    continue;
                }
                if order[at(to)] == NOT_SEEN {
                    path.push((to, graph.range(to).start));
                } else if is_open[at(to)] {
                    lowest[at(node)] = lowest[at(node)].min(order[at(to)]);
                }
                continue;
            }
            path.pop();
            if let Some(&(above, _)) = path.last() {
                lowest[at(above)] = lowest[at(above)].min(lowest[at(node)]);
            }
            if lowest[at(node)] == order[at(node)] {
                let first = open.iter().rposition(|&member| member == node);
                let mut members = open.split_off(first.expect("a node is open until it closes"));
                for &member in &members {
                    is_open[at(member)] = false;
                }
                if members.len() > 1 {
                    members.sort_unstable();
                    components.push(members);
                }
            }
        }
    }
    components.sort_unstable();
    components
}
