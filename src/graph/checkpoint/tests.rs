use proptest::prelude::*;

use super::flatbuffer::Buffer;
use super::*;
use crate::graph::proto::{GraphProto, elem};

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
                moments: vec![vec![0.5, -1.0], vec![0.25, 1.0]],
            }],
        }],
        buffers: vec![TensorProto::from_raw(
            "order",
            elem::INT64,
            &[2],
            [1i64, -1].map(i64::to_le_bytes).concat(),
        )],
        properties: [
            ("epoch", Property::Int(3)),
            ("loss", Property::Float(0.5)),
            ("who", Property::Text("é".into())),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into(),
        nominal: false,
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
fn entries_that_share_their_bytes_are_refused() {
    let mut checkpoint = example();
    checkpoint.parameters[0].dims = vec![1000];
    checkpoint.parameters[0].data = vec![1.0; 1000];
    let mut bytes = checkpoint.to_bytes().unwrap();
    let buffer = Buffer::new(&bytes);
    let module = buffer.table_at(0).unwrap().table(1).unwrap().unwrap();
    let (start, _) = buffer.vector(module.field(0).unwrap().unwrap(), 4).unwrap();
    // content may be copied out twice, not three times
    let tensor = buffer.table_at(start).unwrap();
    assert!(tensor.bytes(4).is_ok() && tensor.bytes(4).is_ok());
    let error = tensor.bytes(4).unwrap_err().to_string();
    assert!(error.contains("overlap"), "{error}");
    // the module's list of trainable tensors: make the other entries lead to the first tensor
    let first = buffer.follow(start).unwrap();
    for index in 1..3 {
        let at = start + 4 * index;
        bytes[at..at + 4].copy_from_slice(&u32::try_from(first - at).unwrap().to_le_bytes());
    }
    let error = Checkpoint::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("two parameters `hidden.weight`"), "{error}");
}

#[test]
fn large_checkpoints_keep_their_values_beside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let data = folder.path().join("checkpoint.data");
    let mut checkpoint = example();
    checkpoint.parameters[1].dims = vec![100];
    checkpoint.parameters[1].data = vec![0.5; 100];
    let state = &mut checkpoint.optimizers[0].states[0];
    state.dims = vec![100];
    state.moments = vec![vec![0.25; 100], vec![0.125; 100]];
    checkpoint.buffers[0].dims = vec![30];
    checkpoint.buffers[0].raw_data = Some(vec![7; 240]);
    checkpoint.write_with_limit(&path, 1000).unwrap();
    // 100 of f32, 30 of i64, two moments, at multiples of 64
    let length = std::fs::metadata(&data).unwrap().len();
    assert_eq!(length, 448 + 256 + 448 + 400);
    assert_eq!(Checkpoint::read(&path).unwrap(), checkpoint);
    let bytes = std::fs::read(&path).unwrap();
    let error = Checkpoint::from_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("another file"), "{error}");

    std::fs::write(&data, vec![0; 640]).unwrap();
    let error = Checkpoint::read(&path).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().contains("checkpoint.data"), "{error}");
    assert!(
        source.contains("`order` needs 240 bytes at 448"),
        "{source}"
    );
    std::fs::remove_file(&data).unwrap();
    let error = Checkpoint::read(&path).unwrap_err().to_string();
    assert!(error.contains("checkpoint.data"), "{error}");

    // writing again leaves no values of before
    checkpoint.write_with_limit(&path, 1000).unwrap();
    checkpoint.write(&path).unwrap();
    assert!(!data.exists());
    assert_eq!(Checkpoint::read(&path).unwrap(), checkpoint);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_nominal_checkpoint_takes_the_values_of_a_model() {
    let full = example();
    let mut nominal = full.clone();
    nominal.nominal = true;
    for parameter in &mut nominal.parameters {
        parameter.dims.clear();
        parameter.data.clear();
    }
    let order = TensorProto {
        data_type: elem::INT64,
        name: "order".into(),
        ..TensorProto::default()
    };
    nominal.buffers = vec![order];
    let bytes = nominal.to_bytes().unwrap();
    let mut read = Checkpoint::from_bytes(&bytes).unwrap();
    assert_eq!(read, nominal);

    let mut model = ModelProto {
        graph: Some(GraphProto::default()),
        ..ModelProto::default()
    };
    let error = read.clone().fill_from(&model).unwrap_err().to_string();
    assert!(
        error.contains("no initializer for parameter `hidden.weight`"),
        "{error}"
    );
    let floats = full.parameters.iter();
    let floats = floats.map(|p| TensorProto::from_f32(&p.name, &p.dims, &p.data));
    let all = floats.chain(full.buffers.clone()).collect();
    model.graph.as_mut().unwrap().initializer = all;
    read.fill_from(&model).unwrap();
    assert_eq!(read, full);
}

#[test]
fn names_are_unique() {
    type Change = fn(&mut Checkpoint);
    let cases: [(&str, Change); 4] = [
        ("two parameters `b`", |c| c.parameters[0].name = "b".into()),
        ("two parameters `scalar`", |c| {
            c.buffers[0].name = "scalar".into();
        }),
        ("two optimizer groups `group0`", |c| {
            c.optimizers.push(OptimizerGroup {
                name: "group0".into(),
                ..OptimizerGroup::default()
            });
        }),
        ("two optimizer states of `b`", |c| {
            let state = c.optimizers[0].states[0].clone();
            c.optimizers[0].states.push(state);
        }),
    ];
    for (expected, change) in cases {
        let mut checkpoint = example();
        change(&mut checkpoint);
        let error = Checkpoint::from_bytes(&checkpoint.to_bytes().unwrap()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
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
