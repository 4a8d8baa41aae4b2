use super::*;

#[test]
fn shipped_run_files_are_valid_and_differ() {
    let all: Vec<RunConfig> = SHIPPED
        .iter()
        .map(|(name, _)| RunConfig::load(name).expect(name))
        .collect();
    for config in &all {
        config.validate().expect("shipped");
        assert_eq!(
            toml::from_str::<RunConfig>(&config.to_toml()).expect("round trip"),
            *config
        );
    }
    assert_eq!(all[0], RunConfig::default(), "`crm` states the defaults");
    assert_eq!(all[1].second_pass.method, "independent");
    assert_eq!(all[1].ranking_method().unwrap().info().name, "independent");
}

#[test]
fn what_ranks_follows_what_is_asked_for() {
    let ranks = |config: &RunConfig| config.ranking_method().unwrap().info().name;
    let mut config = RunConfig::default();
    assert_eq!(ranks(&config), "gaussian-process");
    config.fine_tuning.train = Train::All;
    assert_eq!(ranks(&config), "crm", "encoders that train decide");
    config.rank_by("cross-fit").unwrap();
    assert_eq!(
        (ranks(&config), &*config.second_pass.method),
        ("cross-fit", "crm")
    );
    config.rank_by("divide-mix").unwrap();
    assert_eq!(
        (ranks(&config), &*config.second_pass.method),
        ("divide-mix", "divide-mix")
    );
    config.validate().unwrap();
    config.suspicion.method = "votes".into();
    let error = config.validate().unwrap_err().to_string();
    assert!(
        error.contains("`suspicion.method` = `votes`: expected auto, second-pass, "),
        "{error}"
    );
    config.suspicion.method = "vote".into();
    let error = config.validate().unwrap_err().to_string();
    assert!(
        error.contains("`suspicion.method`: unknown method `vote`"),
        "{error}"
    );
}

#[test]
fn a_wrong_value_is_named() {
    let mut config = RunConfig::default();
    config.tags.fdr = 2.0;
    assert_eq!(
        config.validate().unwrap_err().to_string(),
        "run settings: `tags.fdr` = 2: expected 0.001 to 0.5"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, "[tags]\nfrd = 0.1\n").unwrap();
    let error = RunConfig::load(path.to_str().unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("unknown field `frd`"), "{error}");
}
