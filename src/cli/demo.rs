//! `setpoint demo`: the whole product on one screen, with the program's own commands, in a folder that is gone afterwards.

use super::exit::{Exit, Failure};
use super::session::Session;
use crate::api::Client;
use crate::daemon::status::InstanceStatus;
use crate::engine::{Engine, Scope};
use crate::event::Fact;
use crate::model::{Container, Health, OwnerId, Status};
use crate::process::error::chain;
use crate::process::shutdown::Signals;
use crate::process::{clock, config};
use crate::source::{Author, commit_all, init_repository};
use crate::store::{EventFilter, RunFilter, RunState, Store};
use clap::Args;
use include_dir::{Dir, include_dir};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The config repo that the demo commits.
static EXAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/examples/infra-repo");
/// Environment of the example.
const ENVIRONMENT: &str = "demo";
/// Where a static busybox comes from when this machine has none.
const BUSYBOX_IMAGE: &str = "busybox:stable-musl";
/// How long a commit may take until the host is as it asks.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often the demo looks while it waits.
const LOOK: Duration = Duration::from_millis(50);

/// See it work: a repo, a plan, a commit that is carried out, a killed container that comes back
///
/// Needs a Docker Engine and nothing else. Everything it makes is removed at the end, also after Ctrl-C.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Leave repo, state and containers as they are at the end
    #[arg(long)]
    keep: bool,
}

pub(super) async fn run(session: &Session, args: &DemoArgs) -> Result<Exit, Failure> {
    let engine = session.engine().await.map_err(|failure| {
        failure.hint("the demo needs a running Docker Engine and the right to use it; nothing was changed")
    })?;
    let mut demo = Demo::new(session, engine)?;
    demo.nothing_in_the_way()?;
    demo.prepare().await?;
    let signals = Signals::catch()?;
    let stop = CancellationToken::new();
    // Dropping the story leaves things half done; `clean_up` removes them whatever their state.
    let story = tokio::select! {
        story = demo.story() => story,
        () = stop.cancelled() => Err(Failure::new("interrupted")),
        never = signals.drive(stop.clone()) => match never {},
    };
    if let Err(failure) = &story {
        session.printer.failure(failure);
        demo.show_daemon_log();
    }
    if args.keep {
        let folder = demo.folder.keep();
        session.printer.line(&format!("\nkept: {}", folder.display()))?;
        return Ok(if story.is_ok() { Exit::Ok } else { Exit::Failed });
    }
    demo.clean_up().await?;
    Ok(if story.is_ok() { Exit::Ok } else { Exit::Failed })
}

struct Demo<'a> {
    session: &'a Session,
    engine: Engine,
    program: PathBuf,
    folder: TempDir,
    repo: PathBuf,
    state: PathBuf,
    daemon: Option<Child>,
}

impl<'a> Demo<'a> {
    fn new(session: &'a Session, engine: Engine) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("setpoint-demo-").tempdir()?;
        let (repo, state) = (folder.path().join("infra-repo"), folder.path().join("state"));
        Ok(Self { session, engine, program: std::env::current_exe()?, folder, repo, state, daemon: None })
    }

    /// Writes the example into a repo of its own, with the busybox and the program that its images are made of.
    async fn prepare(&self) -> Result<(), Failure> {
        let busybox = busybox(&self.engine).await?;
        write_example(&EXAMPLE, &self.repo)?;
        let file = self.folder.path().join("busybox");
        write_executable(&file, &busybox)?;
        let prepared = Command::new(self.repo.join("prepare")).arg(&file).env("SETPOINT", &self.program).output()?;
        if !prepared.status.success() {
            let said = String::from_utf8_lossy(&prepared.stderr);
            return Err(Failure::new(format!("the images of the example cannot be prepared: {}", said.trim())));
        }
        Ok(init_repository(&self.repo, "main")?)
    }

    async fn story(&mut self) -> Result<(), Failure> {
        self.chapter("A config repo: what should run, in files")?;
        self.commit("First set point")?;
        self.say(&["validate"])?;
        self.chapter("The plan: what the commit would change here, before it happens")?;
        self.say(&["plan"])?;

        self.chapter("The daemon carries it out, waits for healthy, and keeps it so")?;
        self.start_daemon()?;
        let first = self.converged_after(0).await?;
        self.settled().await?;
        self.say(&["status"])?;

        self.chapter("The committed schedules have run, each once for this commit")?;
        self.ran().await?;
        self.say(&["runs"])?;

        self.chapter("A commit that changes one field")?;
        let file = self.repo.join("deployments/shop.yaml");
        let text = fs::read_to_string(&file)?;
        fs::write(&file, text.replacen("memory: 64", "memory: 96", 1))?;
        self.commit("More memory for the shop's database")?;
        self.say(&["diff", "HEAD~1"])?;
        self.converged_after(first).await?;

        self.chapter("Somebody kills a container behind its back")?;
        self.drift().await?;
        self.settled().await?;

        self.chapter("Why is it as it is?")?;
        self.say(&["why", "shop/db/1"])?;
        Ok(())
    }

    fn chapter(&self, title: &str) -> Result<(), Failure> {
        const TITLE: anstyle::Style = anstyle::AnsiColor::Cyan.on_default().bold();
        self.session.printer.line(&format!("\n{TITLE}━━ {title}{TITLE:#}"))
    }

    fn commit(&self, message: &str) -> Result<(), Failure> {
        let id = commit_all(&self.repo, message, author())?;
        self.session.printer.line(&format!("$ git commit -m \"{message}\"   # {}", id.get(..7).unwrap_or(&id)))
    }

    /// Runs one of the program's own commands for everybody to see.
    fn say(&self, arguments: &[&str]) -> Result<(), Failure> {
        self.session.printer.line(&format!("$ setpoint {}", arguments.join(" ")))?;
        let status = self.command(arguments).status()?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("`setpoint {}` failed", arguments.join(" ")))) }
    }

    /// Ends the demo when the plan holds something: a container, network or volume that is not the demo's has its name or port.
    /// The plan of the bare files says so at once; to make the images takes longer.
    fn nothing_in_the_way(&self) -> Result<(), Failure> {
        let bare = self.folder.path().join("bare");
        write_example(&EXAMPLE, &bare)?;
        init_repository(&bare, "main")?;
        commit_all(&bare, "Files", author())?;
        let output = self.command(&["plan", "--json"]).current_dir(&bare).stderr(Stdio::inherit()).output()?;
        let plan: serde_json::Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| Failure::new(format!("the plan cannot be read: {error}")))?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let held = plan["plan"]["held"].as_array().or_else(|| plan["held"].as_array()).into_iter().flatten();
        let held: Vec<String> =
            held.map(|held| format!("{}: {}", text(&held["subject"]), text(&held["why"]))).collect();
        if held.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("something on this host is in the way of the demo:\n  {}", held.join("\n  ")))
            .hint("the demo takes nothing from anybody; remove or rename what is in the way, and run it again"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--state-dir").arg(&self.state).current_dir(&self.repo);
        if let Some(endpoint) = &self.session.global.engine {
            command.args(["--engine", endpoint]);
        }
        command
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    fn start_daemon(&mut self) -> Result<(), Failure> {
        let config = self.folder.path().join("daemon.kdl");
        fs::write(
            &config,
            format!(
                "repo \"{}\" branch=\"main\"\nstate-dir \"{}\"\norchestrator \"unix:{}\"\n",
                self.repo.display(),
                self.state.display(),
                // The orchestrator of the example has the port that the daemon would have.
                self.folder.path().join("notices.sock").display()
            ),
        )?;
        self.session.printer.line("$ setpoint daemon --config daemon.kdl &")?;
        let log = fs::File::create(self.log_file())?;
        let mut command = self.command(&["daemon", "--config", &config.display().to_string()]);
        self.daemon = Some(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?);
        Ok(())
    }

    /// Waits until the daemon has looked again and found nothing to do.
    async fn settled(&self) -> Result<(), Failure> {
        let client = Client::new(&config::socket_path(&self.state));
        let begun = clock::monotonic();
        while begun.elapsed() < PATIENCE {
            let status = client.status().await.map_err(|error| Failure::new(chain(&error)))?;
            let healthy = |one: &InstanceStatus| matches!(one.health, Health::Healthy | Health::Unchecked);
            let quiet = status.applying.is_none() && status.sync == Some(crate::plan::Sync::InSync);
            if quiet && !status.instances.is_empty() && status.instances.iter().all(healthy) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failure::new(format!("the daemon found no rest within {} s", PATIENCE.as_secs())))
    }

    /// Waits until the runs that the first commit started have ended.
    async fn ran(&self) -> Result<(), Failure> {
        let ledger = Store::open(&self.state)?.ledger(ENVIRONMENT);
        let begun = clock::monotonic();
        while begun.elapsed() < PATIENCE {
            let runs = ledger.runs(&RunFilter::default())?;
            if !runs.is_empty() && runs.iter().all(|run| run.state != RunState::Running) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failure::new(format!("the schedules did not run within {} s", PATIENCE.as_secs())))
    }

    /// Follows the record until a plan was carried out. Returns the number of that event.
    async fn converged_after(&mut self, after: i64) -> Result<i64, Failure> {
        let store = Store::open(&self.state)?;
        let begun = clock::monotonic();
        let mut filter = EventFilter { after: Some(after), ..EventFilter::default() };
        while begun.elapsed() < PATIENCE {
            for recorded in store.events(&filter)? {
                filter.after = Some(recorded.id);
                let fact = &recorded.event.fact;
                if !matches!(fact, Fact::StepStarted { .. } | Fact::InstanceChanged { .. } | Fact::DaemonStarted { .. })
                {
                    self.session.printer.line(&format!("  {}", super::events::words(fact).0))?;
                }
                match fact {
                    Fact::ApplyFinished { failed: 0, skipped: 0, .. } => return Ok(recorded.id),
                    Fact::ApplyFinished { .. } | Fact::RevisionRejected { .. } | Fact::PlanRefused { .. } => {
                        return Err(Failure::new("the host could not be brought to what the commit asks for"));
                    }
                    _ => {}
                }
            }
            if let Some(daemon) = &mut self.daemon
                && let Some(status) = daemon.try_wait()?
            {
                return Err(Failure::new(format!("the daemon ended by itself ({status})")));
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Failure::new(format!("the host did not converge within {} s", PATIENCE.as_secs())))
    }

    fn owner(&self) -> Result<OwnerId, Failure> {
        Ok(Store::open(&self.state)?.owner(ENVIRONMENT))
    }

    async fn container(&self, instance: &str) -> Result<Option<Container>, Failure> {
        let owner = self.owner()?;
        let observed = self.engine.observe(&Scope { owner: owner.clone(), images: BTreeSet::new() }).await?;
        let is_it = |one: &Container| {
            one.owner.as_ref() == Some(&owner) && one.instance.as_ref().is_some_and(|id| id.to_string() == instance)
        };
        Ok(observed.containers.into_iter().find(is_it))
    }

    /// Kills a container and waits until it runs again.
    async fn drift(&mut self) -> Result<(), Failure> {
        let instance = "shop/db/1";
        let container = self.container(instance).await?;
        let container = container.ok_or_else(|| Failure::new(format!("{instance} is not there")))?;
        self.session.printer.line(&format!("$ docker kill {}", container.name))?;
        self.engine.kill(&container.id).await?;
        let killed = clock::monotonic();
        loop {
            let now = self.container(instance).await?;
            let again = now.filter(|now| now.status == Status::Running && now.started_at > container.started_at);
            if again.is_some() {
                let took = killed.elapsed();
                return self.session.printer.line(&format!("  {instance} runs again after {} ms", took.as_millis()));
            }
            if killed.elapsed() > PATIENCE {
                return Err(Failure::new(format!("{instance} did not come back")));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn show_daemon_log(&self) {
        if let Ok(log) = fs::read_to_string(self.log_file()) {
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
            self.session.printer.note(&format!("the daemon's last words:\n  {}", last.join("\n  ")));
        }
    }

    /// Ends the daemon and removes containers, networks, volumes and images of the demo.
    async fn clean_up(mut self) -> Result<(), Failure> {
        self.chapter("Cleaning up")?;
        if let Some(mut daemon) = self.daemon.take() {
            if let Some(pid) = i32::try_from(daemon.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::TERM);
            }
            daemon.wait()?;
        }
        let cleaned = self.command(&["cleanup", "--yes"]).stdout(Stdio::null()).status()?;
        // What carries the demo's label is the demo's, and nothing else is: a name says nothing.
        let left = self.engine.remove_all_of(&self.owner()?).await?;
        let left: Vec<String> = left.iter().map(|error| chain(error)).collect();
        for problem in &left {
            self.session.printer.note(&format!("left behind: {problem}"));
        }
        if cleaned.success() && left.is_empty() {
            self.session.printer.line("containers, networks, volumes, images and the repo are gone")?;
        }
        Ok(())
    }
}

fn write_example(folder: &Dir<'_>, to: &Path) -> Result<(), Failure> {
    for file in folder.files() {
        let path = to.join(file.path());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        // The executable bit is not embedded; what starts with `#!` had it.
        if file.contents().starts_with(b"#!") {
            write_executable(&path, file.contents())?;
        } else {
            fs::write(&path, file.contents())?;
        }
    }
    folder.dirs().try_for_each(|folder| write_example(folder, to))
}

fn write_executable(path: &Path, content: &[u8]) -> Result<(), Failure> {
    fs::write(path, content)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o755))?)
}

/// A static busybox: this machine's own, else out of an image that is here or can be pulled.
async fn busybox(engine: &Engine) -> Result<Vec<u8>, Failure> {
    for path in ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"] {
        if let Ok(content) = fs::read(path)
            && is_static(&content)
        {
            return Ok(content);
        }
    }
    let (news, mut lines) = mpsc::channel(16);
    let pull = async {
        let news = news;
        engine.pull(BUSYBOX_IMAGE, None, &[], &news).await
    };
    let drain = async { while lines.recv().await.is_some() {} };
    let (pulled, ()) = tokio::join!(pull, drain);
    let found = engine.file_of_image(BUSYBOX_IMAGE, "/bin/busybox").await;
    match (found, pulled) {
        (Ok(Some(content)), _) => Ok(content),
        (_, Err(error)) => Err(Failure::new(format!(
            "there is no static busybox on this machine, and its image cannot be pulled: {}",
            chain(&error)
        ))
        .hint("install one (Debian: `apt-get install busybox-static`); the demo's images are made of it")),
        (Err(error), Ok(())) => Err(error.into()),
        (Ok(None), Ok(())) => Err(Failure::new(format!("image {BUSYBOX_IMAGE} has no /bin/busybox"))),
    }
}

/// Whether an ELF program names no interpreter, so that it runs in an image with nothing else in it.
fn is_static(program: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let slice = program.get(at..at.checked_add(bytes)?)?;
        Some(slice.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    // 64-bit little-endian only: where the program headers begin, how large one is, how many there are.
    let headers = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    if !program.starts_with(b"\x7fELF\x02\x01") {
        return false;
    }
    let Some((begin, size, count)) = headers() else { return false };
    (0..count).all(|index| {
        let at = usize::try_from(begin + index * size).ok();
        at.and_then(|at| number(at, 4)).is_some_and(|kind| kind != u64::from(PT_INTERP))
    })
}

fn author() -> Author<'static> {
    Author { name: "Setpoint demo", address: "demo@localhost", at: clock::now() }
}
