//! Records of all seeds made means, intervals, and a sentence.

use super::arms::{CLEANED, ORACLE, ORACLE_FLIP, ORIGINAL, RANDOM};
use super::fit::Score;
use super::records::{Found, Record};
use crate::report::prove::{
    ArmOnTest, ArmSummary, Cleaned, Measure, PROOF_SCHEMA_VERSION, Proof, ProofVerdict, VerdictOn,
};
use crate::tags::ratio::Ratio;
use crate::tags::stats::{Estimate, Interval, mean, paired_difference, real};

/// One seed: the parts of all folds together.
struct Seed<'a> {
    parts: Vec<&'a Record>,
}

/// Figures of one arm on one test set, by seed.
struct Figures {
    accuracy: Vec<f64>,
    calibration_error: Vec<f64>,
    log_loss: Vec<f64>,
}

/// Fills arms, cleaning and verdicts from the records of an experiment.
pub(super) fn fill(proof: &mut Proof, records: &[Record], folds: usize) {
    proof.schema_version = PROOF_SCHEMA_VERSION;
    env!("CARGO_PKG_VERSION").clone_into(&mut proof.made_by);
    let seeds: Vec<Seed<'_>> = (0..proof.seeds)
        .map(|seed| Seed {
            parts: records.iter().filter(|r| r.seed == seed).collect(),
        })
        .filter(|seed| seed.parts.len() == folds)
        .collect();
    let Some(first) = seeds.first() else { return };
    proof.cleaning = cleaned(&seeds, proof.level);
    let names: Vec<&str> = first.parts[0]
        .arms
        .iter()
        .map(|a| a.name.as_str())
        .collect();
    let level = proof.level;
    let figures = |name: &str, test: usize| figures(&seeds, name, test);
    proof.arms = names
        .iter()
        .map(|&name| ArmSummary {
            name: name.to_owned(),
            what: what(name).to_owned(),
            pairs: mean_of(&seeds, name, |arm| Some(real(arm.pairs))).unwrap_or(0.0),
            wrong: mean_of(&seeds, name, |arm| arm.wrong.map(real)),
            tests: (0..proof.tests.len())
                .map(|test| {
                    let own = figures(name, test);
                    let original = (name != ORIGINAL).then(|| figures(ORIGINAL, test));
                    let has_oracle = names.contains(&ORACLE) && name != ORACLE;
                    let oracle = has_oracle.then(|| figures(ORACLE, test));
                    let measure = |of: fn(&Figures) -> &Vec<f64>| {
                        let values = of(&own).clone();
                        let original = original.as_ref().map(of);
                        let oracle = oracle.as_ref().map(of);
                        measure(values, original, oracle, level)
                    };
                    ArmOnTest {
                        accuracy: measure(|f| &f.accuracy),
                        calibration_error: measure(|f| &f.calibration_error),
                        log_loss: measure(|f| &f.log_loss),
                    }
                })
                .collect(),
        })
        .collect();
    proof.verdicts = (0..proof.tests.len())
        .map(|test| {
            let cleaned = figures(CLEANED, test).accuracy;
            let random = figures(RANDOM, test).accuracy;
            verdict(proof, test, &cleaned, &random)
        })
        .collect();
}

/// What an arm trains on, in words.
fn what(name: &str) -> &'static str {
    match name {
        ORIGINAL => "all pairs, labels as they stand",
        CLEANED => "without what cleaning leaves out",
        RANDOM => "without as many pairs, drawn at random",
        "drop" => "pairs tagged incorrect left out, as `run` does",
        "flip" => "sure errors flipped, other pairs tagged incorrect left out",
        "soft-label" => {
            "pairs tagged incorrect or ambiguous with the chance that their label is right"
        }
        "target-margin" => "pairs tagged incorrect or ambiguous with a held-out margin to reach",
        ORACLE => "without the labels known to be wrong",
        ORACLE_FLIP => "the labels known to be wrong put right",
        _ => "",
    }
}

fn mean_of(
    seeds: &[Seed<'_>],
    name: &str,
    of: impl Fn(&super::records::ArmRecord) -> Option<f64>,
) -> Option<f64> {
    let parts = seeds.iter().flat_map(|seed| &seed.parts);
    let values: Option<Vec<f64>> = parts
        .map(|part| of(part.arms.iter().find(|arm| arm.name == name)?))
        .collect();
    values.map(|values| mean(&values))
}

fn figures(seeds: &[Seed<'_>], name: &str, test: usize) -> Figures {
    let scores: Vec<Score> = seeds
        .iter()
        .map(|seed| {
            let mut whole = Score::default();
            for part in &seed.parts {
                if let Some(arm) = part.arms.iter().find(|arm| arm.name == name) {
                    whole.add(&arm.scores[test]);
                }
            }
            whole
        })
        .collect();
    let each = |of: fn(&Score) -> f64| scores.iter().map(of).collect();
    Figures {
        accuracy: each(Score::accuracy),
        calibration_error: each(Score::calibration_error),
        log_loss: each(Score::mean_log_loss),
    }
}

/// One figure over seeds; `original`, `oracle`: of these arms, for the difference and the share of the distance.
fn measure(
    values: Vec<f64>,
    original: Option<&Vec<f64>>,
    oracle: Option<&Vec<f64>>,
    level: f64,
) -> Measure {
    let recovered = original.zip(oracle).and_then(|(original, oracle)| {
        let less = |of: &[f64]| -> Vec<f64> {
            of.iter()
                .zip(original)
                .map(|(of, from)| of - from)
                .collect()
        };
        Ratio::of_means(&less(&values), &less(oracle), level)
    });
    Measure {
        estimate: Estimate::of(&values, level),
        difference: original.and_then(|original| paired_difference(&values, original, level)),
        recovered,
        values,
    }
}

fn cleaned(seeds: &[Seed<'_>], level: f64) -> Cleaned {
    let parts = || seeds.iter().flat_map(|seed| &seed.parts);
    let over = |of: &dyn Fn(&Record) -> f64| mean(&parts().map(|p| of(p)).collect::<Vec<_>>());
    let found: Vec<&Found> = parts().filter_map(|p| p.cleaning.found.as_ref()).collect();
    let sum = |of: fn(&Found) -> usize| real(found.iter().map(|f| of(f)).sum());
    let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
    let optional = |of: &dyn Fn(&Record) -> Option<f64>| -> Option<Estimate> {
        let values: Vec<f64> = parts().filter_map(|p| of(p)).collect();
        Estimate::of(&values, level)
    };
    let told: Vec<bool> = parts().filter_map(|p| p.cleaning.can_tell).collect();
    Cleaned {
        train_pairs: over(&|p| real(p.train_pairs)),
        injected: over(&|p| real(p.cleaning.injected)),
        dropped: over(&|p| real(p.cleaning.dropped)),
        noise_rate: optional(&|p| p.cleaning.noise_rate),
        true_rate: share(sum(|f| f.wrong), sum(|f| f.known)),
        precision: share(sum(|f| f.dropped_wrong), sum(|f| f.dropped)),
        recall: share(sum(|f| f.dropped_wrong), sum(|f| f.wrong)),
        auroc: optional(&|p| p.cleaning.found.as_ref()?.auroc),
        can_tell: share(real(told.iter().filter(|&&t| t).count()), real(told.len())),
    }
}

/// Whether cleaning helped on a test set, in a sentence.
fn verdict(proof: &Proof, test: usize, cleaned: &[f64], random: &[f64]) -> VerdictOn {
    let arm = |name: &str| {
        let arm = proof.arms.iter().find(|arm| arm.name == name)?;
        Some(&arm.tests[test].accuracy)
    };
    let name = &proof.tests[test].name;
    let told = |kind, sentence: String| VerdictOn {
        test: name.clone(),
        kind,
        sentence,
    };
    let (Some(original), Some(own)) = (arm(ORIGINAL), arm(CLEANED)) else {
        return told(ProofVerdict::NoDifference, String::new());
    };
    let (Some(from), Some(to), Some(difference)) =
        (original.estimate, own.estimate, own.difference)
    else {
        return told(ProofVerdict::NoDifference, String::new());
    };
    if proof.cleaning.dropped == 0.0 {
        return told(
            ProofVerdict::NothingCleaned,
            format!("Nothing was cleaned, so nothing changed on `{name}`."),
        );
    }
    let accuracies = format!(
        "accuracy on `{name}` went from {} to {}, {} points{}",
        percent(from.mean),
        percent(to.mean),
        points(difference.mean),
        within(difference.interval)
    );
    let Some(interval) = difference.interval else {
        return told(
            ProofVerdict::OneSeed,
            format!("From one seed: {accuracies}; more seeds would tell how sure that is."),
        );
    };
    let (kind, says) = if interval.low > 0.0 {
        (ProofVerdict::Helped, "Cleaning helped")
    } else if interval.high < 0.0 {
        (ProofVerdict::Hurt, "Cleaning hurt")
    } else {
        (
            ProofVerdict::NoDifference,
            "Cleaning made no difference that is clear of chance",
        )
    };
    let mut sentence = format!("{says}: {accuracies}");
    if let Some(distance) = arm(ORACLE).and_then(|oracle| oracle.difference) {
        let share = match own.recovered {
            Some(ratio) => format!(
                ", {} of the distance to oracle-clean data ({} to {})",
                whole_percent(ratio.value),
                whole_percent(ratio.interval.low),
                whole_percent(ratio.interval.high)
            ),
            None => format!(
                "; oracle-clean data itself is not clearly better than the original ({} points{}), so no share \
                 of that distance is given",
                points(distance.mean),
                within(distance.interval)
            ),
        };
        sentence.push_str(&share);
    }
    if kind == ProofVerdict::Helped
        && let Some(against) = paired_difference(cleaned, random, proof.level)
    {
        let against = if against.is_above_zero() {
            format!(
                "; dropping as many pairs at random does worse by {} points",
                points(against.mean).trim_start_matches('+')
            )
        } else {
            "; that is not clearly more than dropping as many pairs at random gives".to_owned()
        };
        sentence.push_str(&against);
    }
    sentence.push('.');
    told(kind, sentence)
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

fn whole_percent(share: f64) -> String {
    format!("{:.0}%", 100.0 * share)
}

/// A difference of shares in points, with its sign.
fn points(difference: f64) -> String {
    format!("{:+.1}", 100.0 * difference)
}

fn within(interval: Option<Interval>) -> String {
    interval.map_or_else(String::new, |i| {
        format!(
            " ({:.0}% interval {} to {})",
            100.0 * i.level,
            points(i.low),
            points(i.high)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::records::{ArmRecord, CleaningRecord};
    use super::*;
    use crate::report::prove::TestSet;

    /// So many of 1,000 test pairs right, by arm and seed.
    fn proof(arms: &[(&str, [usize; 3])], dropped: usize) -> Proof {
        let records: Vec<Record> = (0..3)
            .map(|seed| Record {
                seed,
                fold: 0,
                train_pairs: 500,
                updates: 10,
                cleaning: CleaningRecord {
                    dropped,
                    ..CleaningRecord::default()
                },
                arms: arms
                    .iter()
                    .map(|(name, right)| {
                        let right = right[seed];
                        let margins = (0..1000).map(|i| if i < right { 1.0 } else { -1.0 });
                        ArmRecord {
                            name: (*name).to_owned(),
                            pairs: 500,
                            wrong: Some(100),
                            scores: vec![Score::of(margins)],
                        }
                    })
                    .collect(),
                seconds: 1.0,
            })
            .collect();
        let mut proof = Proof {
            seeds: 3,
            level: 0.95,
            tests: vec![TestSet {
                name: "gold".into(),
                pairs: 1000,
                ..TestSet::default()
            }],
            ..Proof::default()
        };
        fill(&mut proof, &records, 1);
        proof
    }

    #[test]
    fn a_gain_is_told_with_its_share_of_the_distance() {
        let proof = proof(
            &[
                ("original", [700, 710, 690]),
                ("cleaned", [760, 772, 748]),
                ("random-drop", [695, 705, 690]),
                ("oracle-drop", [800, 812, 788]),
            ],
            50,
        );
        let verdict = &proof.verdicts[0];
        assert_eq!(verdict.kind, ProofVerdict::Helped);
        assert_eq!(
            verdict.sentence,
            "Cleaning helped: accuracy on `gold` went from 70.0% to 76.0%, +6.0 points (95% interval +5.5 to \
             +6.5), 60% of the distance to oracle-clean data (58% to 62%); dropping as many pairs at random \
             does worse by 6.3 points."
        );
        let cleaned = &proof.arms[1].tests[0].accuracy;
        assert!((cleaned.recovered.unwrap().value - 0.6).abs() < 1e-9);
        assert_eq!(proof.arms[0].tests[0].accuracy.difference, None);
    }

    #[test]
    fn no_share_is_given_of_a_distance_that_may_be_nothing() {
        let proof = proof(
            &[
                ("original", [700, 710, 690]),
                ("cleaned", [703, 705, 694]),
                ("random-drop", [700, 710, 690]),
                ("oracle-drop", [710, 700, 700]),
            ],
            50,
        );
        let verdict = &proof.verdicts[0];
        assert_eq!(verdict.kind, ProofVerdict::NoDifference);
        assert!(
            verdict
                .sentence
                .contains("oracle-clean data itself is not clearly better"),
            "{}",
            verdict.sentence
        );
        assert_eq!(proof.arms[1].tests[0].accuracy.recovered, None);
    }

    #[test]
    fn where_nothing_is_dropped_the_verdict_says_so() {
        let arms = [
            ("original", [700, 710, 690]),
            ("cleaned", [700, 710, 690]),
            ("random-drop", [700, 710, 690]),
        ];
        let verdict = &proof(&arms, 0).verdicts[0];
        assert_eq!(verdict.kind, ProofVerdict::NothingCleaned);
    }
}
