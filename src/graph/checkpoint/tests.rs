use proptest::prelude::*;

use super::*;

const MLP: &[u8] = include_bytes!("../../../pipelines/heads/mlp/checkpoint");

fn example() -> Checkpoint {
    let parameter = |name: &str, dims: &[i64], trainable| Parameter {
        name: name.into(),
        dims: dims.to_vec(),
        data: (0..dims.iter().product::<i64>())
            .map(|v| f32::from(i16::try_from(v).unwrap()) / 3.0)
            .collect(),
        trainable,
    };
    Checkpoint {
        parameters: vec![
            parameter("hidden.weight", &[3, 2], true),
            parameter("b", &[2], true),
            parameter("none", &[0, 4], true),
            parameter("scalar", &[], false),
        ],
        optimizers: vec![OptimizerGroup {
            name: "group0".into(),
            step: 50,
            initial_learning_rate: 1e-3,
            states: vec![OptimizerState {
                parameter: "b".into(),
                dims: vec![2],
                moments: [vec![0.5, -1.0], vec![0.25, 1.0]],
            }],
        }],
    }
}

#[test]
fn reads_what_the_generator_wrote() {
    let checkpoint = Checkpoint::from_bytes(MLP).unwrap();
    let shapes: Vec<_> = checkpoint
        .parameters
        .iter()
        .map(|p| (p.name.as_str(), p.dims.as_slice(), p.trainable))
        .collect();
    let expected: [(&str, &[i64], bool); 3] = [
        ("hidden.bias", &[4], true),
        ("hidden.weight", &[8, 4], true),
        ("reward.weight", &[4, 1], true),
    ];
    let mut sorted = shapes.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    // np.random.default_rng(0).uniform(-8**-.5, 8**-.5, (8, 4)).astype("f")[0, :2]
    let weight = checkpoint.parameter("hidden.weight").unwrap();
    assert!((weight.data[0] - 0.096_846_54).abs() < 1e-7);
    assert!((weight.data[1] + 0.162_785_38).abs() < 1e-7);
}

#[test]
fn writing_and_reading_gives_the_same() {
    let checkpoint = example();
    let bytes = checkpoint.to_bytes().unwrap();
    assert_eq!(Checkpoint::from_bytes(&bytes).unwrap(), checkpoint);
    let empty = Checkpoint::default();
    assert_eq!(
        Checkpoint::from_bytes(&empty.to_bytes().unwrap()).unwrap(),
        empty
    );
}

#[test]
fn values_must_fit_their_dimensions() {
    let mut checkpoint = example();
    checkpoint.parameters[0].data.pop();
    assert!(checkpoint.to_bytes().is_err());
}

#[test]
fn a_cut_file_is_an_error() {
    for bytes in [MLP, &example().to_bytes().unwrap()] {
        for length in 0..bytes.len() {
            // a missing last byte may be padding or the end of a name, so only panics count there
            let result = Checkpoint::from_bytes(&bytes[..length]);
            assert!(
                result.is_err() || length + 16 > bytes.len(),
                "length {length}"
            );
        }
    }
}

#[test]
fn a_list_that_repeats_a_tensor_is_refused() {
    let mut checkpoint = example();
    checkpoint.parameters[0].dims = vec![1000];
    checkpoint.parameters[0].data = vec![1.0; 1000];
    let mut bytes = checkpoint.to_bytes().unwrap();
    // the module's list of trainable tensors: make the second entry lead to the first tensor
    let buffer = Buffer::new(&bytes);
    let module = buffer.table_at(0).unwrap().table(1).unwrap().unwrap();
    let (start, _) = buffer.vector(module.field(0).unwrap().unwrap(), 4).unwrap();
    let first = buffer.follow(start).unwrap();
    for index in 1..3 {
        let at = start + 4 * index;
        bytes[at..at + 4].copy_from_slice(&u32::try_from(first - at).unwrap().to_le_bytes());
    }
    let error = Checkpoint::from_bytes(&bytes).unwrap_err();
    assert!(error.to_string().contains("overlap"), "{error}");
}

proptest! {
    #[test]
    fn damage_never_panics(changes in prop::collection::vec((0usize..4096, any::<u8>()), 1..8)) {
        let mut bytes = example().to_bytes().unwrap();
        for (at, value) in changes {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        let _ = Checkpoint::from_bytes(&bytes);
    }
}
