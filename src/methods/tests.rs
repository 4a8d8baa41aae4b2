use std::collections::HashSet;

use super::testing::Bed;
use super::*;
use crate::tags::population_std;

#[test]
fn names_are_unique_and_found() {
    let names: HashSet<&str> = METHODS.iter().map(|method| method.info().name).collect();
    assert_eq!(names.len(), METHODS.len());
    for name in names {
        assert_eq!(find(name).unwrap().info().name, name);
    }
    let error = find("crmm").err().unwrap().to_string();
    assert!(error.contains("`crmm`") && error.contains("crm, self-review"));
}

/// Every method but the random one ranks wrong labels well above right ones where they can be told, drops
/// about as many as there are, and says the same when asked again.
#[test]
fn every_method_finds_what_can_be_found() {
    let bed = Bed::new(900, 0.2, 3);
    let task = bed.task();
    for method in METHODS {
        let name = method.info().name;
        let judgement = method.judge(&task).expect(name);
        assert_eq!(judgement.suspicion.len(), bed.pairs.len(), "{name}");
        assert!(judgement.suspicion.iter().all(|s| s.is_finite()), "{name}");
        let auroc = bed.auroc(&judgement.suspicion);
        if name == "random-drop" {
            assert!((0.4..0.6).contains(&auroc), "{name}: {auroc}");
        } else {
            // six labels a text, and no look at what it says
            let graph_alone = ["bradley-terry", "rank-centrality"].contains(&name);
            let least = if graph_alone { 0.75 } else { 0.85 };
            assert!(auroc > least, "{name}: {auroc}");
        }
        let dropped = judgement.dropped.iter().filter(|d| **d).count();
        assert!((20..400).contains(&dropped), "{name} drops {dropped}");
        assert_eq!(judgement, method.judge(&bed.task()).unwrap(), "{name}");
    }
}

/// What lets a run calibrate without planting: with its label swapped a pair has minus its score.
#[test]
fn held_out_suspicion_turns_its_sign_with_the_label() {
    let bed = Bed::new(600, 0.2, 5);
    let held_out: Vec<_> = METHODS.iter().filter(|method| method.held_out()).collect();
    assert_eq!(held_out.len(), 4);
    for method in held_out {
        let name = method.info().name;
        let before = method.judge(&bed.task()).expect(name).suspicion;
        let spread = population_std(&before);
        for pair in [3, 77, 401] {
            let mut swapped = Bed::new(600, 0.2, 5);
            for texts in &mut swapped.pairs[pair].texts {
                texts.swap(0, 1);
            }
            let after = method.judge(&swapped.task()).expect(name).suspicion[pair];
            let off = (after + before[pair]).abs();
            assert!(off < 0.02 * spread, "{name}: {} to {after}", before[pair]);
        }
    }
}

#[test]
fn the_most_suspicious_are_marked() {
    let marked = most_suspicious(&[0.1, 0.9, 0.5, 0.5], |i| 10 - i as u64, 0.5);
    assert_eq!(marked, [false, true, false, true]);
    assert!(!most_suspicious(&[1.0], |_| 0, 0.0)[0]);
    assert!(most_suspicious(&[], |_| 0, 1.0).is_empty());
}
