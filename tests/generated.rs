//! What is generated is committed, so that a build of the program needs no generator; here it is held against its source.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test program: a panic is how it reports, a variable its switch"
)]

use std::path::Path;

/// `src/wire/proto.rs` is what `orchestrator.proto` gives. `UPDATE_PROTO=1 cargo test --test generated` writes it again.
#[test]
fn the_task_protocol_is_the_one_of_its_definition() {
    let wire = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire");
    let folder = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        // The two messages whose fields 4, 7 and 8 have two forms on the wire are written by hand, in `raw`.
        .extern_path(".orchestrator.StartTaskRequest", "crate::wire::raw::StartTaskRequest")
        .extern_path(".orchestrator.TaskEndNotification", "crate::wire::raw::TaskEndNotification")
        .out_dir(folder.path())
        .compile_fds(protox::compile(["orchestrator.proto"], [&wire]).unwrap())
        .unwrap();
    let generated = std::fs::read_to_string(folder.path().join("orchestrator.rs")).unwrap();
    let (_, code) = generated.split_once('\n').expect("the generator's own first line");
    let wanted = format!(
        "// @generated from `orchestrator.proto`: `UPDATE_PROTO=1 cargo test --test generated` writes it again.\n{code}"
    );
    let committed = wire.join("proto.rs");
    if std::env::var_os("UPDATE_PROTO").is_some() {
        std::fs::write(&committed, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&committed).unwrap_or_default();
    assert!(found == wanted, "{} differs from its definition: run UPDATE_PROTO=1 cargo test", committed.display());
}
