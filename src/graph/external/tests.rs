use super::*;

fn refusal(owner: &Path, location: &str) -> String {
    resolve(owner, Path::new(location)).unwrap_err().to_string()
}

#[test]
fn only_files_inside_the_folder_are_opened() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("model");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    let owner = folder.join("model.onnx");
    for file in [
        &owner,
        &folder.join("data"),
        &folder.join("sub/data"),
        &root.path().join("secret"),
    ] {
        std::fs::write(file, [1, 2, 3, 4]).unwrap();
    }
    for location in ["data", "./data", "sub/data"] {
        assert!(resolve(&owner, Path::new(location)).is_ok(), "{location}");
    }
    let absolute = root.path().join("secret");
    for location in [
        "",
        ".",
        "/",
        "..",
        "../secret",
        "sub/../../secret",
        "sub/../data",
        absolute.to_str().unwrap(),
        "/etc/passwd",
    ] {
        let error = refusal(&owner, location);
        assert!(
            error.contains("not inside the folder"),
            "{location}: {error}"
        );
    }
    assert!(refusal(&owner, "absent").contains("failed to read"));
}

#[cfg(unix)]
#[test]
fn links_must_stay_inside_or_beside_the_owner() {
    use std::os::unix::fs::symlink;
    let root = tempfile::tempdir().unwrap();
    let [folder, blobs] = ["snapshot", "blobs"].map(|name| root.path().join(name));
    for folder in [&folder, &blobs] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("data"), [0; 4]).unwrap();
        std::fs::write(folder.join("model"), []).unwrap();
    }
    symlink("data", folder.join("inner")).unwrap();
    symlink("../blobs/data", folder.join("outer")).unwrap();
    symlink("../blobs", folder.join("sub")).unwrap();
    symlink("../blobs/model", folder.join("linked")).unwrap();
    let owner = folder.join("model");
    assert!(resolve(&owner, Path::new("inner")).is_ok());
    for location in ["outer", "sub/data"] {
        assert!(
            refusal(&owner, location).contains("not inside"),
            "{location}"
        );
    }
    // a cache of models: everything is a link into one folder
    assert!(resolve(&folder.join("linked"), Path::new("outer")).is_ok());
}

#[test]
fn reads_are_checked_against_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    std::fs::write(&path, [1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    let mut file = ExternalFile::open(&path).unwrap();
    assert_eq!(file.read("w", 2, 4).unwrap(), [3, 4, 5, 6]);
    assert_eq!(file.read("w", 8, 0).unwrap(), [0; 0]);
    for (offset, length) in [(5, 4), (9, 0), (u64::MAX, 1), (0, usize::MAX)] {
        let error = file.read("w", offset, length).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(
            source.contains("`w`") && source.contains("has 8"),
            "{source}"
        );
    }
    // four times the file in all, not more
    for _ in 0..3 {
        file.read("w", 0, 8).unwrap();
    }
    let error = file.read("w", 0, 8).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("share"), "{source}");
    let error = ExternalFile::open(folder.path()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("regular"), "{source}");
}
