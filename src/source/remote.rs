//! Fetching from a server: login, host keys, deadlines, and what went wrong in the user's words.

use super::address::Place;
use super::config::{trust, trust_system};
use super::error::scrub;
use super::known_hosts::{self, Verdict};
use super::{Credentials, GitFailure, SourceConfig, SourceError};
use git2::cert::Cert;
use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, Direction, Error, ErrorClass, ErrorCode, FetchOptions,
    ProxyOptions, RemoteCallbacks, RemoteUpdateFlags, Repository,
};
use secrecy::{ExposeSecret, SecretString};
use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const REFSPECS: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

/// A repository behind http(s) or ssh.
pub(super) struct Remote {
    place: Place,
    shown: String,
    credentials: Credentials,
    secrets: Vec<String>,
    timeout: Duration,
    /// Set when nobody wants the result any more.
    stop: Arc<AtomicBool>,
}

/// One fetch: its deadline, and the reason found in a callback, which libgit2 would blur.
struct Attempt<'a> {
    remote: &'a Remote,
    start: Instant,
    reason: RefCell<Option<SourceError>>,
    logins: Cell<u32>,
    /// The server has answered; from then on an error of the system may be one of our own disk.
    connected: Cell<bool>,
}

impl Remote {
    /// Checks what can be checked without the network.
    pub(super) fn new(config: &SourceConfig, stop: Arc<AtomicBool>) -> Result<Self, SourceError> {
        let mut credentials = config.credentials.clone();
        let inline = &config.address.inline;
        let exposed = |secret: &SecretString| secret.expose_secret().to_owned();
        match &config.address.place {
            Place::Http { encrypted, .. } => {
                trust_system();
                // `https://TOKEN@host` carries the token as the user name.
                if credentials.token.is_none() {
                    credentials.token = inline.password.clone().or_else(|| inline.user.clone());
                }
                if credentials.username.is_none() {
                    credentials.username = inline.user.as_ref().map(exposed);
                }
                if credentials.token.is_some() && !encrypted {
                    tracing::warn!(address = %config.address, "the token is sent unencrypted; use https");
                }
            }
            Place::Ssh { .. } => credentials.token = inline.password.clone(),
            Place::Local(_) => {}
        }
        readable("the ssh key", credentials.ssh_key.as_deref())?;
        readable("the known_hosts file", credentials.known_hosts.as_deref())?;
        if let Some(file) = &credentials.ca_file {
            readable("the CA file", Some(file))?;
            trust(file).map_err(|error| SourceError::CredentialFile {
                what: "the CA file",
                path: file.clone(),
                source: io::Error::other(error.message().to_owned()),
            })?;
        }
        let mut secrets = credentials.secrets();
        // A user name that is a token has become `credentials.token`.
        secrets.extend(inline.password.iter().map(exposed));
        Ok(Self {
            place: config.address.place.clone(),
            shown: config.address.to_string(),
            credentials,
            secrets,
            timeout: config.fetch_timeout,
            stop,
        })
    }

    /// Brings the bare repository to what the server has: all branches and tags, those gone removed, HEAD as there.
    pub(super) fn fetch(&self, repo: &Repository) -> Result<(), SourceError> {
        let attempt = Attempt {
            remote: self,
            start: Instant::now(),
            reason: RefCell::new(None),
            logins: Cell::new(0),
            connected: Cell::new(false),
        };
        attempt.run(repo).map_err(|error| {
            let reason = attempt.reason.take();
            reason.unwrap_or_else(|| self.classify(&error, &attempt))
        })?;
        let no_branch = repo.references().is_ok_and(|mut all| all.next().is_none());
        if no_branch { Err(SourceError::Empty { place: self.shown.clone() }) } else { Ok(()) }
    }

    pub(super) fn url(&self) -> &str {
        match &self.place {
            Place::Http { url, .. } | Place::Ssh { url, .. } => url,
            Place::Local(_) => "",
        }
    }

    pub(super) fn failure(&self, error: &Error) -> GitFailure {
        GitFailure::new(error, &self.secrets)
    }

    fn classify(&self, error: &Error, attempt: &Attempt<'_>) -> SourceError {
        let elapsed = attempt.start.elapsed();
        let (place, source) = (self.shown.clone(), self.failure(error));
        let text = error.message().to_ascii_lowercase();
        if self.stop.load(Ordering::Relaxed) {
            return SourceError::Stopped;
        }
        if error.code() == ErrorCode::Timeout
            || elapsed >= self.timeout
            || text.contains("timed out")
            || text.contains("timeout")
        {
            return SourceError::TimedOut { place, after: elapsed };
        }
        if text.starts_with("cannot redirect") {
            let problem = format!(
                "its server redirects elsewhere ({source}), where these credentials are not sent; use the new address"
            );
            return SourceError::Address { address: place, problem };
        }
        let status =
            text.strip_prefix("unexpected http status code: ").and_then(|code| code.trim().parse::<u16>().ok());
        match (error.class(), status) {
            (_, Some(401 | 403)) => SourceError::Authentication { place, problem: self.login_problem() },
            (_, Some(404 | 410)) => SourceError::MissingRepository { place, source },
            (_, Some(_)) => SourceError::Fetch { place, source },
            _ if error.code() == ErrorCode::Auth => {
                SourceError::Authentication { place, problem: self.login_problem() }
            }
            _ if error.code() == ErrorCode::Certificate
                || (error.class() == ErrorClass::Ssl && text.contains("certificate")) =>
            {
                SourceError::Certificate { place, source }
            }
            (ErrorClass::Ssh, _)
                if text.contains("does not appear to be a git repository") || text.contains("not found") =>
            {
                SourceError::MissingRepository { place, source }
            }
            (ErrorClass::Ssh, _) if text.contains("failed to start ssh session") => {
                SourceError::Unreachable { place, source }
            }
            (ErrorClass::Ssh, _) if text.contains("failed to authenticate") => {
                SourceError::Authentication { place, problem: format!("{} ({source})", self.login_problem()) }
            }
            (ErrorClass::Os, _) if !attempt.connected.get() || text.starts_with("ssl error") => {
                SourceError::Unreachable { place, source }
            }
            (ErrorClass::Net | ErrorClass::Ssl, _) => SourceError::Unreachable { place, source },
            (ErrorClass::Os | ErrorClass::Filesystem, _) => {
                let problem = scrub(error.message(), &self.secrets);
                SourceError::Cache { path: PathBuf::new(), source: io::Error::other(problem) }
            }
            (
                ErrorClass::Odb
                | ErrorClass::Zlib
                | ErrorClass::Object
                | ErrorClass::Tree
                | ErrorClass::Tag
                | ErrorClass::Reference
                | ErrorClass::Repository
                | ErrorClass::Config
                | ErrorClass::Indexer,
                _,
            ) => SourceError::Corrupt { place, source },
            _ => SourceError::Fetch { place, source },
        }
    }

    fn login_problem(&self) -> String {
        let credentials = &self.credentials;
        match (&self.place, &credentials.ssh_key, credentials.use_agent, &credentials.token) {
            (Place::Ssh { .. }, Some(key), _, _) => format!(
                "the key {} was not accepted; check that its public half may read the repository, and its passphrase",
                key.display()
            ),
            (Place::Ssh { .. }, None, true, _) => {
                "no key of the ssh agent was accepted; check `ssh-add -l` and that one of them may read the repository"
                    .to_owned()
            }
            (Place::Ssh { .. }, None, false, None) => {
                "no ssh key is configured; give a key file or allow the ssh agent".to_owned()
            }
            (Place::Ssh { .. }, None, false, Some(_)) => "the password was not accepted; use a key".to_owned(),
            (_, _, _, Some(_)) => {
                "the token was not accepted; check that it is valid, not expired and may read the repository".to_owned()
            }
            (_, _, _, None) => "it asks for a login and no token is configured".to_owned(),
        }
    }
}

impl Attempt<'_> {
    fn run(&self, repo: &Repository) -> Result<(), Error> {
        let mut remote = repo.remote_anonymous(self.remote.url())?;
        let mut connection = remote.connect_auth(Direction::Fetch, Some(self.callbacks()), Some(proxy()))?;
        self.connected.set(true);
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
            .transfer_progress(|_| self.goes_on())
            .sideband_progress(|_| self.goes_on());
        callbacks
    }

    fn goes_on(&self) -> bool {
        !self.remote.stop.load(Ordering::Relaxed) && self.start.elapsed() < self.remote.timeout
    }

    /// libgit2 asks again until it is let in: each way is tried once.
    fn log_in(&self, user: Option<&str>, allowed: CredentialType) -> Result<Cred, Error> {
        let credentials = &self.remote.credentials;
        let step = self.logins.get();
        self.logins.set(step + 1);
        if let Place::Http { .. } = self.remote.place {
            return match &credentials.token {
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
        if let (Some(password), true) = (&credentials.token, allowed.contains(CredentialType::USER_PASS_PLAINTEXT)) {
            ways.push(Box::new(move || Cred::userpass_plaintext(user, password.expose_secret())));
        }
        ways.get(usize::try_from(step).unwrap_or(usize::MAX)).map_or_else(|| Err(self.refused()), |way| way())
    }

    fn refused(&self) -> Error {
        let (place, problem) = (self.remote.shown.clone(), self.remote.login_problem());
        self.fail(SourceError::Authentication { place, problem })
    }

    fn check(&self, certificate: &Cert<'_>) -> Result<CertificateCheckStatus, Error> {
        let (Some(presented), Place::Ssh { host, port, .. }) = (certificate.as_hostkey(), &self.remote.place) else {
            return Ok(CertificateCheckStatus::CertificatePassthrough);
        };
        let Some(key) = presented.hostkey() else {
            return Err(Error::from_str("the ssh server presented no host key"));
        };
        let file = self.remote.credentials.known_hosts.as_deref();
        let listed = match file.map(std::fs::read_to_string) {
            None => String::new(),
            Some(Ok(listed)) => listed,
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
            Verdict::Known => Ok(CertificateCheckStatus::CertificateOk),
            Verdict::Unknown => {
                let listed = known_hosts::kinds(&listed, host, *port);
                Err(self.fail(SourceError::HostKeyUnknown { host: shown, algorithm, fingerprint, known_hosts, listed }))
            }
            Verdict::Changed(line) => {
                Err(self.fail(SourceError::HostKeyChanged { host: shown, algorithm, fingerprint, known_hosts, line }))
            }
            Verdict::Revoked(line) => {
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
