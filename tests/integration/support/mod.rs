//! What the tests share.

pub(crate) mod git;
pub(crate) mod git_server;
pub(crate) mod process;

/// The program, with a state folder that the tests of this process share.
pub(crate) fn setpoint() -> std::process::Command {
    static STATE: std::sync::OnceLock<tempfile::TempDir> = std::sync::OnceLock::new();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("setpoint"));
    command.env("SETPOINT_STATE_DIR", STATE.get_or_init(|| tempfile::tempdir().unwrap()).path());
    command
}
