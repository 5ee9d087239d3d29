//! The cause of a failed fetch, from the error of libgit2.

use super::address::Place;
use super::error::scrub;
use super::remote::Attempt;
use super::{GitFailure, SourceError, tls};
use git2::{Error, ErrorClass, ErrorCode};
use secrecy::ExposeSecret;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

impl Attempt<'_> {
    /// The failure that an error of libgit2 stands for.
    pub(super) fn classify(&self, error: &Error) -> SourceError {
        let secrets = self.secrets();
        let (place, source) = (self.remote.shown.clone(), GitFailure::new(error, &secrets));
        let text = error.message().to_ascii_lowercase();
        if self.remote.stop.load(Ordering::Relaxed) {
            return SourceError::Stopped;
        }
        let idle = self.remote.progress.idle();
        if idle >= self.remote.timeout {
            return SourceError::TimedOut { place, after: idle };
        }
        // The last is what TLS makes of a read that ran out of time.
        let silent = ["timed out", "timeout", "resource temporarily unavailable"];
        if error.code() == ErrorCode::Timeout || silent.iter().any(|words| text.contains(words)) {
            return SourceError::TimedOut { place, after: self.start.elapsed() };
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
                let problem = self.tls_problem().unwrap_or_else(|| tls::UNTRUSTED.to_owned());
                SourceError::Certificate { place, problem, source }
            }
            (ErrorClass::Ssl, _) if !self.connected.get() => match self.tls_problem() {
                Some(problem) => SourceError::Certificate { place, problem, source },
                None => SourceError::Unreachable { place, source },
            },
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
            (ErrorClass::Os, _) if !self.connected.get() || text.starts_with("ssl error") => {
                SourceError::Unreachable { place, source }
            }
            (ErrorClass::Net | ErrorClass::Ssl, _) => SourceError::Unreachable { place, source },
            (ErrorClass::Os | ErrorClass::Filesystem, _) => {
                let problem = scrub(error.message(), &secrets);
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

    fn tls_problem(&self) -> Option<String> {
        tls::problem(&self.remote.place, self.remote.credentials.ca_file.as_deref())
    }

    /// Every secret, to keep it out of texts that come from elsewhere.
    fn secrets(&self) -> Vec<String> {
        let known = [&self.token, &self.remote.credentials.ssh_passphrase].into_iter().flatten();
        known.map(|secret| secret.expose_secret().to_owned()).chain(self.remote.unshown.clone()).collect()
    }

    /// What was tried for the login, and what to do.
    pub(super) fn login_problem(&self) -> String {
        let credentials = &self.remote.credentials;
        match (&self.remote.place, &credentials.ssh_key, &credentials.token_file) {
            (Place::Ssh { .. }, Some(key), _) => format!(
                "the key {} was not accepted; check that its public half may read the repository, and its passphrase \
                 (SETPOINT_SSH_PASSPHRASE, or `ssh passphrase-env=…` in daemon.kdl)",
                key.display()
            ),
            (Place::Ssh { .. }, None, _) if credentials.use_agent => {
                "no key of the ssh agent was accepted; check `ssh-add -l` and that one of them may read the repository"
                    .to_owned()
            }
            (Place::Ssh { .. }, None, _) => {
                "no ssh key is configured; give a key file or allow the ssh agent".to_owned()
            }
            (_, _, Some(file)) => format!(
                "the token in {} was not accepted; check that it is valid, not expired and may read the repository",
                file.display()
            ),
            _ if self.token.is_some() => {
                "the token was not accepted; check that it is valid, not expired and may read the repository".to_owned()
            }
            _ => "it asks for a login and no token is configured".to_owned(),
        }
    }
}
