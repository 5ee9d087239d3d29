//! What commands have in common: the files of the repo, the store, the engine, a look at it, and the plan.

use super::args::{EnvironmentArgs, Global, LoginArgs, RepoArgs};
use super::exit::Failure;
use super::printer::Printer;
use crate::apply::probes::{ask, check_now};
use crate::apply::{HostState, check, compile, observe};
use crate::engine::{Credentials, Engine};
use crate::model::{CommitId, DeploymentName, Desired, FileTree, Observed, OwnerId, Revision, Settings};
use crate::plan::{Allow, Plan, plan};
use crate::process::{clock, config};
use crate::source::{
    Address, Blobs, Credentials as GitCredentials, Source, SourceConfig, is_bare, read_folder, read_index,
};
use crate::store::{Ledger, RepoIdentity, Store};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One run of the program.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) global: Global,
    pub(super) printer: Printer,
}

/// The files of one revision, or of a folder.
pub(super) struct Files {
    pub(super) revision: Revision,
    pub(super) tree: FileTree,
    /// Where build contexts are streamed from.
    pub(super) blobs: Blobs,
    /// Which repo it is, wherever it was cloned to.
    pub(super) repo: RepoIdentity,
}

/// Which state of the files is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// A commit.
    Commit,
    /// What lies in the folder, committed or not.
    Worktree,
    /// What `git commit` would commit.
    Staged,
}

/// An observed host, with what the store remembers about it.
pub(super) struct Host {
    pub(super) engine: Engine,
    pub(super) ledger: Ledger,
    pub(super) state: HostState,
    /// Deployments that `setpoint cleanup` removed and a daemon leaves alone. They are not in its `memory.suspended`: whoever plans or
    /// applies by hand wants them back.
    pub(super) removed: BTreeSet<DeploymentName>,
}

impl Session {
    pub(super) fn state_dir(&self) -> PathBuf {
        self.global.state_dir.clone().unwrap_or_else(config::state_dir)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.global.socket.clone().unwrap_or_else(|| config::socket_path(&self.state_dir()))
    }

    pub(super) fn store(&self) -> Result<Store, Failure> {
        Store::open(&self.state_dir())
            .map_err(|error| Failure::from(error).hint("`--state-dir DIR` or SETPOINT_STATE_DIR names another folder"))
    }

    /// The part of the store that the arguments name, or the only one there is.
    pub(super) fn ledger(&self, args: &EnvironmentArgs) -> Result<Ledger, Failure> {
        ledger_of(&self.store()?, args.environment.as_deref())
    }

    pub(super) async fn engine(&self) -> Result<Engine, Failure> {
        let engine = Engine::connect(self.global.engine.as_deref()).await;
        let engine = engine.map_err(|error| Failure::from(error).hint("`setpoint doctor` says what is missing"))?;
        Ok(engine.with_credentials(Credentials::new(|name| config::env(name).map(Into::into))))
    }

    /// Opens the repo that the arguments name, or the one around the current folder.
    pub(super) fn source(&self, args: &RepoArgs) -> Result<Source, Failure> {
        let mut config = match &args.repo {
            Some(address) => SourceConfig::new(address)?,
            None => SourceConfig { address: Address::from_path(current_dir()?), ..SourceConfig::new(".")? },
        };
        config.reference.clone_from(&args.rev);
        config.path.clone_from(&args.path);
        config.cache_dir = self.state_dir().join("repos");
        config.credentials = credentials(&args.login);
        Ok(Source::open(config)?)
    }

    /// Reads the files that the arguments name.
    pub(super) async fn files(&self, args: &RepoArgs, which: Which) -> Result<Files, Failure> {
        match which {
            Which::Commit => {
                let source = self.source(args)?;
                let head = source.fetch().await?;
                let rev = args.rev.clone().unwrap_or_else(|| head.commit.to_string());
                let (revision, tree) = source.read(&rev).await?;
                let identity = source.identity(revision.commit.as_str()).await?;
                let repo = RepoIdentity { identity, address: source.place(), origin: source.origin() };
                Ok(Files { revision, tree, blobs: source.blobs(), repo })
            }
            Which::Worktree => {
                let folder = self.folder(args)?;
                if is_bare(&folder) {
                    return Err(Failure::Usage(format!(
                        "{} is a bare repo, which has no work tree; name a commit of it with --rev",
                        folder.display()
                    )));
                }
                let folder = folder.join(&args.path);
                if folder.canonicalize().is_ok_and(|folder| folder.parent().is_none()) {
                    return Err(Failure::Usage(
                        "this would read the whole file system; stand in your config repo, or name it with --repo"
                            .into(),
                    ));
                }
                let (tree, blobs) = read_folder(&folder)?;
                Ok(uncommitted("worktree", &folder, tree, blobs))
            }
            Which::Staged => {
                let folder = self.folder(args)?;
                let index = config::env("GIT_INDEX_FILE").map(PathBuf::from);
                let (tree, blobs) = read_index(&folder, index.as_deref(), &args.path)?;
                Ok(uncommitted("staged", &folder, tree, blobs))
            }
        }
    }

    /// The local folder that the arguments name; what is not committed lies nowhere else.
    pub(super) fn folder(&self, args: &RepoArgs) -> Result<PathBuf, Failure> {
        match &args.repo {
            None => Ok(current_dir()?),
            Some(repo) => match repo.parse::<Address>()?.local() {
                Some(path) => Ok(path.to_owned()),
                None => Err(Failure::Usage(format!("`{repo}` is not on this machine; name a commit of it with --rev"))),
            },
        }
    }

    /// Compiles files, printing remarks.
    pub(super) fn compile(&self, files: &Files) -> Result<Desired, Failure> {
        let desired = compile(&files.tree)?;
        if !self.printer.json {
            self.printer.notices(&desired.notices);
        }
        Ok(desired)
    }

    /// Observes what `desired` names on the engine, and makes Setpoint's own health checks. Returns what is wanted on that host.
    pub(super) async fn observe(&self, desired: &Arc<Desired>) -> Result<(Arc<Desired>, Host), Failure> {
        let engine = self.engine().await?;
        let ledger = self.store()?.ledger(&desired.settings.environment);
        let observed = engine.observe(&observe::scope(desired, &ledger.owner())).await?;
        let (desired, mut state) = HostState::new(desired, observed, &ledger)?;
        let checked = check_now(&ask(engine.clone()), state.targets.clone()).await;
        state.overlay_health(&checked);
        let removed = removed(&state.memory.suspended, &state.observed, &ledger.owner());
        state.memory.suspended.retain(|deployment| !removed.contains(deployment));
        Ok((desired, Host { engine, ledger, state, removed }))
    }

    /// Plans, and has the plan checked.
    pub(super) fn plan(
        &self,
        desired: &Desired,
        revision: &Revision,
        host: &Host,
        allow: &[Allow],
    ) -> Result<Plan, Failure> {
        let owner = host.ledger.owner();
        let input = host.state.input(desired, revision, &owner, allow);
        let plan = plan(&input);
        check(&plan, &input)?;
        Ok(plan)
    }
}

/// The part of a store that is an environment's, or the only one there is.
pub(super) fn ledger_of(store: &Store, environment: Option<&str>) -> Result<Ledger, Failure> {
    if let Some(name) = environment {
        return Ok(store.ledger(name));
    }
    match store.environments()?.as_slice() {
        [] => Ok(store.ledger(&Settings::default().environment)),
        [only] => Ok(store.ledger(only)),
        several => Err(Failure::Usage(format!(
            "this host has several environments; name one with --environment: {}",
            several.join(", ")
        ))),
    }
}

/// The suspended deployments of which nothing is left on the host.
fn removed(suspended: &BTreeSet<DeploymentName>, observed: &Observed, owner: &OwnerId) -> BTreeSet<DeploymentName> {
    let ours = observed.containers.iter().filter(|one| one.owner.as_ref() == Some(owner));
    let there: BTreeSet<_> = ours.filter_map(|one| Some(&one.instance.as_ref()?.service.deployment)).collect();
    suspended.iter().filter(|deployment| !there.contains(deployment)).cloned().collect()
}

fn uncommitted(name: &str, folder: &Path, tree: FileTree, blobs: Blobs) -> Files {
    let revision = Revision {
        commit: CommitId::new(name),
        reference: name.to_owned(),
        summary: "not committed".to_owned(),
        author: String::new(),
        time: clock::now(),
    };
    let address = folder.display().to_string();
    Files { revision, tree, blobs, repo: RepoIdentity { identity: address.clone(), origin: address.clone(), address } }
}

fn current_dir() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| {
        Failure::new(format!("the current folder cannot be read: {error}")).hint("name the repo with --repo")
    })
}

/// Reads the secrets that the arguments name from where the user keeps them.
pub(super) fn credentials(args: &LoginArgs) -> GitCredentials {
    let home = config::env("HOME").map(PathBuf::from);
    GitCredentials {
        token: config::env(&args.token_env).map(Into::into),
        token_file: None,
        username: args.git_user.clone(),
        ssh_key: args.ssh_key.clone(),
        ssh_passphrase: config::env(&args.ssh_passphrase_env).map(Into::into),
        use_agent: args.ssh_key.is_none(),
        known_hosts: args.known_hosts.clone().or_else(|| home.map(|home| home.join(".ssh/known_hosts"))),
        ca_file: args.ca_file.clone(),
    }
}
