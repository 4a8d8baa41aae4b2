use proptest::prelude::*;

use super::*;
use crate::graph::checkpoint::{OptimizerGroup, OptimizerState};
use crate::graph::lower::{self, LoweringOptions};
use crate::graph::proto::TensorProto;

fn bundled(name: &str) -> Artifacts {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/heads");
    Artifacts::read(&root.join(name)).unwrap()
}

#[test]
fn writing_and_reading_gives_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for name in BUNDLED {
        let mut artifacts = bundled(name);
        *artifacts.optimizer.max_gradient_norm_mut() = (name == "mlp").then_some(0.5);
        if name == "linear" {
            artifacts.optimizer = OptimizerSettings::Sgd {
                max_gradient_norm: Some(1.5),
            };
        }
        // the second time onto what is there
        artifacts.write(folder.path()).unwrap();
        assert_eq!(Artifacts::read(folder.path()).unwrap(), artifacts);
    }
    let mut files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(
        files,
        [CHECKPOINT, EVAL_MODEL, OPTIMIZER_MODEL, TRAINING_MODEL]
    );
}

#[test]
fn parameters_come_in_the_order_of_the_inputs() {
    let names = |artifacts: &Artifacts| -> Vec<String> {
        let all = artifacts.parameters().iter();
        all.map(|p| p.name.clone()).collect()
    };
    let artifacts = bundled("mlp");
    let expected = ["hidden.weight", "hidden.bias", "reward.weight"];
    assert_eq!(names(&artifacts), expected);
}

#[test]
fn parameters_must_belong_to_the_graph() {
    let refused = |change: &dyn Fn(&mut Checkpoint)| {
        let Artifacts {
            training,
            eval,
            optimizer,
            mut checkpoint,
        } = bundled("mlp");
        change(&mut checkpoint);
        let artifacts = Artifacts::new(training, eval, optimizer, checkpoint);
        artifacts.unwrap_err().to_string()
    };
    let twice = refused(&|c| c.parameters.push(c.parameters[0].clone()));
    assert!(twice.contains("two parameters `hidden.weight`"), "{twice}");
    let unknown = refused(&|c| c.parameters[0].name = "other".into());
    assert!(
        unknown.contains("no input for parameter `other`"),
        "{unknown}"
    );
    let frozen = refused(&|c| c.parameters.iter_mut().for_each(|p| p.trainable = false));
    assert!(frozen.contains("no trainable"), "{frozen}");
}

const FILES: [&str; 4] = [TRAINING_MODEL, EVAL_MODEL, OPTIMIZER_MODEL, CHECKPOINT];

fn bytes_of(name: &str) -> [Vec<u8>; 4] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/heads");
    FILES.map(|file| std::fs::read(folder.join(name).join(file)).unwrap())
}

/// Reads artifacts and lowers them; whatever the bytes, an error or a graph.
fn use_all(files: &[Vec<u8>; 4]) -> Result<(), GraphError> {
    let [training, eval, optimizer, checkpoint] = files;
    let artifacts = Artifacts::from_bytes(training, eval, optimizer, checkpoint)?;
    let options = LoweringOptions::default();
    lower::gradient_model(&artifacts, &options)?;
    lower::eval_model(&artifacts, &options)?;
    let head = Head::new(artifacts)?.resized(12, 5, 1)?;
    lower::step_model(head.artifacts(), &options).map(drop)
}

/// Damage to a file.
#[derive(Clone, Debug)]
enum Damage {
    Set(usize, u8),
    Flip(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    /// Copies bytes from one place to another.
    Splice(usize, usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = || 0usize..20_000;
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, value)| Damage::Set(at, value)),
        3 => (at(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        1 => at().prop_map(Damage::Cut),
        1 => (at(), 1usize..64).prop_map(|(at, length)| Damage::Remove(at, length)),
        2 => (at(), at(), 1usize..64).prop_map(|(from, to, n)| Damage::Splice(from, to, n)),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match *self {
            Self::Set(at, value) => bytes[at % length] = value,
            Self::Flip(at, bit) => bytes[at % length] ^= 1 << bit,
            Self::Cut(at) => bytes.truncate(at % length),
            Self::Remove(at, n) => {
                let at = at % length;
                bytes.drain(at..(at + n).min(length));
            }
            Self::Splice(from, to, n) => {
                let (from, to) = (from % length, to % length);
                let piece = bytes[from..(from + n).min(length)].to_vec();
                bytes.splice(to..to, piece);
            }
        }
    }
}

proptest! {
    #[test]
    fn damage_never_panics(
        head in 0..BUNDLED.len(),
        damage in prop::collection::vec((0usize..4, damage()), 1..6),
    ) {
        let mut files = bytes_of(BUNDLED[head]);
        for (file, damage) in damage {
            damage.apply(&mut files[file]);
        }
        let _ = use_all(&files);
    }
}

#[test]
fn files_cut_anywhere_are_errors() {
    let files = bytes_of("mlp");
    use_all(&files).unwrap();
    for (index, file) in FILES.into_iter().enumerate() {
        for length in 0..files[index].len() {
            let mut cut = files.clone();
            cut[index].truncate(length);
            // operator sets follow the graph, and the end of a checkpoint is padding
            let late = length + 300 > files[index].len();
            assert!(use_all(&cut).is_err() || late, "{file}: {length} bytes");
        }
    }
}

/// Artifacts whose files are sound, but do not fit together.
#[test]
fn artifacts_that_do_not_fit_are_refused_by_name() {
    type Change = fn(&mut Artifacts);
    let cases: [(&str, Change); 9] = [
        ("parameter `hidden.weight` of the checkpoint", |a| {
            a.checkpoint.parameters[0].dims = vec![4, 8];
        }),
        ("parameter `hidden.bias` of the checkpoint", |a| {
            a.checkpoint.parameters[1].dims = vec![4, 1];
        }),
        ("lacks the trainable parameter `hidden.bias`", |a| {
            a.checkpoint.parameters.remove(1);
        }),
        ("parameter `hidden.bias` has no gradient", |a| {
            let graph = a.training.graph.as_mut().unwrap();
            graph
                .node
                .retain(|n| !n.output[0].starts_with("hidden.bias_grad.accumulation"));
        }),
        ("parameter `hidden.bias` has two gradients", |a| {
            let graph = a.training.graph.as_mut().unwrap();
            let node = graph.node.last_mut().unwrap();
            node.input[0] = "hidden.bias_grad.accumulation.buffer".into();
        }),
        ("no input for parameter `buffer`", |a| {
            let buffer = TensorProto::from_i64("buffer", &[1], &[1]);
            a.checkpoint.buffers.push(buffer);
        }),
        ("two parameters `hidden.bias`", |a| {
            let buffer = TensorProto::from_i64("hidden.bias", &[1], &[1]);
            a.checkpoint.buffers.push(buffer);
        }),
        (
            "optimizer's state of `reward.weight`, of dimensions [4]",
            |a| {
                a.checkpoint.optimizers = vec![group("reward.weight", &[4])];
            },
        ),
        ("optimizer's state of `none`", |a| {
            a.checkpoint.optimizers = vec![group("none", &[4])];
        }),
    ];
    for (expected, change) in cases {
        let mut artifacts = bundled("mlp");
        change(&mut artifacts);
        let Artifacts {
            training,
            eval,
            optimizer,
            checkpoint,
        } = artifacts;
        let result = Artifacts::new(training, eval, optimizer, checkpoint)
            .and_then(|artifacts| lower::gradient_model(&artifacts, &LoweringOptions::default()));
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

fn group(parameter: &str, dims: &[i64]) -> OptimizerGroup {
    OptimizerGroup {
        states: vec![OptimizerState {
            parameter: parameter.into(),
            dims: dims.to_vec(),
            moments: Vec::new(),
        }],
        ..OptimizerGroup::default()
    }
}
