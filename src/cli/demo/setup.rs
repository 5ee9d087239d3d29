//! Where the demo takes place: a folder with a repo and the state of a daemon, and an engine.

use super::busybox::busybox;
use super::example::{EXAMPLE, author, write_example, write_executable};
use crate::cli::exit::Failure;
use crate::cli::session::Session;
use crate::engine::Engine;
use crate::source::{commit_all, init_repository};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Environment of the example.
pub(super) const ENVIRONMENT: &str = "demo";
/// How long a commit may take until the host is as it asks.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);

/// What the demo works with.
pub(super) struct Demo<'a> {
    pub(super) session: &'a Session,
    pub(super) engine: Engine,
    pub(super) program: PathBuf,
    pub(super) folder: TempDir,
    pub(super) repo: PathBuf,
    pub(super) state: PathBuf,
    pub(super) daemon: Option<Child>,
}

impl<'a> Demo<'a> {
    pub(super) fn new(session: &'a Session, engine: Engine) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("setpoint-demo-").tempdir()?;
        let (repo, state) = (folder.path().join("infra-repo"), folder.path().join("state"));
        Ok(Self { session, engine, program: std::env::current_exe()?, folder, repo, state, daemon: None })
    }

    /// Writes the example into a repo of its own, with the busybox and the program that its images are made of.
    pub(super) async fn prepare(&self) -> Result<(), Failure> {
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

    pub(super) fn chapter(&self, title: &str) -> Result<(), Failure> {
        const TITLE: anstyle::Style = anstyle::AnsiColor::Cyan.on_default().bold();
        self.session.printer.line(&format!("\n{TITLE}━━ {title}{TITLE:#}"))
    }

    pub(super) fn commit(&self, message: &str) -> Result<(), Failure> {
        let id = commit_all(&self.repo, message, author())?;
        self.session.printer.line(&format!("$ git commit -m \"{message}\"   # {}", id.get(..7).unwrap_or(&id)))
    }

    /// Runs one of the program's own commands for everybody to see.
    pub(super) fn say(&self, arguments: &[&str]) -> Result<(), Failure> {
        self.session.printer.line(&format!("$ setpoint {}", arguments.join(" ")))?;
        let status = self.command(arguments).status()?;
        if status.success() { Ok(()) } else { Err(Failure::new(format!("`setpoint {}` failed", arguments.join(" ")))) }
    }

    /// Ends the demo when the plan holds something: a container, network or volume that is not the demo's has its name or port.
    /// The plan of the bare files says so at once; to make the images takes longer.
    pub(super) fn nothing_in_the_way(&self) -> Result<(), Failure> {
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

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--state-dir").arg(&self.state).current_dir(&self.repo);
        if let Some(endpoint) = &self.session.global.engine {
            command.args(["--engine", endpoint]);
        }
        command
    }
}
