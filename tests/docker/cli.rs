//! The real program as a person runs it: a config repo, a state folder, an engine, and the clean-up of all that.

use super::support;
pub use super::tools::{Daemon, docker, git, inspect, port, signal, text, within};
use crate::engine::{Engine, client, engine_for_this_test};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

static COUNT: AtomicU32 = AtomicU32::new(0);
static SHARED: Mutex<Shared> = Mutex::new(Shared { users: 0, folder: None });

/// What all tests use; the last one removes it.
struct Shared {
    users: u32,
    /// Holds a copy of the program, so that a build meanwhile does not exchange it.
    folder: Option<TempDir>,
}

/// One host with one config repo. Its drop removes all that the test made, also when the test panicked.
pub struct Host {
    pub dir: TempDir,
    /// Begins every name on the engine; also the name of the environment and of the usual deployment.
    pub name: String,
    pub engine: &'static Engine,
    program: PathBuf,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// The image that every service runs unless it says otherwise.
pub fn image() -> String {
    format!("sptest-e2e-busybox:{}", std::process::id())
}

/// A host, or `None` when there is no engine and that is allowed.
pub fn host() -> Option<Host> {
    let engine = engine_for_this_test()?;
    let asked = engine.calm();
    let connected = block_on(async { setpoint::engine::Engine::connect(Some(&asked)).await.map(drop) });
    if let Err(error) = connected {
        support::skip("Docker engine", &error);
        return None;
    }
    let program = {
        let mut shared = shared();
        if shared.users == 0 {
            block_on(support::import(&image(), &[]));
            let folder = tempfile::tempdir().unwrap();
            std::fs::copy(env!("CARGO_BIN_EXE_setpoint"), folder.path().join("setpoint")).unwrap();
            shared.folder = Some(folder);
        }
        shared.users += 1;
        shared.folder.as_ref().unwrap().path().join("setpoint")
    };
    let name = format!("sptest-e2e-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let host = Host { dir: tempfile::tempdir().unwrap(), name, engine, program };
    std::fs::create_dir(host.repo()).unwrap();
    host.git(&["init", "--quiet", "--initial-branch", "main"]);
    host.settings("");
    Some(host)
}

fn shared() -> MutexGuard<'static, Shared> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

impl Drop for Host {
    fn drop(&mut self) {
        let list = |args: &[&str]| -> Vec<String> {
            let output = client().args(args).output().unwrap();
            String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
        };
        let remove = |args: &[&str], names: Vec<String>| {
            if !names.is_empty() {
                let _ = client().args(args).args(names).output();
            }
        };
        let labels = "{{.Names}} {{.Label \"dev.setpoint.owner\"}}";
        let ours = |line: &String| {
            let (name, owner) = line.split_once(' ').unwrap_or((line, ""));
            (self.owns(name) || owner.ends_with(&format!("/{}", self.name))).then(|| name.to_owned())
        };
        let containers = list(&["ps", "--all", "--format", labels]);
        remove(&["rm", "--force", "--volumes"], containers.iter().filter_map(ours).collect());
        let named = |names: Vec<String>| names.into_iter().filter(|name| self.owns(name)).collect();
        remove(&["network", "rm"], named(list(&["network", "ls", "--format", "{{.Name}}"])));
        remove(&["volume", "rm", "--force"], named(list(&["volume", "ls", "--format", "{{.Name}}"])));
        // What was pulled and lost its tag to another has only its id.
        let images = list(&["image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]);
        // Number 1 is not to remove the images of number 13.
        let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_digit());
        let ours = |image: &str| image.match_indices(&self.name).any(|(at, name)| ends(&image[at + name.len()..]));
        let images = images.iter().filter_map(|line| line.split_once(' ')).filter(|(name, _)| ours(name));
        let images = images.map(|(name, id)| if name.ends_with(":<none>") { id } else { name }.to_owned()).collect();
        remove(&["image", "rm", "--force"], images);
        let mut shared = shared();
        shared.users -= 1;
        if shared.users == 0 {
            shared.folder = None;
            remove(&["image", "rm", "--force"], vec![image()]);
        }
    }
}

impl Host {
    /// Whether an object of the engine is this test's, by its name.
    fn owns(&self, name: &str) -> bool {
        name.strip_prefix(&self.name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    }

    pub fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Name of an object of this test on the engine.
    pub fn named(&self, rest: &str) -> String {
        format!("{}-{rest}", self.name)
    }

    /// Name of a container of the usual deployment.
    pub fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.name)
    }

    // ── the repo ──

    pub fn git(&self, args: &[&str]) -> String {
        git(&self.repo(), args)
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.repo().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Commits all that lies in the folder; the commit.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// `setpoint.kdl`: quick waits, and `more` within `apply`.
    pub fn settings(&self, more: &str) {
        let has = |key: &str| more.contains(key);
        let line = |key: &str, value: &str| if has(key) { String::new() } else { format!("    {key} {value}\n") };
        let text = format!(
            "environment \"{}\"\napply {{\n{}{}{}{}    {more}\n}}\n",
            self.name,
            line("strategy", "\"parallel\" max-parallel=4"),
            line("startup-timeout", "\"20s\""),
            line("stability-window", "\"200ms\""),
            line("prune", "#true budget=\"100%\""),
        );
        self.write("setpoint.kdl", text);
    }

    /// The usual deployment; each service is its id and further lines, which may be several.
    pub fn deploy(&self, services: &[(&str, &str)]) {
        self.write("deployments/main.yaml", self.deployment(&self.name, "", services));
    }

    /// Commits the usual deployment; the commit.
    pub fn want(&self, services: &[(&str, &str)]) -> String {
        self.deploy(services);
        self.commit("change")
    }

    /// The text of a deployment. Services get an image, a command that sleeps, no network, and stop at once, unless
    /// their lines say otherwise.
    pub fn deployment(&self, name: &str, head: &str, services: &[(&str, &str)]) -> String {
        let mut text = format!("deployment:\n  name: {name}\n");
        for line in head.lines() {
            text += &format!("  {line}\n");
        }
        text += "  services:\n";
        for (id, lines) in services {
            text += &format!("    - id: {id}\n");
            let has = |key: &str| lines.lines().any(|line| line.starts_with(&format!("{key}:")));
            let mut default = |keys: &[&str], value: &str| {
                if !keys.iter().any(|key| has(key)) {
                    text += &format!("      {}: {value}\n", keys[0]);
                }
            };
            default(&["image", "build"], &image());
            default(&["command", "entrypoint"], "[sleep, '600']");
            default(&["stop_signal", "stop_grace_period"], "SIGKILL");
            default(&["network_mode", "networks", "ports"], "none");
            for line in lines.lines() {
                text += &format!("      {line}\n");
            }
        }
        text
    }

    // ── the program ──

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for name in ["REPO", "STATE_DIR", "SOCKET", "ENGINE", "LOG"] {
            command.env_remove(format!("SETPOINT_{name}"));
        }
        command.env("DOCKER_HOST", self.engine.calm());
        command.current_dir(self.repo()).arg("--state-dir").arg(self.state()).args(args).stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Run {
        Self::ended(self.command(args))
    }

    fn ended(mut command: Command) -> Run {
        let output = command.output().unwrap();
        Run {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// A run that must end well; its output.
    pub fn ok(&self, args: &[&str]) -> String {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{args:?}\n{}{}", run.out, run.err);
        run.out
    }

    /// An apply in which nothing fails and something is held; its output.
    pub fn held(&self, args: &[&str]) -> String {
        let run = self.run(&[&["apply", "--yes"], args].concat());
        assert_eq!(run.code, Some(3), "{args:?}\n{}{}", run.out, run.err);
        run.out
    }

    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    pub fn plan(&self) -> Value {
        self.json(&["plan"])
    }

    /// `verb subject` of every step of the plan, without the name of this test.
    pub fn steps(&self) -> Vec<String> {
        let plan = self.plan();
        let text = |step: &Value| format!("{} {}", text(&step["action"]), self.short(text(&step["subject"])));
        plan["steps"].as_array().unwrap().iter().map(text).collect()
    }

    /// `subject field origin: old → new` of every changed field of the plan, without the name of this test.
    pub fn changes(&self) -> Vec<String> {
        let plan = self.plan();
        let mut all = Vec::new();
        for detail in plan["details"].as_array().unwrap() {
            for change in detail["changes"].as_array().unwrap() {
                let (field, origin) = (text(&change["field"]), text(&change["origin"]));
                let values = format!("{} → {}", text(&change["old"]), text(&change["new"]));
                all.push(format!("{} {field} {origin}: {values}", self.short(text(&detail["subject"]))));
            }
        }
        all
    }

    fn short(&self, subject: &str) -> String {
        subject.replace(&format!("{}/", self.name), "").replace(&format!("{}-", self.name), "")
    }

    /// Applies, which must end well, and then nothing may be left to do.
    pub fn apply(&self) -> String {
        self.apply_with(&[])
    }

    /// Where the engine fails calls, the apply may fail with them, and the next one has to go on from there.
    pub fn apply_with(&self, args: &[&str]) -> String {
        let args = [&["apply", "--yes"], args].concat();
        let mut earlier = String::new();
        // A reviewed plan is not the plan any more once a part of it is done.
        let tries = if args.contains(&"--plan-id") { 0 } else { self.engine.failures() };
        for _ in 0..tries {
            let mut command = self.command(&args);
            command.env("DOCKER_HOST", self.engine.troubled());
            let run = Self::ended(command);
            if run.code == Some(0) {
                self.settled();
                return run.out;
            }
            // Held is what an incomplete observation leaves open.
            assert!(matches!(run.code, Some(1 | 3)), "{args:?}\n{}{}\nearlier:\n{earlier}", run.out, run.err);
            earlier += &format!("{}{}\n", run.out, run.err);
        }
        let out = self.ok(&args);
        self.settled();
        out
    }

    /// Applies, which must end with a failure; what it said.
    pub fn fails(&self) -> String {
        let run = self.run(&["apply", "--yes"]);
        assert_eq!(run.code, Some(1), "{}{}", run.out, run.err);
        format!("{}{}", run.out, run.err)
    }

    /// The plan is empty and nothing is held.
    pub fn settled(&self) {
        let run = self.run(&["plan", "--detailed-exitcode"]);
        assert!(run.out.contains("no changes"), "the plan after an apply is not empty\n{}{}", run.out, run.err);
        assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    }

    // ── the engine ──

    /// Names of all containers of this test, without its prefix, sorted.
    pub fn containers(&self) -> Vec<String> {
        let all = docker(&["ps", "--all", "--format", "{{.Names}}"]);
        let mut names: Vec<String> = all.lines().filter(|name| self.owns(name)).map(|name| self.short(name)).collect();
        names.sort();
        names
    }

    /// What the engine says about a container of the usual deployment.
    pub fn inspect(&self, service: &str) -> Value {
        inspect(&self.container(service))
    }

    pub fn id(&self, service: &str) -> String {
        text(&self.inspect(service)["Id"]).to_owned()
    }

    // ── the daemon ──

    /// Starts a daemon that follows the repo.
    pub fn daemon(&self) -> Daemon {
        self.daemon_of(&self.repo(), "")
    }

    /// Starts a daemon with further settings.
    pub fn daemon_of(&self, repo: &Path, more: &str) -> Daemon {
        let resync = if more.contains("resync") { "" } else { "resync \"10s\"\n" };
        let text = format!("repo \"{}\" branch=\"main\" {{\n    poll \"1s\"\n}}\n{resync}{more}\n", repo.display());
        let config = self.dir.path().join("daemon.kdl");
        std::fs::write(&config, text).unwrap();
        let log = self.dir.path().join("daemon.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut command = self.command(&["daemon", "--config"]);
        command.env("DOCKER_HOST", self.engine.troubled());
        command.arg(config).stdout(Stdio::null()).stderr(file);
        Daemon { child: command.spawn().unwrap(), log }
    }

    pub fn status(&self) -> Value {
        self.json(&["status"])
    }

    /// Waits until the daemon says that this commit is applied and nothing is left to do.
    pub fn converged(&self, commit: &str, daemon: &Daemon) {
        self.until(daemon, &format!("{commit} is applied"), || {
            let status = self.status();
            status["revision"]["applied"]["commit"] == commit && text(&status["verdict"]).contains("no changes")
        });
    }

    /// Waits for something that a daemon is to bring about.
    pub fn until(&self, daemon: &Daemon, what: &str, done: impl FnMut() -> bool) {
        if !within(Duration::from_secs(60), done) {
            let status = self.run(&["status"]);
            panic!("never: {what}\n{}{}\n{}", status.out, status.err, daemon.log());
        }
    }

    /// Kinds of all recorded facts, oldest first.
    pub fn events(&self) -> Vec<Value> {
        let out = self.ok(&["events", "--limit", "1000", "--json"]);
        let all: Vec<Value> = serde_json::Deserializer::from_str(&out).into_iter().map(Result::unwrap).collect();
        all.into_iter().flat_map(|one| one["events"].as_array().cloned().unwrap_or_else(|| vec![one])).collect()
    }
}
