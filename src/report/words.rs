//! The sentences that all faces of a report share. Plain text: each face escapes it.

use super::model::{Action, Dataset, Report, VerdictKind};
use super::text::{
    count, counted, duration, estimate, estimate_percent, interval, number, percent, put, share,
};

/// The first sentence of a report.
pub(super) fn headline(report: &Report) -> String {
    let counts = &report.counts;
    match report.verdict.kind {
        VerdictKind::CannotTell => {
            "These models cannot tell wrong labels from right ones in this data, so no pair is tagged incorrect."
                .to_owned()
        }
        VerdictKind::CanTell if counts.incorrect == 0 => {
            "No label stands out as wrong at the asked false-discovery rate.".to_owned()
        }
        VerdictKind::CanTell => format!(
            "{} of {} ({}) {} likely to have the wrong label.",
            count(counts.incorrect),
            counted(report.dataset.usable, "usable pair"),
            percent(share(counts.incorrect, report.dataset.usable)),
            if counts.incorrect == 1 { "is" } else { "are" },
        ),
    }
}

/// What happened to the rows, in a sentence.
pub(super) fn outcome(report: &Report) -> String {
    let counts = &report.counts;
    let rows = counts.kept + counts.removed + counts.review;
    if rows == 0 {
        return "There were no rows.".to_owned();
    }
    let mut text = if counts.kept == rows {
        format!("All {} are kept.", counted(counts.kept, "row"))
    } else {
        format!(
            "{} kept, {} ({}) left out, each with a reason.",
            counted(counts.kept, "row"),
            count(counts.removed),
            percent(share(counts.removed, rows)),
        )
    };
    for (action, n) in changes(report) {
        let words = match action {
            Action::Flip => "kept with the sides exchanged",
            Action::SoftLabel => "kept with a soft label",
            Action::TargetMargin => "kept with a target margin",
            Action::Review => "in review.parquet for a person",
            Action::Keep | Action::Drop => continue,
        };
        put!(text, " {} {words}.", counted(n, "pair"));
    }
    text
}

/// How many pairs were changed, got a value for training, or wait for a person.
pub(super) fn changes(report: &Report) -> Vec<(Action, u64)> {
    let total = |action: Action| {
        let counts = report.counts.actions.iter();
        let own = counts.filter(|count| count.action == action);
        (action, own.map(|count| count.count).sum::<u64>())
    };
    [
        Action::Flip,
        Action::SoftLabel,
        Action::TargetMargin,
        Action::Review,
    ]
    .map(total)
    .into_iter()
    .filter(|(_, n)| *n > 0)
    .collect()
}

/// The verdict in two or three words.
pub(super) const fn verdict(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::CanTell => "Can tell",
        VerdictKind::CannotTell => "Cannot tell",
    }
}

/// A paragraph with a short heading.
pub(super) struct Paragraph {
    pub(super) heading: &'static str,
    pub(super) text: String,
}

/// "What we did and how sure we are", in the order it happened.
pub(super) fn account(report: &Report) -> Vec<Paragraph> {
    let mut out = vec![
        Paragraph {
            heading: "Read",
            text: read(&report.dataset),
        },
        Paragraph {
            heading: "Trained",
            text: trained(report),
        },
        Paragraph {
            heading: "Tested ourselves",
            text: planted(report),
        },
        Paragraph {
            heading: "Estimated the noise",
            text: noise(report),
        },
        Paragraph {
            heading: "Tagged",
            text: tagged(report),
        },
    ];
    let planted = if report.detector.planted > 0 {
        " Planted flips are drawn evenly over the data; if real mistakes gather in one kind of pair, \
         the figures here can be off for that kind."
    } else {
        ""
    };
    out.push(Paragraph {
        heading: "Not known",
        text: format!(
            "Tags are statistical. A right label on a hard pair can look like a wrong one, and two \
             models that share a blind spot share its mistakes.{planted} Read a few of the pairs below \
             before you act on the list."
        ),
    });
    out
}

fn read(dataset: &Dataset) -> String {
    let aside: u64 = dataset.set_aside.iter().map(|reason| reason.count).sum();
    let mut text = format!(
        "{} from {}{}. ",
        counted(dataset.rows, "row"),
        counted(dataset.inputs.len() as u64, "file"),
        if dataset.shape.is_empty() {
            String::new()
        } else {
            format!(", read as {}", dataset.shape)
        },
    );
    if aside == 0 {
        text += "Every row could be used.";
    } else {
        put!(
            text,
            "{} could be used; {} set aside with a reason.",
            count(dataset.usable),
            if aside == 1 {
                "1 was".to_owned()
            } else {
                format!("{} were", count(aside))
            },
        );
    }
    text
}

fn trained(report: &Report) -> String {
    let training = &report.training;
    let (a, b) = (&report.models.a, &report.models.b);
    if training.steps == 0 {
        return format!(
            "Nothing was trained: the losses over {} are those of {}{}{}.",
            counted(u64::from(training.epochs), "epoch"),
            a.backbone,
            if a.backbone == b.backbone {
                ""
            } else {
                " and "
            },
            if a.backbone == b.backbone {
                ""
            } else {
                &b.backbone
            },
        );
    }
    let mut text = format!(
        "Two small reward models learned from the labels over {}",
        counted(u64::from(training.epochs), "epoch"),
    );
    if !training.method.is_empty() {
        put!(text, ", by {}", rule_in_brackets(&training.method));
    }
    text += ". ";
    if !training.ranking.is_empty() && training.ranking != training.method {
        let ranking = rule_in_brackets(&training.ranking);
        put!(text, "The labels are ranked by {ranking}. ");
    }
    if training.drop_rate > 0.0 {
        put!(
            text,
            "Updates left out up to {} of the pairs; this removes nothing from the data. ",
            percent(training.drop_rate)
        );
    } else {
        text += "No pair was left out of training. ";
    }
    if !a.backbone.is_empty() {
        put!(
            text,
            "Model a sees {} ({}); model b sees {} ({}).",
            a.backbone,
            a.view,
            b.backbone,
            b.view
        );
    }
    text
}

/// `NAME: RULE` as `NAME (RULE)`.
fn rule_in_brackets(method: &str) -> String {
    match method.split_once(": ") {
        Some((name, rule)) => format!("{name} ({rule})"),
        None => method.to_owned(),
    }
}

fn planted(report: &Report) -> String {
    let detector = &report.detector;
    if detector.planted == 0 {
        return "No flips were planted, so nothing is known about how well wrong labels are found here."
            .to_owned();
    }
    let mut text = if report.training.steps == 0 {
        format!(
            "Before that training the labels of {} were swapped on purpose; they are told here by their own labels. ",
            counted(detector.planted, "pair"),
        )
    } else {
        format!(
            "To see what the models can find, we swapped the labels of {} on purpose{} and watched how they \
         ranked. The swaps were undone before anything was written. ",
            counted(detector.planted, "pair"),
            if detector.rounds > 1 {
                format!(", in {} separate rounds,", detector.rounds)
            } else {
                String::new()
            },
        )
    };
    if let Some(observed) = detector.auroc_observed {
        put!(
            text,
            "A planted flip looked more suspicious than another pair {} of the time: AUROC {}, where 0.5 is chance. ",
            percent(observed.value),
            estimate(observed)
        );
    }
    if let Some(corrected) = detector.auroc_corrected {
        put!(
            text,
            "Some pairs were wrong before we touched them, which hides part of the skill. Corrected for that: {}. ",
            estimate(corrected)
        );
        let gate = number(detector.gate);
        match report.verdict.kind {
            VerdictKind::CanTell => {
                put!(
                    text,
                    "The lower bound is above {gate}, so pairs may be tagged incorrect."
                );
            }
            VerdictKind::CannotTell if corrected.low < detector.gate => put!(
                text,
                "The lower bound would have to be at least {gate} for any pair to be tagged incorrect."
            ),
            VerdictKind::CannotTell => put!(text, "The verdict says what was missing."),
        }
    }
    text
}

fn noise(report: &Report) -> String {
    let noise = &report.noise_rate;
    let mut text = match noise.eta {
        Some(eta) => format!("About {} of labels are wrong. ", estimate_percent(eta)),
        None => "The share of wrong labels could not be estimated. ".to_owned(),
    };
    if !noise.anchor.is_empty() {
        put!(
            text,
            "This rests on an assumption: {}. ",
            lower_first(noise.anchor.trim_end_matches('.'))
        );
    }
    if let Some(range) = noise.allowed {
        put!(
            text,
            "Without it, the data allow anything from {} to {}. ",
            percent(range.low),
            percent(range.high)
        );
    }
    if !noise.why.is_empty() {
        put!(text, "{} ", noise.why);
    }
    let others: Vec<String> = noise
        .estimates
        .iter()
        .filter(|found| !found.decides)
        .map(|found| {
            let interval = found.interval.map_or_else(String::new, |interval| {
                format!(" ({} to {})", percent(interval.low), percent(interval.high))
            });
            format!("{} {}{interval}", found.name, percent(found.value))
        })
        .collect();
    if !others.is_empty() {
        put!(text, "Other estimates: {}. ", others.join("; "));
    }
    if let Some(separation) = noise.gmm_separation {
        put!(
            text,
            "The parts of the mixture lie {separation:.1} standard deviations apart; under 2 it means little. "
        );
    }
    text += &sentence(noise.agreement.trim());
    text.trim_end().to_owned()
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if text.ends_with('.') => first.to_uppercase().chain(letters).collect(),
        Some(first) => first.to_uppercase().chain(letters).chain(['.']).collect(),
        None => String::new(),
    }
}

/// A sentence made ready to follow a colon.
fn lower_first(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

fn tagged(report: &Report) -> String {
    let counts = &report.counts;
    let mut text = match report.verdict.kind {
        VerdictKind::CannotTell => {
            "Nothing is tagged incorrect, because such a list could be little better than a random one. \
             The order of suspicion is still written, for those who want to look. "
                .to_owned()
        }
        VerdictKind::CanTell => format!(
            "A pair is tagged incorrect only in the part of the ranking where at most {} of such tags \
             are expected to be mistaken (false-discovery rate). ",
            percent(counts.fdr)
        ),
    };
    if let (VerdictKind::CanTell, Some(fdr)) = (report.verdict.kind, counts.fdr_estimate) {
        put!(
            text,
            "Our estimate for this list is {}. ",
            estimate_percent(fdr)
        );
    }
    if let (true, Some(cap)) = (counts.held_back_by_cap > 0, counts.removal_cap) {
        put!(
            text,
            "Removal is capped at {}: {} tagged incorrect stayed in. ",
            percent(cap),
            counted(counts.held_back_by_cap, "pair")
        );
    }
    text.trim_end().to_owned()
}

/// How to read the health figures: name, value, what it means.
pub(super) fn health(report: &Report) -> Vec<(&'static str, String, &'static str)> {
    let health = &report.models.health;
    let show = super::text::maybe;
    let percent = super::text::maybe_percent;
    vec![
        (
            "Rank correlation of margins (Spearman)",
            show(health.spearman),
            "1: the models rank pairs alike and add little to each other. Near 0: they share little beyond chance.",
        ),
        (
            "Agreement of selections (Cohen's kappa)",
            show(health.kappa),
            "1: they select the same pairs. 0: as often as chance would.",
        ),
        (
            "Overlap of selections",
            percent(health.overlap),
            "Pairs both selected, among those either did. Near 100%, peer review has become self review.",
        ),
        (
            "Accuracy of a less accuracy of b",
            show(health.accuracy_gap),
            "Share of labels agreed with. Far from 0, one model teaches and the other follows.",
        ),
        (
            "Dominance of a",
            percent(health.dominance),
            "Its share in the spread of the mean margin. 50% is balanced.",
        ),
    ]
}

/// Tokens, in a sentence or three.
pub(super) fn tokens(report: &Report) -> String {
    let tokens = &report.tokens;
    let mut text = String::new();
    if !tokens.policy.is_empty() {
        put!(text, "{}. ", tokens.policy.trim_end_matches('.'));
    }
    if tokens.texts > 0 {
        put!(
            text,
            "{} of {} ({}) lost tokens, in {}. ",
            count(tokens.truncated_texts),
            counted(tokens.texts, "text"),
            percent(share(tokens.truncated_texts, tokens.texts)),
            counted(tokens.truncated_pairs, "pair"),
        );
    }
    if tokens.undecidable > 0 {
        put!(
            text,
            "{} became identical on both sides and cannot be decided.",
            counted(tokens.undecidable, "pair")
        );
    }
    text.trim_end().to_owned()
}

/// Training, as names and values.
pub(super) fn training(report: &Report) -> Vec<(&'static str, String)> {
    let training = &report.training;
    let total: f64 = report.timings.iter().map(|timing| timing.seconds).sum();
    let mut out = vec![
        ("filter", training.method.clone()),
        ("ranking", training.ranking.clone()),
        ("curriculum", training.curriculum.clone()),
        (
            "epochs",
            format!(
                "{} (first pass {})",
                training.epochs, training.first_pass_epochs
            ),
        ),
        ("updates", count(training.steps)),
        ("batch", counted(u64::from(training.batch_pairs), "pair")),
        ("largest drop rate", percent(training.drop_rate)),
        (
            "rounds × trainings",
            format!("{} × {}", report.detector.rounds, report.detector.members),
        ),
    ];
    if let Some(rate) = training
        .pairs_per_second
        .filter(|rate| rate.is_finite() && *rate >= 0.0)
    {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        out.push((
            "speed",
            format!("{}/s", counted(rate.round() as u64, "pair")),
        ));
    }
    out.push(("time, all stages", duration(total)));
    out.push(("device", report.device.clone()));
    out
}

/// What a reader should cite, in a sentence.
pub(super) fn cite(report: &Report) -> String {
    format!(
        "Made by prefclean {}. Method: Collaborative Reward Modeling (arXiv:2505.10597) for peer review and \
         curriculum; Dataset Cartography (arXiv:2009.10795) for confidence and variability; thresholds, \
         schedules and calibration by planted flips are prefclean's own. Cite the version and the file \
         `manifest.json` beside this report.",
        report.prefclean_version
    )
}

/// The share of wrong labels and its caption: an estimate where the models can tell, a range where not.
pub(super) fn noise_headline(report: &Report) -> (String, String) {
    let noise = &report.noise_rate;
    match (noise.eta, noise.allowed) {
        (Some(_), Some(allowed)) if report.verdict.kind == VerdictKind::CannotTell => (
            format!("{}–{}", percent(allowed.low), percent(allowed.high)),
            "any rate in this range fits what was measured".into(),
        ),
        (Some(eta), _) => (percent(eta.value), super::text::interval_percent(eta)),
        (None, _) => ("–".into(), "not estimated".into()),
    }
}

/// Caption of the observed AUROC for tiles and tables: what is left when it is corrected.
pub(super) fn auroc_note(report: &Report) -> String {
    match (
        report.detector.auroc_observed,
        report.detector.auroc_corrected,
    ) {
        (Some(_), Some(corrected)) if report.verdict.kind == VerdictKind::CanTell => format!(
            "0.5 is chance; {} when corrected for labels wrong before",
            number(corrected.value)
        ),
        (Some(observed), _) => format!("{}; 0.5 is chance", interval(observed)),
        (None, _) => "not measured".to_owned(),
    }
}
