//! Reports for tests: one that can tell, one that cannot, one with nothing in it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::too_many_lines,
    reason = "made-up numbers"
)]

use serde_json::json;

use super::model::*;

/// A small deterministic generator, so that pictures do not change between runs.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

fn estimate(value: f64, half: f64) -> Estimate {
    Estimate {
        value,
        low: value - half,
        high: value + half,
        level: 0.9,
    }
}

fn example(noise: &mut Noise, at: u64, tag: Tag, suspicion: f64) -> Example {
    const TEXTS: [(&str, &str, &str); 3] = [
        (
            "Human: How do I keep basil alive indoors over winter?\n\nAssistant: Do you have a window that faces south?\n\nHuman: Yes, in the kitchen.",
            "Put it there and water it when the top of the soil is dry. Pinch off the flowers, and turn the pot once a week so that it grows straight.",
            "Put it in a dark cupboard and water it every day. Pinch off the leaves, and turn the pot once a week so that it grows straight.",
        ),
        (
            "Human: Which is further north, Oslo or Stockholm?",
            "Oslo is a little further north: it lies at about 59.9° N, Stockholm at about 59.3° N.",
            "Stockholm. I am not sure about the exact figures, though.",
        ),
        (
            "Human: Should plastic water bottles be banned?",
            "Plastic bottles take hundreds of years to break down, and tap water is safe in most cities.",
            "Bottled water is handy. Plastic bottles take hundreds of years to break down, but they can be recycled.",
        ),
    ];
    let (prompt, chosen, rejected) = TEXTS[at as usize % 3];
    let level = if tag == Tag::Incorrect { 1.4 } else { 0.4 };
    Example {
        pair_id: format!("{:032x}f", u128::from(at) * 0x9e37_79b9_7f4a_7c15_f39c_0c9d),
        input: "data/ukpconvarg1.parquet".to_owned(),
        row: at * 37 % 8491,
        tag,
        removed: tag == Tag::Incorrect,
        suspicion,
        p_incorrect: Some((suspicion * suspicion * 0.96).min(1.0)),
        fluctuation: 0.05 + 0.4 * noise.next(),
        confidence: [0.5 - 0.3 * (suspicion - 0.5), 0.5 - 0.4 * (suspicion - 0.5)],
        reason: (tag == Tag::Incorrect).then(|| "likely-incorrect".to_owned()),
        evidence_codes: vec!["high-loss".to_owned(), "both-models-disagree".to_owned()],
        evidence: vec![
            format!(
                "Its loss ranks above {:.1}% of the pairs, mean over epochs and models.",
                100.0 * suspicion
            ),
            "Both models prefer the other side in 7 of 8 epochs.".to_owned(),
        ],
        loss: (0..8)
            .map(|_| (level + 0.15 * noise.normal()).max(0.02))
            .collect(),
        prompt: Text::tail(prompt, 1200),
        chosen: Text::head(chosen, 2000),
        rejected: Text::head(rejected, 2000),
    }
}

fn trajectories(tag: Tag, pairs: u64, from: f64, to: f64, spread: f64) -> TagTrajectory {
    let epochs = (0..8)
        .map(|epoch| {
            let at = f64::from(epoch) / 7.0;
            let median = from + (to - from) * (1.0 - (-3.0 * at).exp());
            Quartiles {
                q1: (median - spread * (0.5 + at)).max(0.01),
                median,
                q3: median + 1.4 * spread * (0.5 + at),
            }
        })
        .collect();
    TagTrajectory { tag, pairs, epochs }
}

impl Report {
    /// A run that can tell.
    pub(super) fn example() -> Self {
        let mut noise = Noise(42);
        let mut data_map = Vec::new();
        for at in 0..4000 {
            let (tag, confidence, variability) = match at % 25 {
                0 | 1 => (
                    Tag::Incorrect,
                    0.16 + 0.07 * noise.normal(),
                    0.11 + 0.04 * noise.normal(),
                ),
                2..=6 => (
                    Tag::Ambiguous,
                    0.52 + 0.10 * noise.normal(),
                    0.21 + 0.05 * noise.normal(),
                ),
                _ => (
                    Tag::Robust,
                    0.86 + 0.08 * noise.normal(),
                    0.09 + 0.05 * noise.normal(),
                ),
            };
            data_map.push(MapPoint {
                confidence: confidence.clamp(0.0, 1.0),
                variability: variability.abs().min(0.5),
                tag,
            });
        }
        let sample = |noise: &mut Noise, tag: Tag, level: f64, swing: f64| PairTrajectory {
            pair_id: format!("{:032x}f", (noise.next() * 1e15) as u64),
            tag,
            loss: (0..8)
                .map(|epoch| {
                    let start = 0.69 + (level - 0.69) * (1.0 - (-f64::from(epoch) / 2.0).exp());
                    (start + swing * noise.normal()).max(0.01)
                })
                .collect(),
        };
        let mut sample_pairs = Vec::new();
        for _ in 0..5 {
            sample_pairs.push(sample(&mut noise, Tag::Robust, 0.12, 0.03));
            sample_pairs.push(sample(&mut noise, Tag::Ambiguous, 0.65, 0.25));
            sample_pairs.push(sample(&mut noise, Tag::Incorrect, 1.8, 0.12));
        }
        let histogram = |centre: f64, width: f64, total: f64| -> Vec<u64> {
            (0..40)
                .map(|bin| {
                    let x = (f64::from(bin) * 0.075 - centre) / width;
                    (total * (-0.5 * x * x).exp() * 0.075 / width / 2.5) as u64
                })
                .collect()
        };
        let roc = (0..=100)
            .map(|step| {
                let rest = f64::from(step) / 100.0;
                RocPoint {
                    rest,
                    planted: 1.0 - (1.0 - rest).powf(6.0),
                }
            })
            .collect();
        Self {
            schema_version: SCHEMA_VERSION,
            prefclean_version: "0.1.0".to_owned(),
            created: Some("2025-01-31T09:30:00Z".to_owned()),
            dataset: Dataset {
                name: "ukpconvarg1.parquet".to_owned(),
                inputs: vec![Input {
                    path: "data/ukpconvarg1.parquet".to_owned(),
                    rows: 8502,
                    digest: Some("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262".to_owned()),
                }],
                shape: "explicit prompt (prompt, chosen, rejected)".to_owned(),
                rows: 8502,
                usable: 8491,
                set_aside: vec![
                    ReasonCount {
                        reason: "identical-sides".to_owned(),
                        words: "both responses are the same".to_owned(),
                        count: 8,
                    },
                    ReasonCount {
                        reason: "empty-response".to_owned(),
                        words: "a response is empty".to_owned(),
                        count: 3,
                    },
                ],
                unique_texts: Some(519),
            },
            verdict: Verdict {
                kind: VerdictKind::CanTell,
                why: vec!["Planted flips are found far better than chance (corrected AUROC 0.934).".to_owned()],
                would_help: vec!["A second backbone would make the two models less alike.".to_owned()],
            },
            counts: Counts {
                robust: 6912,
                ambiguous: 894,
                incorrect: 681,
                undecidable: 4,
                unusable: 11,
                tie: 0,
                kept: 7810,
                removed: 692,
                review: 0,
                actions: Vec::new(),
                removed_by_reason: vec![
                    ReasonCount {
                        reason: "likely-incorrect".to_owned(),
                        words: "the label is likely wrong".to_owned(),
                        count: 681,
                    },
                    ReasonCount {
                        reason: "identical-sides".to_owned(),
                        words: "both responses are the same".to_owned(),
                        count: 8,
                    },
                    ReasonCount {
                        reason: "empty-response".to_owned(),
                        words: "a response is empty".to_owned(),
                        count: 3,
                    },
                ],
                removal_cap: Some(0.3),
                held_back_by_cap: 0,
                fdr: 0.1,
                fdr_estimate: Some(Estimate { value: 0.071, low: 0.048, high: 0.098, level: 0.9 }),
            },
            noise_rate: NoiseRate {
                eta: Some(Estimate { value: 0.091, low: 0.062, high: 0.117, level: 0.9 }),
                estimates: vec![
                    NoiseEstimate {
                        name: "held-out evidence".to_owned(),
                        value: 0.091,
                        interval: Some(Range { low: 0.062, high: 0.117 }),
                        level: Some(0.9),
                        rests_on: "held-out evidence is right where it is most certain".to_owned(),
                        decides: true,
                    },
                    NoiseEstimate {
                        name: "planted flips, anchor".to_owned(),
                        value: 0.112,
                        interval: Some(Range { low: 0.081, high: 0.150 }),
                        level: Some(0.9),
                        rests_on: "the pairs that the models trust most hold no wrong labels".to_owned(),
                        decides: false,
                    },
                ],
                why: "No planted flip disturbs it.".to_owned(),
                allowed: Some(Range { low: 0.0, high: 0.164 }),
                gmm: Some(0.128),
                gmm_separation: Some(2.3),
                confident_joint: Some(0.102),
                anchor: "the most trusted region holds no wrong labels".to_owned(),
                agreement: "The three estimates agree within a few points.".to_owned(),
            },
            detector: Detector {
                planted: 848,
                rounds: 2,
                members: 3,
                auroc_observed: Some(estimate(0.857, 0.014)),
                auroc_corrected: Some(estimate(0.934, 0.019)),
                gate: 0.55,
                roc,
            },
            models: Models {
                a: ModelInfo {
                    backbone: "all-MiniLM-L6-v2".to_owned(),
                    view: "CLS and mean pooling, 60% of the features".to_owned(),
                    head: "linear, 691 inputs".to_owned(),
                    features: 691,
                    accuracy: Some(0.842),
                },
                b: ModelInfo {
                    backbone: "all-MiniLM-L6-v2".to_owned(),
                    view: "max pooling and last layers, 60% of the features".to_owned(),
                    head: "MLP, 64 hidden units, tanh".to_owned(),
                    features: 691,
                    accuracy: Some(0.836),
                },
                health: Health {
                    spearman: Some(0.871),
                    kappa: Some(0.612),
                    overlap: Some(0.934),
                    accuracy_gap: Some(0.006),
                    dominance: Some(0.531),
                    epochs: (0..8_u32)
                        .map(|epoch| {
                            let ramp = f64::from(epoch.min(3)) / 3.0;
                            HealthEpoch {
                                epoch,
                                drop_rate: 0.091 * ramp,
                                spearman: Some(0.74 + 0.018 * f64::from(epoch)),
                                overlap: Some(1.0 - 0.066 * ramp),
                                planted_kept_a: Some(1.0 - 0.55 * ramp),
                                planted_kept_b: Some(1.0 - 0.52 * ramp),
                                accuracy_a: Some(0.70 + 0.02 * f64::from(epoch)),
                                accuracy_b: Some(0.69 + 0.02 * f64::from(epoch)),
                            }
                        })
                        .collect(),
                    warnings: vec![
                        "The two models share a backbone. A second one (all-mpnet-base-v2) would make their mistakes less alike.".to_owned(),
                    ],
                },
            },
            training: Training {
                method: "peer review (CRM)".to_owned(),
                ranking: "other comparisons".to_owned(),
                curriculum: "staged".to_owned(),
                first_pass_epochs: 3,
                epochs: 8,
                steps: 21_760,
                batch_pairs: 256,
                drop_rate: 0.091,
                pairs_per_second: Some(182_400.0),
            },
            tokens: Tokens {
                policy: "Over-long texts lose their beginning (truncate-left), at most 128 tokens".to_owned(),
                max_length_tokens: 128,
                texts: 519,
                truncated_texts: 61,
                truncated_pairs: 1804,
                undecidable: 4,
            },
            trajectories: Trajectories {
                online: vec![
                    trajectories(Tag::Robust, 6912, 0.69, 0.16, 0.07),
                    trajectories(Tag::Ambiguous, 894, 0.70, 0.61, 0.12),
                    trajectories(Tag::Incorrect, 681, 0.74, 1.72, 0.25),
                ],
                end: vec![
                    trajectories(Tag::Robust, 6912, 0.52, 0.12, 0.06),
                    trajectories(Tag::Ambiguous, 894, 0.64, 0.52, 0.11),
                    trajectories(Tag::Incorrect, 681, 0.80, 1.63, 0.25),
                ],
                sample_pairs,
            },
            data_map,
            loss_histogram: LossHistogram {
                edges: (0..=40).map(|edge| f64::from(edge) * 0.075).collect(),
                tags: vec![
                    TagCounts { tag: Tag::Robust, counts: histogram(0.22, 0.14, 6912.0) },
                    TagCounts { tag: Tag::Ambiguous, counts: histogram(0.63, 0.16, 894.0) },
                    TagCounts { tag: Tag::Incorrect, counts: histogram(1.6, 0.38, 681.0) },
                ],
            },
            by_source: Some(BySource {
                column: "topic".to_owned(),
                sources: [
                    "Ban plastic water bottles", "Christianity or atheism", "Evolution vs creation",
                    "Firefox vs Internet Explorer", "Gay marriage: right or wrong", "Should parents use spanking",
                    "If your spouse committed murder and he or she confided in you would you turn them in",
                    "India has the potential to lead the world",
                ]
                .iter()
                .enumerate()
                .map(|(at, name)| {
                    let p = 0.03 + 0.02 * (at * 5 % 8) as f64;
                    Source {
                        name: (*name).to_owned(),
                        pairs: 1400 - 120 * at as u64,
                        ambiguous: 90,
                        incorrect: ((1400 - 120 * at as u64) as f64 * p * 0.8) as u64,
                        p_incorrect: Some(estimate(p, 0.012 + 0.002 * at as f64)),
                    }
                })
                .collect(),
            }),
            by_length_difference: Some(ByLength {
                unit: "characters".to_owned(),
                bins: [None, Some(-400), Some(-200), Some(-50), Some(50), Some(200), Some(400), None]
                    .windows(2)
                    .enumerate()
                    .map(|(at, pair)| LengthBin {
                        low: pair[0],
                        high: pair[1],
                        pairs: 300 + 500 * at.min(6 - at) as u64,
                        incorrect: 20 + 12 * (7 - at as u64),
                        p_incorrect: Some(estimate(0.19 - 0.021 * at as f64, 0.03 - 0.004 * at.min(6 - at) as f64)),
                    })
                    .collect(),
            }),
            examples: Examples {
                most_suspicious: (0..12).map(|at| example(&mut noise, at + 1, Tag::Incorrect, 0.9999 - 0.0021 * at as f64)).collect(),
                most_fluctuating: (0..12).map(|at| example(&mut noise, at + 101, Tag::Ambiguous, 0.7 - 0.011 * at as f64)).collect(),
                most_trusted: (0..12).map(|at| example(&mut noise, at + 201, Tag::Robust, 0.0001 + 0.0013 * at as f64)).collect(),
            },
            findings: vec![
                Finding {
                    check: "length-bias".to_owned(),
                    severity: Severity::Warning,
                    message: "The longer response is chosen in 64.2% of pairs. Length alone tells planted flips with AUROC 0.58.".to_owned(),
                    pairs: Some(5451),
                },
                Finding {
                    check: "repeated-texts".to_owned(),
                    severity: Severity::Info,
                    message: "519 texts stand in 8,491 pairs: pairs are not independent of each other.".to_owned(),
                    pairs: None,
                },
            ],
            settings: json!({
                "train": {"epochs": 8, "batch_pairs": 256, "learning_rate": 0.003, "seed": 0},
                "filter": {"method": "peer-review", "curriculum": "staged", "ramp_epochs": 3},
                "tags": {"fdr": 0.1, "max_remove": 0.3},
                "tokens": {"policy": "truncate-left", "max_length_tokens": 128},
                "columns": null,
            })
            .as_object()
            .cloned()
            .unwrap_or_default(),
            versions: vec![
                Named { name: "prefclean".to_owned(), value: "0.1.0".to_owned() },
                Named { name: "ONNX Runtime".to_owned(), value: "1.31.1".to_owned() },
                Named { name: "all-MiniLM-L6-v2 weights".to_owned(), value: "53aa51172d142c89…".to_owned() },
            ],
            device: "CPU (2 threads)".to_owned(),
            seeds: vec![
                Named { name: "run".to_owned(), value: "0".to_owned() },
                Named { name: "planting".to_owned(), value: "17".to_owned() },
            ],
            timings: [("read", 0.4), ("encode", 41.2), ("first pass", 3.8), ("second pass", 14.9), ("tag", 0.6)]
                .iter()
                .map(|(stage, seconds)| Timing { stage: (*stage).to_owned(), seconds: *seconds })
                .collect(),
            files: vec![
                OutputFile { path: "clean.parquet".to_owned(), holds: "rows that are kept".to_owned(), rows: Some(7810) },
                OutputFile { path: "clean.prefclean/report.html".to_owned(), holds: "this report".to_owned(), rows: None },
                OutputFile { path: "clean.prefclean/tags.parquet".to_owned(), holds: "every pair with tag and evidence".to_owned(), rows: Some(8502) },
                OutputFile { path: "clean.prefclean/removed.parquet".to_owned(), holds: "rows left out, with reasons".to_owned(), rows: Some(692) },
            ],
        }
    }

    /// A run near chance.
    pub(super) fn example_cannot_tell() -> Self {
        let mut report = Self::example();
        report.dataset.name = "hh-rlhf-5k.parquet".to_owned();
        report.verdict = Verdict {
            kind: VerdictKind::CannotTell,
            why: vec![
                "The corrected AUROC of planted flips is 0.561 (90% interval 0.528–0.594). Its lower bound is under 0.55.".to_owned(),
                "A frozen sentence encoder sees topic and wording, and little of what makes one answer better than another.".to_owned(),
            ],
            would_help: vec![
                "A stronger or fine-tuned reward model as the source of margins.".to_owned(),
                "A second label from another annotator for a few hundred pairs.".to_owned(),
                "More pairs about the same prompts.".to_owned(),
            ],
        };
        report.counts.robust += 400 + report.counts.incorrect;
        report.counts.ambiguous -= 400;
        report.counts.incorrect = 0;
        report.counts.kept = 8491;
        report.counts.removed = 11;
        report.counts.removed_by_reason.remove(0);
        report.counts.fdr_estimate = None;
        report.detector.auroc_observed = Some(estimate(0.548, 0.026));
        report.detector.auroc_corrected = Some(estimate(0.561, 0.033));
        for point in &mut report.detector.roc {
            point.planted = 1.0 - (1.0 - point.rest).powf(1.22);
        }
        report.noise_rate.eta = Some(Estimate {
            value: 0.11,
            low: 0.0,
            high: 0.31,
            level: 0.9,
        });
        report.noise_rate.allowed = Some(Range {
            low: 0.0,
            high: 0.44,
        });
        report.noise_rate.agreement = "The estimates disagree widely: heavy noise and a weak model cannot be told apart here.".to_owned();
        for list in [
            &mut report.examples.most_suspicious,
            &mut report.examples.most_fluctuating,
            &mut report.examples.most_trusted,
        ] {
            for example in list.iter_mut() {
                example.p_incorrect = None;
                example.removed = false;
                example.reason = None;
                if example.tag == Tag::Incorrect {
                    example.tag = Tag::Robust;
                }
            }
        }
        let trajectories = &mut report.trajectories;
        trajectories.online.retain(|t| t.tag != Tag::Incorrect);
        trajectories.end.retain(|t| t.tag != Tag::Incorrect);
        trajectories
            .sample_pairs
            .retain(|t| t.tag != Tag::Incorrect);
        report
            .loss_histogram
            .tags
            .retain(|t| t.tag != Tag::Incorrect);
        report.data_map.retain(|point| point.tag != Tag::Incorrect);
        if let Some(by_source) = &mut report.by_source {
            for source in &mut by_source.sources {
                source.p_incorrect = None;
                source.incorrect = 0;
            }
        }
        if let Some(by_length) = &mut report.by_length_difference {
            for bin in &mut by_length.bins {
                bin.p_incorrect = None;
                bin.incorrect = 0;
            }
        }
        report
    }

    /// A run that found nothing to work on.
    pub(super) fn example_empty() -> Self {
        let example = Self::example();
        Self {
            dataset: Dataset {
                name: "empty.parquet".to_owned(),
                ..Dataset::default()
            },
            verdict: Verdict {
                kind: VerdictKind::CannotTell,
                why: vec!["There are no usable pairs.".to_owned()],
                would_help: Vec::new(),
            },
            counts: Counts::default(),
            noise_rate: NoiseRate::default(),
            detector: Detector::default(),
            models: Models::default(),
            training: Training::default(),
            tokens: Tokens::default(),
            trajectories: Trajectories::default(),
            data_map: Vec::new(),
            loss_histogram: LossHistogram::default(),
            by_source: None,
            by_length_difference: None,
            examples: Examples::default(),
            findings: Vec::new(),
            versions: Vec::new(),
            seeds: Vec::new(),
            timings: Vec::new(),
            files: Vec::new(),
            ..example
        }
    }
}
