//! Fetching from a server: login, host keys, deadlines.

use super::address::Place;
use super::config::{trust, trust_system};
use super::known_hosts::{self, HostKeyStatus};
use super::progress::Progress;
use super::{Credentials, SourceConfig, SourceError, host_keys};
use crate::process::clock;
use git2::cert::Cert;
use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, Direction, Error, ErrorClass, ErrorCode, FetchOptions,
    ProxyOptions, RemoteCallbacks, RemoteConnection, RemoteUpdateFlags, Repository,
};
use secrecy::{ExposeSecret, SecretString};
use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const REFSPECS: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

/// A repository behind http(s) or ssh.
pub(super) struct Remote {
    pub(super) place: Place,
    pub(super) shown: String,
    pub(super) credentials: Credentials,
    pub(super) unshown: Option<String>,
    pub(super) timeout: Duration,
    /// Set when the result is no longer needed.
    pub(super) stop: Arc<AtomicBool>,
    pub(super) progress: Progress,
}

/// One fetch: its secrets, and the error of a callback, which libgit2 would replace by its own.
pub(super) struct Attempt<'a> {
    pub(super) remote: &'a Remote,
    pub(super) start: Instant,
    pub(super) token: Option<SecretString>,
    reason: RefCell<Option<SourceError>>,
    logins: Cell<u32>,
    /// The server has answered; from then on an error of the system may be one of our own disk.
    pub(super) connected: Cell<bool>,
    /// Whether a host key was presented.
    presented: Cell<bool>,
}

impl Remote {
    /// Checks what can be checked without the network. `folder` is the cache folder.
    pub(super) fn new(
        config: &SourceConfig,
        folder: &Path,
        stop: Arc<AtomicBool>,
        progress: Progress,
    ) -> Result<Self, SourceError> {
        let mut credentials = config.credentials.clone();
        let user = config.address.inline.user.as_ref().map(|user| user.expose_secret().to_owned());
        match &config.address.place {
            Place::Http { encrypted, .. } => {
                trust_system();
                readable("the token file", credentials.token_file.as_deref())?;
                if (credentials.token.is_some() || credentials.token_file.is_some()) && !encrypted {
                    tracing::warn!(address = %config.address, "the token is sent unencrypted; use https");
                }
                if let Some(file) = &credentials.ca_file {
                    readable("the CA file", Some(file))?;
                    trust(file).map_err(|error| SourceError::CredentialFile {
                        what: "the CA file",
                        path: file.clone(),
                        source: io::Error::other(error.message().to_owned()),
                    })?;
                }
                credentials.username = credentials.username.or_else(|| user.clone());
            }
            Place::Ssh { .. } => {
                readable("the ssh key", credentials.ssh_key.as_deref())?;
                // One that is not there lists no host; the first connection says what to do.
                if credentials.known_hosts.as_ref().is_some_and(|file| file.exists()) {
                    readable("the known_hosts file", credentials.known_hosts.as_deref())?;
                }
                host_keys::prepare(folder);
            }
            Place::Local(_) => {}
        }
        let encrypted = matches!(config.address.place, Place::Http { .. });
        Ok(Self {
            place: config.address.place.clone(),
            shown: config.address.to_string(),
            // What stands before the @ may be a token by mistake.
            unshown: user.filter(|user| encrypted && user.len() > 8),
            credentials,
            timeout: config.fetch_timeout,
            stop,
            progress,
        })
    }

    /// Brings the bare repository to the state of the server: all branches and tags, removed ones pruned, and HEAD.
    pub(super) fn fetch(&self, repo: &Repository) -> Result<(), SourceError> {
        self.attempt(|attempt, kinds| attempt.run(repo, kinds))?;
        let no_branch = repo.references().is_ok_and(|mut all| all.next().is_none());
        if no_branch { Err(SourceError::Empty { place: self.shown.clone() }) } else { Ok(()) }
    }

    /// What the server has, without taking any of it: names and ids.
    pub(super) fn ask(&self) -> Result<Vec<(String, String)>, SourceError> {
        self.attempt(|attempt, kinds| {
            let mut remote = git2::Remote::create_detached(self.url())?;
            let connection = attempt.connect(&mut remote, kinds)?;
            Ok(connection.list()?.iter().map(|head| (head.name().to_owned(), head.oid().to_string())).collect())
        })
    }

    /// One try, with the login as it is now.
    fn attempt<T>(&self, work: impl Fn(&Attempt<'_>, &[String]) -> Result<T, Error>) -> Result<T, SourceError> {
        let attempt = Attempt {
            remote: self,
            start: clock::monotonic(),
            token: self.credentials.token_now()?,
            reason: RefCell::new(None),
            logins: Cell::new(0),
            connected: Cell::new(false),
            presented: Cell::new(false),
        };
        self.progress.mark();
        let kinds = self.known_kinds();
        let mut result = work(&attempt, &kinds);
        if result.is_err() && !kinds.is_empty() && !attempt.presented.get() && attempt.reason.borrow().is_none() {
            // It may offer none of these kinds: asked without a limit, it shows the key that it has.
            result = work(&attempt, &[]);
        }
        result.map_err(|error| attempt.reason.take().unwrap_or_else(|| attempt.classify(&error)))
    }

    pub(super) fn url(&self) -> &str {
        match &self.place {
            Place::Http { url, .. } | Place::Ssh { url, .. } => url,
            Place::Local(_) => "",
        }
    }

    /// The kinds of host key that are known for an ssh server.
    fn known_kinds(&self) -> Vec<String> {
        let (Place::Ssh { host, port, .. }, Some(file)) = (&self.place, &self.credentials.known_hosts) else {
            return Vec::new();
        };
        std::fs::read_to_string(file).map(|listed| known_hosts::kinds(&listed, host, *port)).unwrap_or_default()
    }
}

impl Attempt<'_> {
    /// Connects, asking an ssh server for a host key of these kinds only (none is any).
    fn connect<'repo, 'c>(
        &'c self,
        remote: &'c mut git2::Remote<'repo>,
        kinds: &[String],
    ) -> Result<RemoteConnection<'repo, 'c, 'c>, Error> {
        let _asking = match &self.remote.place {
            Place::Ssh { host, port, .. } => Some(host_keys::ask_for(kinds, host, *port)),
            _ => None,
        };
        let connection = remote.connect_auth(Direction::Fetch, Some(self.callbacks()), Some(proxy()))?;
        self.connected.set(true);
        Ok(connection)
    }

    fn run(&self, repo: &Repository, kinds: &[String]) -> Result<(), Error> {
        let mut remote = repo.remote_anonymous(self.remote.url())?;
        let mut connection = self.connect(&mut remote, kinds)?;
        let head = connection.list()?.iter().find(|head| head.name() == "HEAD").map(|head| {
            let target = head.symref_target().map(str::to_owned);
            (target, head.oid())
        });
        let empty = connection.list()?.is_empty();
        let mut options = FetchOptions::new();
        options.remote_callbacks(self.callbacks()).proxy_options(proxy()).download_tags(AutotagOption::None);
        let remote = connection.remote();
        if !empty {
            remote.download(&REFSPECS, Some(&mut options))?;
        }
        // Pruned first: a branch `a` that is gone would be in the way of a new branch `a/b`.
        if empty {
            let names: Vec<String> =
                repo.references()?.names().filter_map(|name| name.ok().map(str::to_owned)).collect();
            for name in names {
                repo.find_reference(&name)?.delete()?;
            }
            return Ok(());
        }
        remote.prune(None)?;
        remote.update_tips(None, RemoteUpdateFlags::empty(), AutotagOption::None, Some("fetch"))?;
        match head {
            Some((Some(branch), _)) => repo.set_head(&branch)?,
            // A detached HEAD may be at a commit that no branch leads to; then it did not come along.
            Some((None, id)) if repo.find_commit(id).is_ok() => {
                let branch = remote.default_branch().ok().and_then(|name| name.as_str().ok().map(str::to_owned));
                match branch {
                    Some(branch) => repo.set_head(&branch)?,
                    None => repo.set_head_detached(id)?,
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn callbacks(&self) -> RemoteCallbacks<'_> {
        let mut callbacks = RemoteCallbacks::new();
        callbacks
            .credentials(|_, user, allowed| self.log_in(user, allowed))
            .certificate_check(|certificate, _| self.check(certificate))
            .transfer_progress(|now| {
                let items = now.indexed_objects() + now.indexed_deltas() + now.local_objects();
                self.remote.progress.arrived(now.received_bytes(), items);
                self.goes_on()
            })
            .sideband_progress(|_| {
                self.remote.progress.mark();
                self.goes_on()
            });
        callbacks
    }

    fn goes_on(&self) -> bool {
        !self.remote.stop.load(Ordering::Relaxed) && self.remote.progress.idle() < self.remote.timeout
    }

    /// libgit2 asks again until it is let in: each way is tried once.
    fn log_in(&self, user: Option<&str>, allowed: CredentialType) -> Result<Cred, Error> {
        let credentials = &self.remote.credentials;
        let step = self.logins.get();
        self.logins.set(step + 1);
        if let Place::Http { .. } = self.remote.place {
            return match &self.token {
                Some(token) if step == 0 && allowed.contains(CredentialType::USER_PASS_PLAINTEXT) => {
                    Cred::userpass_plaintext(credentials.username.as_deref().unwrap_or("git"), token.expose_secret())
                }
                _ => Err(self.refused()),
            };
        }
        let user = user.unwrap_or("git");
        let mut ways: Vec<Box<dyn Fn() -> Result<Cred, Error>>> = Vec::new();
        if allowed.contains(CredentialType::SSH_KEY) {
            if let Some(key) = &credentials.ssh_key {
                let passphrase = credentials.ssh_passphrase.as_ref().map(ExposeSecret::expose_secret);
                ways.push(Box::new(move || Cred::ssh_key(user, None, key, passphrase)));
            }
            if credentials.use_agent {
                ways.push(Box::new(move || Cred::ssh_key_from_agent(user)));
            }
        }
        ways.get(usize::try_from(step).unwrap_or(usize::MAX)).map_or_else(|| Err(self.refused()), |way| way())
    }

    fn refused(&self) -> Error {
        let (place, problem) = (self.remote.shown.clone(), self.login_problem());
        self.fail(SourceError::Authentication { place, problem })
    }

    fn check(&self, certificate: &Cert<'_>) -> Result<CertificateCheckStatus, Error> {
        let (Some(presented), Place::Ssh { host, port, .. }) = (certificate.as_hostkey(), &self.remote.place) else {
            return Ok(CertificateCheckStatus::CertificatePassthrough);
        };
        let Some(key) = presented.hostkey() else {
            return Err(Error::from_str("the ssh server presented no host key"));
        };
        self.presented.set(true);
        let file = self.remote.credentials.known_hosts.as_deref();
        let mut absent = false;
        let listed = match file.map(std::fs::read_to_string) {
            None => String::new(),
            Some(Ok(listed)) => listed,
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                absent = true;
                String::new()
            }
            Some(Err(source)) => {
                let path = file.map(Path::to_owned).unwrap_or_default();
                return Err(self.fail(SourceError::CredentialFile { what: "the known_hosts file", path, source }));
            }
        };
        let algorithm = known_hosts::algorithm(key).unwrap_or("a key of unknown kind").to_owned();
        let fingerprint = known_hosts::fingerprint(key);
        let known_hosts =
            file.map_or_else(|| "known_hosts, and configure that file".to_owned(), |file| file.display().to_string());
        let shown = known_hosts::entry_name(host, *port);
        match known_hosts::look_up(&listed, host, *port, key) {
            HostKeyStatus::Known => Ok(CertificateCheckStatus::CertificateOk),
            HostKeyStatus::Unknown => {
                let listed = known_hosts::kinds(&listed, host, *port);
                let host = shown;
                Err(self.fail(SourceError::HostKeyUnknown {
                    host,
                    algorithm,
                    fingerprint,
                    known_hosts,
                    listed,
                    absent,
                }))
            }
            HostKeyStatus::Changed(line) => {
                Err(self.fail(SourceError::HostKeyChanged { host: shown, algorithm, fingerprint, known_hosts, line }))
            }
            HostKeyStatus::Revoked(line) => {
                Err(self.fail(SourceError::HostKeyRevoked { host: shown, fingerprint, known_hosts, line }))
            }
        }
    }

    fn fail(&self, reason: SourceError) -> Error {
        let error = Error::new(ErrorCode::User, ErrorClass::Callback, "refused");
        self.reason.borrow_mut().get_or_insert(reason);
        error
    }
}

/// The proxy of the environment or of git's configuration.
fn proxy<'a>() -> ProxyOptions<'a> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

fn readable(what: &'static str, path: Option<&Path>) -> Result<(), SourceError> {
    let Some(path) = path else { return Ok(()) };
    std::fs::File::open(path)
        .and_then(|file| file.metadata())
        .and_then(|metadata| if metadata.is_file() { Ok(()) } else { Err(io::Error::other("not a file")) })
        .map_err(|source| SourceError::CredentialFile { what, path: path.to_owned(), source })
}
