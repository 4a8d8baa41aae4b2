use super::*;
use crate::methods::Judgement;
use crate::tags::evaluate::Reference;

#[test]
fn figures_leave_out_what_the_reference_does_not_decide() {
    let truth = [
        Some(Reference::Incorrect),
        Some(Reference::Correct),
        Some(Reference::Ambiguous),
        Some(Reference::Correct),
        None,
        Some(Reference::Incorrect),
    ];
    let suspicion = vec![0.9, 0.2, 1.0, 0.8, 1.0, 0.7];
    let dropped = vec![true, false, true, true, true, false];
    let figures = Figures::new(&Judgement::new(suspicion, dropped), &truth, 0.3);
    assert_eq!((figures.decided, figures.wrong), (4, 2));
    assert_eq!(figures.auroc, Some(0.75));
    assert_eq!(figures.own.dropped, 2);
    assert_eq!(figures.own.precision, Some(0.5));
    assert_eq!(figures.own.recall, Some(0.5));
    assert_eq!(figures.own.clean_lost, Some(0.5));
    assert_eq!(figures.at_true_rate.precision, Some(0.5));
    assert!((figures.noise_rate - 0.3).abs() < 1e-12 && !figures.own_noise_rate);
    assert!((figures.true_rate() - 0.5).abs() < 1e-12);
}

fn cell(noise: &str, method: &str, seed: u64, auroc: f64) -> Cell {
    let truth = [Some(Reference::Incorrect), Some(Reference::Correct)];
    let judgement = Judgement::new(vec![1.0, 0.0], vec![true, false]);
    let mut figures = Figures::new(&judgement, &truth, 0.1);
    figures.auroc = Some(auroc);
    Cell {
        noise: noise.into(),
        seed,
        method: method.into(),
        figures,
        seconds: 1.0,
        peak_mib: None,
    }
}

#[test]
fn the_best_is_named_only_where_it_is_clear() {
    let methods = ["a", "b"].map(str::to_owned);
    let table = |noise: &str, of_b: [f64; 3]| {
        let mut cells = Vec::new();
        for (seed, (a, b)) in [0.7, 0.8, 0.75].into_iter().zip(of_b).enumerate() {
            cells.push(cell(noise, "a", seed as u64, a));
            cells.push(cell(noise, "b", seed as u64, b));
        }
        NoiseTable::new(noise, &methods, "a", &cells)
    };
    let clear = table("symmetric:0.2", [0.75, 0.86, 0.8]);
    assert_eq!(clear.best.as_deref(), Some("b"));
    let over = clear.rows[1].over_default.unwrap();
    assert!((over.mean - 0.16 / 3.0).abs() < 1e-12);
    assert!(clear.rows[0].over_default.is_none());
    assert_eq!(table("symmetric:0.2", [0.75, 0.7, 0.76]).best, None);
    // seeds that judge the same labels do not tell how far the data's own chance reaches
    assert_eq!(table("none", [0.75, 0.86, 0.8]).best, None);
    assert!((clear.true_rate - 0.5).abs() < 1e-12);
    assert!((clear.rows[0].noise_rate_error.unwrap().mean + 0.4).abs() < 1e-12);
}
