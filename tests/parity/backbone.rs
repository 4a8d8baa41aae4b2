//! Features of the encoders against an independent numpy implementation.

use std::time::Instant;

use ort::session::Session;
use ort::value::Tensor;
use prefclean::graph::backbone::{self, backbone_model};
use prefclean::setup::Backbone;
use serde_json::Value;

use crate::runtime::{model_folder, note, runtime, session};

struct Batch {
    ids: Vec<i64>,
    attention: Vec<i64>,
    response: Vec<f32>,
    rows: usize,
    tokens: usize,
}

fn features(session: &mut Session, batch: Batch) -> Vec<f32> {
    let shape = [batch.rows, batch.tokens];
    let outputs = session
        .run(ort::inputs![
            backbone::INPUT_IDS => Tensor::from_array((shape, batch.ids)).unwrap(),
            backbone::ATTENTION_MASK => Tensor::from_array((shape, batch.attention)).unwrap(),
            backbone::RESPONSE_MASK => Tensor::from_array((shape, batch.response)).unwrap(),
        ])
        .unwrap();
    let (_, values) = outputs[backbone::FEATURES]
        .try_extract_tensor::<f32>()
        .unwrap();
    values.to_vec()
}

/// The reference texts as one padded batch, after them a row without response tokens and one
/// without any token.
fn reference_batch(reference: &Value) -> Batch {
    let texts = reference["texts"].as_array().unwrap();
    let rows = texts.len() + 2;
    let ids: Vec<Vec<i64>> = texts
        .iter()
        .map(|t| {
            t["ids"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_i64().unwrap())
                .collect()
        })
        .collect();
    let tokens = ids.iter().map(Vec::len).max().unwrap() + 1;
    let mut batch = Batch {
        ids: vec![reference["pad"].as_i64().unwrap(); rows * tokens],
        attention: vec![0; rows * tokens],
        response: vec![0.0; rows * tokens],
        rows,
        tokens,
    };
    for (row, (text, ids)) in texts.iter().zip(&ids).enumerate() {
        let start = row * tokens;
        batch.ids[start..start + ids.len()].copy_from_slice(ids);
        batch.attention[start..start + ids.len()].fill(1);
        let [first, end] =
            [0, 1].map(|i| usize::try_from(text["response"][i].as_u64().unwrap()).unwrap());
        batch.response[start + first..start + end].fill(1.0);
    }
    let start = texts.len() * tokens;
    batch.attention[start..start + 5].fill(1);
    batch
}

fn holds_to_reference(backbone: &Backbone, reference: &str) {
    let (Some(environment), Some(folder)) = (runtime(), model_folder(backbone)) else {
        return;
    };
    let reference: Value = serde_json::from_str(reference).unwrap();
    let backbone::Backbone { onnx, hidden, .. } = backbone_model(&folder).unwrap();
    assert_eq!(reference["hidden"], hidden);
    let mut session = session(environment, &onnx, 2);
    let values = features(&mut session, reference_batch(&reference));
    assert!(values.iter().all(|v| v.is_finite()));

    let rows: Vec<&[f32]> = values.chunks_exact(backbone::POOLS * hidden).collect();
    let mut largest = 0.0f64;
    for (row, text) in rows.iter().zip(reference["texts"].as_array().unwrap()) {
        for (pool, expected) in row
            .chunks_exact(hidden)
            .zip(text["pools"].as_array().unwrap())
        {
            let mut close = |found: f64, expected: &Value, tolerance: f64| {
                let difference = (found - expected.as_f64().unwrap()).abs();
                largest = largest.max(difference);
                assert!(difference < tolerance, "{found} is not {expected}");
            };
            for (found, expected) in pool.iter().zip(expected["first"].as_array().unwrap()) {
                close(f64::from(*found), expected, 2e-5);
            }
            let sum: f64 = pool.iter().map(|&v| f64::from(v)).sum();
            let norm: f64 = pool.iter().map(|&v| f64::from(v).powi(2)).sum();
            close(sum, &expected["sum"], 2e-4);
            close(norm.sqrt(), &expected["norm"], 2e-4);
        }
    }
    note(&format!(
        "largest difference to the reference: {largest:.1e}"
    ));
    for row in &rows[rows.len() - 2..] {
        assert!(row[hidden..].iter().all(|&v| v == 0.0), "nothing to pool");
    }
}

#[test]
fn minilm_features_match_numpy() {
    holds_to_reference(
        &Backbone::MiniLm,
        include_str!("data/all-MiniLM-L6-v2.json"),
    );
}

#[test]
fn mpnet_features_match_numpy() {
    holds_to_reference(
        &Backbone::Mpnet,
        include_str!("data/all-mpnet-base-v2.json"),
    );
}

/// Texts per second at one length: `cargo test --test parity -- --ignored`.
#[test]
#[ignore = "a measurement, not a check"]
fn minilm_speed() {
    let (Some(environment), Some(folder)) = (runtime(), model_folder(&Backbone::MiniLm)) else {
        return;
    };
    let started = Instant::now();
    let backbone = backbone_model(&folder).unwrap();
    note(&format!("graph written in {:?}", started.elapsed()));
    let started = Instant::now();
    let mut session = session(environment, &backbone.onnx, 2);
    note(&format!("session made in {:?}", started.elapsed()));
    for (rows, tokens) in [(1, 128), (4, 128), (16, 128), (64, 32), (8, 256), (4, 512)] {
        let mut best = f64::MAX;
        for _ in 0..6 {
            let size = rows * tokens;
            let batch = Batch {
                ids: (0..size)
                    .map(|i| i64::try_from(1000 + i * 7919 % 20000).unwrap())
                    .collect(),
                attention: vec![1; size],
                response: vec![1.0; size],
                rows,
                tokens,
            };
            let started = Instant::now();
            features(&mut session, batch);
            best = best.min(started.elapsed().as_secs_f64());
        }
        let rate = f64::from(u32::try_from(rows).unwrap()) / best;
        note(&format!("{rows} x {tokens} tokens: {rate:.1} texts/s"));
    }
}
