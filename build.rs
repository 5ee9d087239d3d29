//! Generates the messages and services of `src/wire/orchestrator.proto`; needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=src/wire/orchestrator.proto");
    tonic_prost_build::configure()
        .build_transport(false)
        // The two messages whose fields 4, 7 and 8 have two forms on the wire are written by hand, in `raw`.
        .extern_path(".orchestrator.StartTaskRequest", "crate::wire::raw::StartTaskRequest")
        .extern_path(".orchestrator.TaskEndNotification", "crate::wire::raw::TaskEndNotification")
        .compile_fds(protox::compile(["orchestrator.proto"], ["src/wire"])?)?;
    Ok(())
}
