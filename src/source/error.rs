//! Why a repository cannot be read, in words a user can act on.

use crate::model::CommitId;
use std::path::PathBuf;
use std::time::Duration;

/// Why a repository cannot be read. No variant carries a secret; `Display` leaves out the source error.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The address is not valid.
    #[error("repository address `{address}`: {problem}")]
    Address {
        /// The address, without what may be secret.
        address: String,
        /// What is wrong and what to write.
        problem: String,
    },
    /// The config folder is not a path within a repository.
    #[error("config folder `{path}` must be a relative path within the repository, without `..`")]
    FolderPath {
        /// As given.
        path: String,
    },
    /// There is no repository at or above a path.
    #[error("no git repository at {path} or above it; make one with `git init`, or give another path")]
    NotARepository {
        /// As given.
        path: PathBuf,
    },
    /// Git refuses repositories of other users.
    #[error(
        "the repository {path} belongs to another user; run as that user, or trust it with \
         `git config --global --add safe.directory {path}`"
    )]
    Owner {
        /// Where.
        path: PathBuf,
    },
    /// A repository of the user cannot be opened.
    #[error("cannot open the repository {place}")]
    Open {
        /// Which.
        place: String,
        /// What git said.
        source: GitFailure,
    },
    /// There is no commit at all.
    #[error("the repository {place} is empty; commit a deployment file to it")]
    Empty {
        /// Which.
        place: String,
    },
    /// The name resolves to nothing.
    #[error("{place} has no branch, tag or commit `{reference}`{}", did_you_mean(.near, .branches))]
    MissingReference {
        /// Which repository.
        place: String,
        /// The name.
        reference: String,
        /// Similar names that exist, the most similar first.
        near: Vec<String>,
        /// Some branches that exist.
        branches: Vec<String>,
    },
    /// The config folder is missing in a commit.
    #[error("commit {commit} has no folder `{folder}`; correct the path of the config folder, or commit it")]
    MissingFolder {
        /// The folder.
        folder: String,
        /// The commit.
        commit: CommitId,
    },
    /// A commit has more files than a config repo may have.
    #[error(
        "{place} has more than {limit} files or folders, or folders deeper than {depth}; point the config folder at a smaller part of it"
    )]
    TooManyFiles {
        /// Which repository or folder.
        place: String,
        /// Bound on files and folders.
        limit: usize,
        /// Bound on nesting.
        depth: usize,
    },
    /// Objects of a repository are missing or damaged.
    #[error("the repository {place} is damaged; `git fsck` says where, a fresh clone or a backup repairs it")]
    Corrupt {
        /// Which.
        place: String,
        /// What git said.
        source: GitFailure,
    },
    /// The index has unmerged files.
    #[error("these staged files are in conflict: {}; resolve them and `git add` them", .paths.join(", "))]
    Conflict {
        /// Their paths.
        paths: Vec<String>,
    },
    /// Files on disk cannot be read.
    #[error("cannot read {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The clone cannot be written.
    #[error("cannot write the local clone {path}; check its owner, permissions and the free space")]
    Cache {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process holds the clone.
    #[error("another process is using the local clone {path}")]
    Locked {
        /// Where.
        path: PathBuf,
    },
    /// The server cannot be reached.
    #[error("cannot reach {place}; check the address, the network and the server")]
    Unreachable {
        /// The address.
        place: String,
        /// What git said.
        source: GitFailure,
    },
    /// The server took too long.
    #[error("{place} did not answer, or sent nothing more, for {:.0} s", .after.as_secs_f32())]
    TimedOut {
        /// The address.
        place: String,
        /// The bound.
        after: Duration,
    },
    /// The server does not let us in.
    #[error("{place} refused the login: {problem}")]
    Authentication {
        /// The address.
        place: String,
        /// What was tried and what to do.
        problem: String,
    },
    /// The file that should hold the token holds none.
    #[error("the token file {path} is empty; write the token into it, it is read again at the next try")]
    EmptyToken {
        /// Which.
        path: PathBuf,
    },
    /// A key or certificate file cannot be used.
    #[error("{what} {path} cannot be used; check that it exists, is readable and is of the right kind")]
    CredentialFile {
        /// What the file is for.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No key of this kind is known for an ssh host.
    #[error(
        "the ssh host key of {host} is not known: {algorithm} {fingerprint}{}. Compare it with what the server's administrator \
         publishes, then add it: `ssh-keyscan {} >> {known_hosts}`{}",
        only(.listed), scan(.host, .algorithm), if *.absent { " (there is no such file yet)" } else { "" }
    )]
    HostKeyUnknown {
        /// Host as known_hosts writes it.
        host: String,
        /// Kind of the key.
        algorithm: String,
        /// `SHA256:…`, as OpenSSH prints it.
        fingerprint: String,
        /// The file to add it to.
        known_hosts: String,
        /// Other kinds of key that are known for the host; the server offers none of them.
        listed: Vec<String>,
        /// Whether the file is not there.
        absent: bool,
    },
    /// An ssh host presents another key than the known one.
    #[error(
        "the ssh host key of {host} is another one than {known_hosts} line {line} says: now {algorithm} {fingerprint}. Someone may \
         be intercepting the connection. If the server's administrator confirms the new key, remove the old line \
         (`ssh-keygen -R '{host}' -f {known_hosts}`) and add the new one"
    )]
    HostKeyChanged {
        /// Host as known_hosts writes it.
        host: String,
        /// Kind of the presented key.
        algorithm: String,
        /// `SHA256:…` of the presented key.
        fingerprint: String,
        /// The file that says otherwise.
        known_hosts: String,
        /// Its line.
        line: usize,
    },
    /// An ssh host presents a key that `known_hosts` marks as revoked.
    #[error(
        "{known_hosts} line {line} revokes the ssh host key that {host} presents: {fingerprint}; the server needs a new key"
    )]
    HostKeyRevoked {
        /// Host as known_hosts writes it.
        host: String,
        /// `SHA256:…` of the presented key.
        fingerprint: String,
        /// The file that says so.
        known_hosts: String,
        /// Its line.
        line: usize,
    },
    /// The https certificate is not accepted.
    #[error("the certificate of {place} is not accepted: {problem}")]
    Certificate {
        /// The address.
        place: String,
        /// What is wrong with it and what to do.
        problem: String,
        /// What git said.
        source: GitFailure,
    },
    /// The server knows no such repository, or hides it.
    #[error("{place} does not exist, or these credentials may not see it")]
    MissingRepository {
        /// The address.
        place: String,
        /// What git said.
        source: GitFailure,
    },
    /// The transfer failed on the server's side or on the way.
    #[error("fetching from {place} failed")]
    Fetch {
        /// The address.
        place: String,
        /// What git said.
        source: GitFailure,
    },
    /// Too many requests wait.
    #[error("too many requests to the repository are waiting")]
    Busy,
    /// The repository's thread is gone or asked to end.
    #[error("the repository was closed")]
    Stopped,
    /// The system gives no thread or no file watch.
    #[error("cannot start the thread of the repository")]
    Thread {
        /// Why.
        source: std::io::Error,
    },
}

impl SourceError {
    /// Whether the same request may succeed later although nobody changes the configuration.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Fetch { .. }
            | Self::Locked { .. }
            | Self::Cache { .. }
            | Self::Busy
            // A branch may be pushed again, an empty repository gets its first commit.
            | Self::MissingReference { .. }
            | Self::Empty { .. } => true,
            Self::Address { .. }
            | Self::FolderPath { .. }
            | Self::NotARepository { .. }
            | Self::Owner { .. }
            | Self::Open { .. }
            | Self::MissingFolder { .. }
            | Self::TooManyFiles { .. }
            | Self::Corrupt { .. }
            | Self::Conflict { .. }
            | Self::Folder { .. }
            | Self::Authentication { .. }
            | Self::EmptyToken { .. }
            | Self::CredentialFile { .. }
            | Self::HostKeyUnknown { .. }
            | Self::HostKeyChanged { .. }
            | Self::HostKeyRevoked { .. }
            | Self::Certificate { .. }
            | Self::MissingRepository { .. }
            | Self::Stopped
            | Self::Thread { .. } => false,
        }
    }
}

/// What libgit2 said, without secrets.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct GitFailure {
    message: String,
}

impl GitFailure {
    /// Takes the text over and blanks the given secrets and whatever stands between `://` and `@`.
    pub(super) fn new(error: &git2::Error, secrets: &[String]) -> Self {
        Self { message: scrub(error.message(), secrets) }
    }
}

impl From<git2::Error> for GitFailure {
    fn from(error: git2::Error) -> Self {
        Self::new(&error, &[])
    }
}

/// Blanks secrets in a text that comes from elsewhere.
pub(super) fn scrub(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        let encoded = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC).to_string();
        text = text.replace(secret.as_str(), "***").replace(&encoded, "***");
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        clean.push_str(head);
        let end = tail.find(|c: char| c == '/' || c == '\'' || c == '"' || c.is_whitespace()).unwrap_or(tail.len());
        rest = tail.get(..end).and_then(|authority| authority.rfind('@')).map_or(tail, |user| {
            clean.push_str("***");
            tail.get(user..).unwrap_or_default()
        });
    }
    clean.push_str(rest);
    clean
}

fn did_you_mean(near: &[String], branches: &[String]) -> String {
    match (near, branches) {
        ([], []) => String::new(),
        ([], branches) => format!("; there is {}", branches.join(", ")),
        (near, _) => format!("; did you mean {}?", near.join(", ")),
    }
}

fn only(listed: &[String]) -> String {
    match listed {
        [] => String::new(),
        listed => format!(" (of this host only {} is known, which it does not offer)", listed.join(", ")),
    }
}

/// The arguments of ssh-keyscan for a host as known_hosts writes it (`host` or `[host]:port`).
fn scan(host: &str, algorithm: &str) -> String {
    let kind = match algorithm {
        "ssh-ed25519" => "-t ed25519 ",
        "ssh-rsa" => "-t rsa ",
        _ if algorithm.starts_with("ecdsa") => "-t ecdsa ",
        _ => "",
    };
    match host.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((host, port)) => format!("{kind}-p {port} {host}"),
        None => format!("{kind}{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blanked() {
        let secrets = ["s3cr/et".to_owned()];
        assert_eq!(
            scrub("at https://bob:pw@h/x and 's3cr/et' s3cr%2Fet", &secrets),
            "at https://***@h/x and '***' ***"
        );
        assert_eq!(scrub("no secret at https://h/a@b", &[]), "no secret at https://h/a@b");
    }

    #[test]
    fn the_remedy_names_the_port() {
        assert_eq!(scan("[h]:2222", "ssh-ed25519"), "-t ed25519 -p 2222 h");
        assert_eq!(scan("h", "ecdsa-sha2-nistp256"), "-t ecdsa h");
    }
}
