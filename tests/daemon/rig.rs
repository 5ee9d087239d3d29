//! A repository, an engine, a state folder, and a daemon between them.

use setpoint::api::{Client, Listener, Socket, dto, serve};
use setpoint::daemon::status::{InstanceStatus, Status};
use setpoint::daemon::timing::Orchestrator;
use setpoint::daemon::{Config, Daemon, Handle};
use setpoint::engine::Engine;
use setpoint::model::{CommitId, TaskAddress};
use setpoint::source::{Source, SourceConfig};
use setpoint::store::EventFilter;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Tests that use the image now; the last one removes it.
static USERS: Mutex<u32> = Mutex::new(0);
static COUNT: AtomicU32 = AtomicU32::new(0);

pub fn image() -> String {
    format!("sptest-dmn-busybox:{}", std::process::id())
}

/// What one test works with; all that it made goes with it, also when the test fails.
pub struct Rig {
    folder: tempfile::TempDir,
    /// Name of the deployment, and so the beginning of every name on the engine.
    pub name: String,
}

/// A rig, or `None` when there is no engine and that is allowed.
pub fn rig() -> Option<Rig> {
    if !docker_works() {
        let required = ["CI", "SETPOINT_REQUIRE_ALL"].iter().any(|name| std::env::var_os(name).is_some());
        assert!(!required, "no Docker engine");
        // Past the capture of the test runner, which would keep it from everybody as long as nothing fails.
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            let _ = writeln!(std::io::stderr(), "skipped: no Docker engine; the tests here pass without having run");
        });
        return None;
    }
    let mut users = USERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if *users == 0 {
        import();
    }
    *users += 1;
    let name = format!("sptest-dmn-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let rig = Rig { folder: tempfile::tempdir().unwrap(), name };
    std::fs::create_dir(rig.work()).unwrap();
    rig.git(&["init", "-q", "-b", "main"]);
    Some(rig)
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The daemon of a failed test finishes its step in hand, which may make a container.
            std::thread::sleep(Duration::from_secs(2));
        }
        let filter = format!("name={}", self.name);
        for (kind, list, remove) in [
            ("container", &["ps", "-aq"][..], &["rm", "-f", "-v"][..]),
            ("network", &["network", "ls", "-q"][..], &["network", "rm"][..]),
            ("volume", &["volume", "ls", "-q"][..], &["volume", "rm", "-f"][..]),
        ] {
            let found = output(Command::new("docker").args(list).args(["--filter", &filter]));
            for id in found.lines() {
                let removed = Command::new("docker").args(remove).arg(id).stdout(Stdio::null()).status();
                if let Err(error) = removed {
                    eprintln!("a {kind} was left: {error}");
                }
            }
        }
        let mut users = USERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *users -= 1;
        if *users == 0 {
            drop(Command::new("docker").args(["rmi", "-f", &image()]).stdout(Stdio::null()).status());
        }
    }
}

impl Rig {
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("infra")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn git(&self, args: &[&str]) -> String {
        let who = ["-c", "user.name=A", "-c", "user.email=a@example.org"];
        output(Command::new("git").arg("-C").arg(self.work()).args(who).args(args))
    }

    /// Commits a deployment with these services, each a YAML flow map.
    pub fn commit(&self, summary: &str, services: &[String]) -> String {
        let mut text = format!(
            "deployment:\n  name: {}\n  strategy: {{type: parallel, max_parallel: 8, startup_timeout: 20, \
             stability_window: \"300ms\", on_failure: rollback}}\n  services:\n",
            self.name
        );
        for service in services {
            text.push_str(&format!("    - {service}\n"));
        }
        self.commit_text(summary, &text)
    }

    pub fn commit_text(&self, summary: &str, text: &str) -> String {
        let folder = self.work().join("deployments");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("shop.yaml"), text).unwrap();
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", summary]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A client of the daemon that [`Rig::with`] runs.
    pub fn client(&self) -> Client {
        Client::new(&self.state().join("setpoint.sock"))
    }

    /// The name of a service's first container.
    pub fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.name)
    }

    pub async fn daemon(&self) -> Daemon {
        daemon(&self.work(), self.state()).await
    }

    /// Runs a daemon while `work` runs, and ends it in order.
    pub async fn with<T>(&self, work: impl AsyncFnOnce(&Handle) -> T) -> T {
        self.with_daemon(self.daemon().await, work).await
    }

    /// Runs this daemon while `work` runs, and ends it in order.
    pub async fn with_daemon<T>(&self, daemon: Daemon, work: impl AsyncFnOnce(&Handle) -> T) -> T {
        let handle = daemon.handle();
        let stop = CancellationToken::new();
        // Ends the daemon's tasks also when `work` panics.
        let _ends = stop.clone().drop_guard();
        let socket = Socket::bind(&self.state().join("setpoint.sock")).unwrap();
        let running = daemon.run(stop.clone(), [|handle, stop| serve(Listener::Unix(socket), handle, stop)]);
        let work = async {
            let result = work(&handle).await;
            stop.cancel();
            result
        };
        let (ended, result) = futures_util::join!(running, work);
        ended.unwrap();
        result
    }
}

/// A daemon that follows the repository in `work`.
pub async fn daemon(work: &Path, state_dir: PathBuf) -> Daemon {
    Daemon::new(config(work, "", state_dir, Engine::connect(None).await.unwrap())).unwrap()
}

/// What a daemon is made of that follows a folder of the repository in `work`.
pub fn config(work: &Path, folder: &str, state_dir: PathBuf, engine: Engine) -> Config {
    let mut source = SourceConfig::new(work.to_str().unwrap()).unwrap();
    source.reference = Some("main".to_owned());
    source.poll = Duration::from_millis(500);
    source.path = folder.to_owned();
    Config {
        source: Source::open(source).unwrap(),
        engine,
        socket: state_dir.join("setpoint.sock"),
        state_dir,
        resync: Duration::from_secs(60),
        shutdown: Duration::from_secs(20),
        orchestrator: Orchestrator {
            listen: Some(TaskAddress::Tcp("127.0.0.1".to_owned(), 0)),
            ..Orchestrator::default()
        },
        adopt: false,
        version: "0.0.0".to_owned(),
    }
}

/// A service that sleeps and dies at once when asked to stop.
pub fn sleeper(id: &str, more: &str) -> String {
    let more = if more.is_empty() { String::new() } else { format!(", {more}") };
    format!("{{id: {id}, image: \"{}\", command: [sleep, \"600\"], stop_signal: SIGKILL{more}}}", image())
}

/// Waits until the status is as wanted, and says how long that took.
pub async fn until(handle: &Handle, what: &str, good: impl Fn(&Status) -> bool) -> Duration {
    let begin = Instant::now();
    while !good(&handle.status()) {
        if begin.elapsed() > Duration::from_secs(40) {
            let filter = EventFilter { newest: true, limit: 30, ..EventFilter::default() };
            for event in handle.events(&filter, Duration::ZERO).await.unwrap() {
                eprintln!("{event:?}");
            }
            panic!("never: {what}\n{}", serde_json::to_string_pretty(&dto::Status::from(handle.status())).unwrap());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begin.elapsed()
}

/// The host is as `commit` wants it.
pub fn applied(status: &Status, commit: &str) -> bool {
    status.revision.applied.as_ref().is_some_and(|revision| revision.commit == CommitId::new(commit))
        && status.applying.is_none()
}

pub fn instance<'a>(status: &'a Status, service: &str) -> Option<&'a InstanceStatus> {
    status.instances.iter().find(|it| it.instance.service.service.as_str() == service)
}

/// Kinds of all events, in order.
pub async fn kinds(handle: &Handle) -> Vec<String> {
    let events = handle.events(&EventFilter::default(), Duration::ZERO).await.unwrap();
    let kind = |event| serde_json::to_value(dto::Event::from(event)).unwrap()["kind"].as_str().unwrap().to_owned();
    events.into_iter().map(kind).collect()
}

/// Runs `docker` with these words.
pub fn docker(words: &[&str]) -> String {
    output(Command::new("docker").args(words))
}

/// A value out of `docker inspect`; `None` when there is no such object.
pub fn inspect(name: &str, format: &str) -> Option<String> {
    let out = Command::new("docker").args(["inspect", "--format", format, name]).output().unwrap();
    out.status.success().then(|| String::from_utf8(out.stdout).unwrap().trim().to_owned())
}

fn output(command: &mut Command) -> String {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn docker_works() -> bool {
    let quiet = Command::new("docker").args(["version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Makes an image from scratch with nothing but busybox.
fn import() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.tar");
    let mut tar = tar::Builder::new(std::fs::File::create(&file).unwrap());
    tar.append_path_with_name("/bin/busybox", "bin/busybox").expect("busybox-static is installed");
    for applet in ["sh", "sleep", "true", "false", "cat", "nc", "test", "rm", "touch"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    tar.into_inner().unwrap();
    docker(&["import", file.to_str().unwrap(), &image()]);
}
