//! Every file in `tests/manifests/broken`, compiled: its report must name the right place and a remedy.
//!
//! A line `#@ path` (`//@ path` in KDL) starts another file of the same tree.

use super::tests::tree;
use super::*;
use crate::model::{FileKind, FileTree};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/manifests")
}

/// The tree of one case: the file in `deployments/`, its further files, and what the cases refer to.
fn case(name: &str, bytes: &[u8]) -> FileTree {
    let marker = if name.ends_with(".kdl") { "//@ " } else { "#@ " };
    let path = format!("deployments/{name}");
    let mut files: Vec<(String, Vec<u8>)> = vec![(path.clone(), Vec::new())];
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix(marker)) {
            Some(path) => files.push((path.trim().to_owned(), Vec::new())),
            None => files.last_mut().unwrap().1.extend_from_slice(line),
        }
    }
    for (path, text) in [
        ("images/api/Dockerfile", "FROM scratch\n"),
        ("config/app.toml", "port = 80\n"),
        ("config/bad.env", "GOOD=1\nnot a variable\n"),
        ("config/link.toml", "app.toml"),
        ("linked", "config"),
        ("config/large.bin", "x"),
    ] {
        files.push((path.to_owned(), text.into()));
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let mut tree = tree(&files);
    let links = ["config/link.toml", "linked", "deployments/manifest-symlink.yaml"];
    let large = ["config/large.bin", "deployments/manifest-too-large.yaml"];
    for (path, entry) in &mut tree.files {
        if links.contains(&path.as_str()) {
            entry.kind = FileKind::Symlink;
        }
        if large.contains(&path.as_str()) {
            (entry.size, entry.content) = (100 << 20, None);
        }
    }
    tree
}

#[test]
fn every_broken_manifest_says_where_and_what_to_do() {
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(folder().join("broken")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 40, "{} cases", names.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder().join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for path in names {
            let name = path.file_name().unwrap().to_str().unwrap();
            let report = compile(&case(name, &std::fs::read(&path).unwrap())).map(|_| ()).unwrap_err();
            for mistake in &report.diagnostics {
                assert!(mistake.help.is_some(), "{name}: no remedy for {mistake}");
                assert!(mistake.location.line > 0 && mistake.location.column > 0, "{name}: {mistake}");
                assert_ne!(mistake.code, "internal", "{name}: {mistake}");
            }
            let rendered = report.render(Style::default());
            let place = |mistake: &Diagnostic| mistake.location.file.to_string();
            assert!(report.diagnostics.iter().all(|mistake| rendered.contains(&place(mistake))), "{name}:\n{rendered}");
            insta::assert_snapshot!(name, rendered);
        }
    });
}
