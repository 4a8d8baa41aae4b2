//! Values made by scikit-learn and `SciPy` in `tests/reference/statistics.py`.

use serde_json::Value;

use super::isotonic::isotonic;
use super::metrics::{
    auroc_of, average_precision, average_ranks, cohen_kappa, roc_curve, spearman,
};
use super::noise::{ConfidentJoint, GaussianMixture};

fn reference() -> Value {
    serde_json::from_str(include_str!("../../tests/reference/statistics.json"))
        .expect("committed JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().expect("a list");
    list.iter().map(|v| v.as_f64().expect("a number")).collect()
}

fn flags(value: &Value) -> Vec<bool> {
    let list = value.as_array().expect("a list");
    list.iter()
        .map(|v| v.as_bool().unwrap_or_else(|| v.as_i64() == Some(1)))
        .collect()
}

fn close(ours: f64, theirs: f64, tolerance: f64) {
    assert!(
        (ours - theirs).abs() <= tolerance,
        "{ours} against {theirs}"
    );
}

fn all_close(ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len());
    ours.iter()
        .zip(theirs)
        .for_each(|(&a, &b)| close(a, b, tolerance));
}

#[test]
fn metrics_match_scikit_learn_and_scipy() {
    let json = reference();
    let (scores, labels) = (numbers(&json["scores"]), flags(&json["labels"]));
    let other = numbers(&json["other"]);
    let number = |name: &str| json[name].as_f64().expect("a number");
    close(
        auroc_of(&scores, &labels).expect("both"),
        number("auroc"),
        1e-12,
    );
    close(
        average_precision(&scores, &labels).expect("both"),
        number("average_precision"),
        1e-12,
    );
    close(
        spearman(&scores, &other).expect("varied"),
        number("spearman"),
        1e-12,
    );
    all_close(&average_ranks(&scores), &numbers(&json["ranks"]), 0.0);
    let above = |values: &[f64]| -> Vec<bool> { values.iter().map(|&v| v > 0.2).collect() };
    close(
        cohen_kappa(&above(&scores), &above(&other)).expect("varied"),
        number("kappa"),
        1e-12,
    );
    let curve = roc_curve(&scores, &labels).expect("both");
    let expected = json["roc"].as_array().expect("a list");
    assert_eq!(curve.len(), expected.len());
    for (point, expected) in curve.iter().zip(expected) {
        all_close(
            &[point.false_positive_rate, point.true_positive_rate],
            &numbers(expected),
            1e-12,
        );
    }
}

#[test]
fn gaussian_mixture_matches_scikit_learn() {
    let json = &reference()["gmm"];
    let fit = GaussianMixture::fit(&numbers(&json["loss"])).expect("varied");
    close(fit.eta, json["weight"].as_f64().expect("a number"), 1e-5);
    all_close(&fit.means, &numbers(&json["means"]), 1e-5);
    all_close(&fit.stds, &numbers(&json["stds"]), 1e-5);
    all_close(&fit.posterior, &numbers(&json["posterior"]), 1e-4);
    assert!(fit.separation > 2.0);
    assert!(GaussianMixture::fit(&[1.0, 1.0]).is_none());
}

#[test]
fn isotonic_regression_matches_scikit_learn() {
    let json = &reference()["isotonic"];
    let x = numbers(&json["x"]);
    let fit = isotonic(&x, &numbers(&json["y"]), &numbers(&json["w"]));
    for (x, expected) in x.iter().zip(numbers(&json["fitted"])) {
        let found = fit.iter().find(|point| (point.0 - x).abs() < 1e-12);
        close(found.expect("every x has a value").1, expected, 1e-9);
    }
}

#[test]
fn confident_joint_matches_the_published_formula() {
    let json = &reference()["confident_joint"];
    let ours = ConfidentJoint::new(&numbers(&json["p_first"]), &flags(&json["label_first"]))
        .expect("both");
    for (row, expected) in ours
        .joint
        .iter()
        .zip(json["joint"].as_array().expect("rows"))
    {
        all_close(row, &numbers(expected), 1e-12);
    }
    close(ours.eta, json["eta"].as_f64().expect("a number"), 1e-12);
}
