use super::*;

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
