use proptest::prelude::*;

use super::*;

/// Comparisons of texts named by small numbers below a prompt.
fn graph(labels: &[(u64, u64, u64)]) -> ComparisonGraph {
    let labels = (0..).zip(labels);
    ComparisonGraph::new(labels.map(|(row, &(prompt, chosen, rejected))| Comparison {
        prompt,
        chosen,
        rejected,
        row,
    }))
}

#[test]
fn nodes_are_texts_below_a_prompt() {
    let graph = graph(&[
        (1, 10, 20),
        (1, 10, 20),
        (2, 10, 20),
        (1, 20, 30),
        (1, 5, 5),
    ]);
    assert_eq!(graph.nodes(), 5);
    assert_eq!(graph.prompts().collect::<Vec<_>>(), [0..3, 3..5]);
    assert_eq!((graph.count(0, 1), graph.count(1, 0)), (2, 0));
    assert_eq!(graph.rows(&graph.arcs(0)[0]).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(graph.text(4), (2, 20));
    assert_eq!(graph.labels().len(), 4);
}

#[test]
fn rankings_have_no_cycles() {
    let labels: Vec<_> = (0..20_u64)
        .flat_map(|a| (a + 1..20).map(move |b| (a % 2, a, b)))
        .collect();
    assert_eq!(graph(&labels).cycles(), Cycles::default());
    assert_eq!(graph(&[]).cycles(), Cycles::default());
}

#[test]
fn a_cycle_of_three_proves_one_wrong_label() {
    // the tail 3 > 4 is on no cycle, nor is the same cycle spread over two prompts
    let cycles = graph(&[
        (1, 1, 2),
        (1, 2, 3),
        (1, 3, 1),
        (1, 3, 4),
        (7, 1, 2),
        (8, 2, 1),
    ])
    .cycles();
    assert_eq!((cycles.labels_on_cycles, cycles.components), (3, 1));
    assert_eq!((cycles.least_wrong(), cycles.largest_component), (1, 3));
    let rows: Vec<u32> = cycles.cycles[0].iter().map(|label| label.row).collect();
    assert_eq!(rows, [0, 1, 2]);
    let of_prompt = PromptCycles {
        prompt: 1,
        labels: 4,
        least_wrong: 1,
    };
    assert_eq!(cycles.prompts, [of_prompt]);
}

#[test]
fn opposite_labels_are_cycles_of_two() {
    // three against two: two cycles of two, and one label left for the triangle
    let mut labels = vec![(1, 1, 2); 3];
    labels.extend([(1, 2, 1); 2]);
    assert_eq!(graph(&labels).cycles().two_cycles, 2);
    assert_eq!(graph(&labels).cycles().labels_on_cycles, 0);
    labels.extend([(1, 2, 3), (1, 3, 1)]);
    let cycles = graph(&labels).cycles();
    assert_eq!((cycles.two_cycles, cycles.longer_cycles), (2, 1));
    assert_eq!(cycles.labels_on_cycles, 5);
}

#[test]
fn long_cycles_are_found_and_long_chains_are_no_danger() {
    let n = 20_000;
    let mut labels: Vec<_> = (0..n).map(|a| (1, a, a + 1)).collect();
    assert_eq!(graph(&labels).cycles(), Cycles::default());
    labels.push((1, n, 0));
    let cycles = graph(&labels).cycles();
    assert_eq!(cycles.cycles.len(), 1);
    assert_eq!(cycles.cycles[0].len() as u64, n + 1);
    assert_eq!(cycles.labels_on_cycles, n + 1);
}

/// Fewest labels to take away until no cycle is left, by trying all orders of the texts.
fn fewest_wrong(labels: &[(u64, u64, u64)], texts: u64) -> u64 {
    fn orders(left: &mut Vec<u64>, order: &mut Vec<u64>, visit: &mut dyn FnMut(&[u64])) {
        if left.is_empty() {
            return visit(order);
        }
        for i in 0..left.len() {
            let text = left.remove(i);
            order.push(text);
            orders(left, order, visit);
            order.pop();
            left.insert(i, text);
        }
    }
    let mut fewest = u64::MAX;
    orders(&mut (0..texts).collect(), &mut Vec::new(), &mut |order| {
        let rank = |text: u64| order.iter().position(|&t| t == text);
        let wrong = labels.iter().filter(|l| rank(l.1) > rank(l.2)).count();
        fewest = fewest.min(wrong as u64);
    });
    fewest
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_bound_holds_and_cycles_share_no_label(
        pairs in proptest::collection::vec((0..5_u64, 0..5_u64), 0..25),
        seed: u64,
    ) {
        let labels: Vec<_> = pairs.into_iter().map(|(a, b)| (1, a, b)).collect();
        let cycles = graph(&labels).cycles();
        let fewest = fewest_wrong(&labels, 5);
        prop_assert!(cycles.least_wrong() <= fewest, "{} {fewest}", cycles.least_wrong());
        prop_assert_eq!(cycles.least_wrong() == 0, fewest == 0);
        let mut rows = Vec::new();
        for cycle in &cycles.cycles {
            prop_assert!(cycle.len() > 2);
            for (i, label) in cycle.iter().enumerate() {
                prop_assert_eq!(label.rejected, cycle[(i + 1) % cycle.len()].chosen);
                rows.push(label.row);
            }
        }
        let n = rows.len();
        rows.sort_unstable();
        rows.dedup();
        prop_assert_eq!(rows.len(), n);

        // rows in another order: the same graph, so the same numbers
        let mut order = labels.clone();
        let mut rng = <rand_chacha::ChaCha8Rng as rand::SeedableRng>::seed_from_u64(seed);
        rand::seq::SliceRandom::shuffle(&mut *order, &mut rng);
        let shuffled = graph(&order).cycles();
        prop_assert_eq!(shuffled.prompts, cycles.prompts);
        prop_assert_eq!(shuffled.labels_on_cycles, cycles.labels_on_cycles);
    }
}
