//! Servers that tests start: found or skipped, and ended with the test.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A child process that is killed when the test ends, however it ends.
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A TCP port nobody listens on.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something accepts connections there.
pub(crate) fn wait_for_port(port: u16) {
    wait_for("the server to listen", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
}

/// Waits for a condition, at most ten seconds.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited ten seconds for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The path of a program, or `None` after saying that the test is skipped. With SETPOINT_REQUIRE_ALL set a missing
/// program fails the test.
pub(crate) fn find_or_skip(program: &str) -> Option<PathBuf> {
    let script = format!("PATH=$PATH:/usr/sbin:/sbin command -v {program}");
    let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
    let found = output.status.success().then(|| PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()));
    if found.is_none() {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Whether the tests run as root; if not, says that the test is skipped, or fails as above.
pub(crate) fn root_or_skip() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("it needs root");
    }
    root
}

fn skip(why: &str) {
    #[expect(clippy::disallowed_methods, reason = "the one switch of the tests")]
    let required = std::env::var("SETPOINT_REQUIRE_ALL").is_ok();
    assert!(!required, "{why}, and SETPOINT_REQUIRE_ALL is set");
    // Past the capture of the test runner, which would keep it from everybody as long as nothing fails.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
