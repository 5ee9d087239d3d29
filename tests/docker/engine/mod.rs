//! The engine that the tests run against, chosen by `SETPOINT_TEST_ENGINE`:
//!
//! | value | engine |
//! | --- | --- |
//! | none | the machine's |
//! | `hostile` | a second `dockerd` whose `daemon.json` sets what can be set: limits, log driver, address pools, … |
//! | `proxy` | the same behind a proxy that speaks API 1.44 only, is slow, breaks streams, fails and restarts |
//! | `podman` | Podman's service for clients of Docker |
//!
//! All but the machine's are started here, once for the test binary, and end with it. Each test is the same on every engine; what
//! one does not grant stands in [`without`].

mod own;
mod proxy;
mod without;

use own::Own;
use setpoint::model::{ContainerSpec, Ulimit};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const MACHINE: &str = "/var/run/docker.sock";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Machine,
    Hostile,
    Proxy,
    Podman,
}

pub struct Engine {
    pub kind: Kind,
    own: Option<Own>,
    /// What is tested asks here, where no call fails.
    calm: PathBuf,
    /// What is tested asks here where it has to cope with calls that fail.
    troubled: PathBuf,
}

/// The engine of this run. The thread is in its network from now on.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| Engine::start(kind()));
    if let Some(own) = &engine.own {
        own.enter();
    }
    engine
}

/// The engine, or `None` when it does not grant what the test that runs on this thread is about.
pub fn engine_for_this_test() -> Option<&'static Engine> {
    let engine = engine();
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    assert!(engine.kind == Kind::Machine || test.contains("::"), "tests are known by their thread: use two or more");
    without::reason(engine.kind, test).is_none().then_some(engine)
}

/// The plain client, as a person at the host uses it.
pub fn client() -> Command {
    let mut command = Command::new("docker");
    command.env("DOCKER_HOST", engine().plain());
    command
}

#[expect(clippy::disallowed_methods, reason = "the environment decides which engine is tested")]
fn kind() -> Kind {
    let chosen = std::env::var("SETPOINT_TEST_ENGINE").unwrap_or_default();
    match chosen.as_str() {
        "" => Kind::Machine,
        "hostile" => Kind::Hostile,
        "proxy" => Kind::Proxy,
        "podman" => Kind::Podman,
        other => panic!("SETPOINT_TEST_ENGINE={other}: hostile, proxy, podman or nothing"),
    }
}

impl Engine {
    fn start(kind: Kind) -> Self {
        let own = match kind {
            Kind::Machine => None,
            Kind::Hostile | Kind::Proxy => Some(Own::start("dockerd", &[("daemon.json", include_str!("daemon.json"))])),
            Kind::Podman => Some(Own::start("podman", &[("containers.conf", include_str!("containers.conf"))])),
        };
        let socket = own.as_ref().map_or_else(|| PathBuf::from(MACHINE), |own| own.socket.clone());
        let (calm, troubled) = match kind {
            Kind::Proxy => proxy::start(&socket),
            _ => (socket.clone(), socket),
        };
        Self { kind, own, calm, troubled }
    }

    /// The engine's own socket.
    pub fn socket(&self) -> &Path {
        self.own.as_ref().map_or(Path::new(MACHINE), |own| &own.socket)
    }

    /// Where the tests themselves ask.
    pub fn plain(&self) -> String {
        endpoint(self.socket())
    }

    /// Where what is tested asks.
    pub fn calm(&self) -> String {
        endpoint(&self.calm)
    }

    /// Where what is tested asks when it may try again.
    pub fn troubled(&self) -> String {
        endpoint(&self.troubled)
    }

    /// These settings with what the engine adds by its own settings, as it reports them.
    pub fn made_of(&self, wish: &ContainerSpec) -> ContainerSpec {
        let mut made = wish.clone();
        if matches!(self.kind, Kind::Hostile | Kind::Proxy) {
            for (name, soft, hard) in [("nofile", 2048, 4096), ("nproc", 9000, 9000)] {
                made.ulimits.entry(name.to_owned()).or_insert(Ulimit { soft, hard });
            }
            made.shm_size = made.shm_size.or(Some(96 << 20));
        }
        made
    }

    /// How often an apply may fail for the engine's fault before it has to end well.
    pub fn failures(&self) -> u32 {
        if self.kind == Kind::Proxy { 12 } else { 0 }
    }
}

fn endpoint(socket: &Path) -> String {
    format!("unix://{}", socket.display())
}
