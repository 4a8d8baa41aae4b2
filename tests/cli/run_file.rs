//! `docs/run-file.md` explains every key, with the default that the program has.

use std::collections::BTreeMap;

use crate::harness::CliTest;

/// `table.key` of a run file, with its value as TOML.
fn keys(run_file: &str) -> BTreeMap<String, String> {
    let table: toml::Table = run_file.parse().unwrap();
    let mut keys = BTreeMap::new();
    for (name, value) in &table {
        match value {
            toml::Value::Table(inner) => {
                keys.extend(
                    inner
                        .iter()
                        .map(|(key, v)| (format!("{name}.{key}"), v.to_string())),
                );
            }
            _ => _ = keys.insert(name.clone(), value.to_string()),
        }
    }
    keys
}

/// Text between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// `table.key` of the page, with the default that it gives.
fn documented(page: &str) -> BTreeMap<String, String> {
    let mut tables: Vec<String> = vec![String::new()];
    let mut found = BTreeMap::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let names = quoted(heading).into_iter();
            tables = names
                .map(|name| format!("{}.", name.trim_matches(['[', ']'])))
                .collect();
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [names, _, defaults] = cells[..] else {
            continue;
        };
        let names = quoted(names);
        let defaults: Vec<&str> = if names.len() > 1 {
            defaults.split(", ").collect()
        } else {
            vec![defaults]
        };
        for (i, name) in names.iter().enumerate() {
            for table in &tables {
                let default = defaults.get(i).unwrap_or(&"").trim_matches('`');
                found.insert(format!("{table}{name}"), default.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_key_is_explained_with_its_default() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/run-file.md");
    let documented = documented(&std::fs::read_to_string(page).unwrap());
    let keys = keys(&CliTest::new().ok(&["run", "--show-config"]));
    assert!(keys.len() > 30, "{keys:?}");
    let plain = |value: &str| value.replace(['"', '`', ' '], "");
    let mut wrong = Vec::new();
    for (key, value) in &keys {
        match documented.get(key) {
            None => wrong.push(format!("`{key}` is not explained")),
            Some(default) if plain(default) != plain(value) => {
                wrong.push(format!("`{key}` is {value} by default, not {default}"));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "docs/run-file.md:\n{}", wrong.join("\n"));
    for key in documented.keys() {
        // a key that may be left out has no default
        let optional = documented[key].is_empty();
        assert!(
            optional || keys.contains_key(key),
            "`{key}` is explained, but there is no such key"
        );
    }
}
