//! Pairs per second of the stages that touch every pair and run no model.
//!
//! `cargo bench` prints the rates; nothing here needs the network.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prefclean::filter::{Curriculum, Exchange, plan_epoch, select};
use prefclean::pairs::ContentId;
use prefclean::reward::{FeatureStore, View};
use prefclean::tokens::{Encoded, TextsBuilder, plan_batches};

const PAIRS: u32 = 100_000;

/// Numbers without a pattern that a sort could use, the same in every run.
fn scattered(n: u32) -> Vec<f32> {
    let small = |i: u32| (i.wrapping_mul(2_654_435_761) >> 16) as u16;
    (0..n).map(|i| f32::from(small(i)) / 1e4).collect()
}

fn identity(criterion: &mut Criterion) {
    let prompt = "\n\nHuman: What are good names for a cat?\n\nAssistant:";
    let responses: Vec<String> = (0..1000).map(|i| format!(" {i} ").repeat(40)).collect();
    let mut group = criterion.benchmark_group("identity");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("content_id", |bench| {
        bench.iter(|| {
            for pair in responses.windows(2) {
                black_box(ContentId::of(prompt, &pair[0], &pair[1]));
            }
        });
    });
}

fn filter(criterion: &mut Criterion) {
    let (a, b) = (scattered(PAIRS), scattered(PAIRS + 7)[7..].to_vec());
    let ties: Vec<u64> = (0..u64::from(PAIRS))
        .map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .collect();
    let mut group = criterion.benchmark_group("filter");
    group.throughput(Throughput::Elements(u64::from(PAIRS)));
    group.bench_function("peer_review/batch_256", |bench| {
        bench.iter(|| {
            for start in (0..PAIRS as usize).step_by(256) {
                let span = start..(start + 256).min(PAIRS as usize);
                black_box(select(
                    Exchange::PeerReview,
                    &a[span.clone()],
                    &b[span.clone()],
                    &ties[span],
                    0.3,
                ));
            }
        });
    });
    group.bench_function("plan_epoch/staged", |bench| {
        let previous = prefclean::filter::curriculum::PreviousMargins { a: &a, b: &b };
        bench.iter(|| {
            black_box(plan_epoch(
                Curriculum::Staged,
                Exchange::PeerReview,
                Some(previous),
                &ties,
                3,
                0.3,
                1,
            ))
        });
    });
}

fn texts(criterion: &mut Criterion) {
    let lengths: Vec<usize> = (0..PAIRS as usize).map(|i| 8 + i * 7919 % 150).collect();
    let all: Vec<u32> = (0..PAIRS).collect();
    let mut group = criterion.benchmark_group("texts");
    group.throughput(Throughput::Elements(u64::from(PAIRS)));
    group.bench_function("plan_batches", |bench| {
        bench.iter(|| black_box(plan_batches(&all, |text| lengths[text as usize], 2048)));
    });

    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut builder = TextsBuilder::new(folder.path()).expect("a scratch file");
    for id in 0..2000 {
        let text = Encoded {
            ids: vec![id, 1],
            response: 1..2,
            prompt_cut: false,
            response_cut: false,
        };
        builder
            .add(&text)
            .expect("a scratch file that can be written");
    }
    let texts = builder.finish().expect("a scratch file that can be mapped");
    let mut store = FeatureStore::open(folder.path(), "bench", 1152).expect("a feature file");
    for (text, row) in (0..).zip(scattered(2000 * 1152).chunks(1152)) {
        store
            .append(&texts.digest(text), row)
            .expect("a feature file that can be written");
    }
    let features = store
        .into_features(&texts)
        .expect("features that can be mapped");
    let view = View::new(&features, (0..1152).step_by(2).collect());
    group.throughput(Throughput::Elements(256));
    group.bench_function("gather/256_pairs_of_576", |bench| {
        let mut out = Vec::new();
        bench.iter(|| {
            out.clear();
            for pair in 0..256u32 {
                view.append(&features, pair * 7 % 2000, &mut out);
                view.append(&features, pair * 11 % 2000, &mut out);
            }
            black_box(out.len())
        });
    });
}

criterion_group!(benches, identity, filter, texts);
criterion_main!(benches);
