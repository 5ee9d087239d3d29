//! No file of a config repo may crash the compiler, whatever its bytes.
#![no_main]

use setpoint::manifest::{Style, compile};
use setpoint::model::{FileEntry, FileKind, FileTree};
use std::sync::Arc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let entry = FileEntry {
        oid: "0".repeat(40),
        kind: FileKind::Regular,
        size: bytes.len() as u64,
        content: Some(Arc::from(bytes)),
    };
    let mut tree = FileTree::default();
    tree.files.insert("deployments/a.yaml".to_owned(), entry);
    if let Err(report) = compile(&tree) {
        assert!(!report.render(Style::default()).is_empty());
    }
});
