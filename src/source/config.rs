//! What a repository is opened with.

use super::{Address, SourceError};
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

/// A repository and how to reach and follow it.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// Where it is.
    pub address: Address,
    /// Branch, tag or any other name git resolves; absent follows HEAD (the server's default branch).
    pub reference: Option<String>,
    /// Config folder within the repository (`""` is its root).
    pub path: String,
    /// Folder for the bare clones of remote repositories.
    pub cache_dir: PathBuf,
    /// What to log in with.
    pub credentials: Credentials,
    /// Time between two polls of a remote repository; for a local one the time after which it is read although no
    /// file event came.
    pub poll: Duration,
    /// Each such time is varied by up to this fraction (0.1 is ±10 %), so that many daemons do not ask at the same time.
    pub jitter: f64,
    /// Upper bound of the time between two attempts while a server fails.
    pub backoff_limit: Duration,
    /// How long a fetch may make no progress. A fetch that goes on takes as long as it takes.
    pub fetch_timeout: Duration,
}

impl SourceConfig {
    /// The defaults for an address: HEAD, the root folder, no credentials, a poll every 60 s ±10 %.
    ///
    /// # Errors
    /// When the address is not valid.
    pub fn new(address: &str) -> Result<Self, SourceError> {
        Ok(Self {
            address: address.parse()?,
            reference: None,
            path: String::new(),
            cache_dir: PathBuf::from(".setpoint-cache"),
            credentials: Credentials::default(),
            poll: Duration::from_secs(60),
            jitter: 0.1,
            backoff_limit: Duration::from_secs(15 * 60),
            fetch_timeout: Duration::from_secs(120),
        })
    }
}

/// What to log in with, already read from where the user keeps it. `Debug` shows no secret.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Token or password for http(s).
    pub token: Option<SecretString>,
    /// File that holds it; read for each fetch, so that one that is replaced counts from then on.
    pub token_file: Option<PathBuf>,
    /// User name for http(s); forges accept any next to a token.
    pub username: Option<String>,
    /// Private key file for ssh.
    pub ssh_key: Option<PathBuf>,
    /// Passphrase of that file.
    pub ssh_passphrase: Option<SecretString>,
    /// Ask the ssh agent of this session.
    pub use_agent: bool,
    /// The host keys to accept, in OpenSSH's format. Without it no ssh host is trusted.
    pub known_hosts: Option<PathBuf>,
    /// Certificates (PEM) to trust for https besides the system's. Process-wide: libgit2 keeps one list.
    pub ca_file: Option<PathBuf>,
}

impl Credentials {
    /// The token as it is now.
    pub(super) fn token_now(&self) -> Result<Option<SecretString>, SourceError> {
        let Some(path) = &self.token_file else { return Ok(self.token.clone()) };
        let failed = |source| SourceError::CredentialFile { what: "the token file", path: path.clone(), source };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        match text.trim() {
            "" => Err(SourceError::EmptyToken { path: path.clone() }),
            token => Ok(Some(token.to_owned().into())),
        }
    }
}

/// Bounds on a server that does not answer. libgit2 keeps them process-wide.
#[derive(Clone, Copy, Debug)]
pub struct ServerTimeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// Between two answers.
    pub silence: Duration,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), silence: Duration::from_secs(30) }
    }
}

/// Prepares libgit2 for the process. The first line of `main`, before any thread starts.
///
/// libgit2 would read all certificates of the system when it starts, a mebibyte and a half that only https needs. So it
/// finds an empty file in their place, and `trust_system` gives it the real one.
#[expect(unsafe_code, reason = "libgit2's process-wide options, and the variable by which it finds certificates")]
#[expect(clippy::disallowed_methods, reason = "the variable is not a setting of ours")]
pub fn init(timeouts: ServerTimeouts) {
    let certificates = std::env::var_os(openssl_probe::ENV_CERT_FILE);
    // SAFETY: no other thread reads the environment; none exists yet.
    unsafe { std::env::set_var(openssl_probe::ENV_CERT_FILE, "/dev/null") };
    let millis = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: both write one global int, which libgit2 reads when it opens a connection; called before any thread of
    // ours exists. They fail only for a negative number.
    let _ = unsafe { git2::opts::set_server_connect_timeout_in_milliseconds(millis(timeouts.connect)) };
    // SAFETY: as above.
    let _ = unsafe { git2::opts::set_server_timeout_in_milliseconds(millis(timeouts.silence)) };
    match certificates {
        // SAFETY: as above.
        Some(file) => unsafe { std::env::set_var(openssl_probe::ENV_CERT_FILE, file) },
        // SAFETY: as above.
        None => unsafe { std::env::remove_var(openssl_probe::ENV_CERT_FILE) },
    }
}

/// Trusts the certificates of the system for https, once.
pub(super) fn trust_system() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Some(file) = openssl_probe::probe().cert_file else { return };
        if let Err(error) = trust(&file) {
            tracing::warn!(file = %file.display(), error = error.message(), "the certificates of the system are not trusted");
        }
    });
}

/// Adds certificates to those trusted for https.
#[expect(unsafe_code, reason = "libgit2's process-wide list of trusted certificates")]
pub(super) fn trust(file: &Path) -> Result<(), git2::Error> {
    // SAFETY: libgit2 is initialised by the call; OpenSSL adds to its certificate store under the store's own lock, and
    // the path lives through the call.
    unsafe { git2::opts::set_ssl_cert_file(file) }
}
