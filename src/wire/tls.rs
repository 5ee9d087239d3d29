//! Mutual TLS: the certificates of this side, and handshakes made with them.
//!
//! In: the names of three PEM files. Out: connections to peers that hold a certificate of the CA. Files that are
//! replaced count from the next connection on; open connections stay.

use crate::model::Timestamp;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, InconsistentKeys, RootCertStore, ServerConfig};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// What both sides speak within TLS: HTTP/2.
const ALPN: &[u8] = b"h2";
/// Time between two checks of the files.
const CHECK: Duration = Duration::from_secs(1);

/// The files of one side, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// `tls-cert`: its certificate, followed by those between it and the CA. It serves both directions, so its extended
    /// key usage, if it has one, names those it is used in: server and client.
    pub cert: PathBuf,
    /// `tls-key`: the private key of the certificate, not encrypted.
    pub key: PathBuf,
    /// `tls-ca`: the certificates of which one must have signed the peer's.
    pub ca: PathBuf,
}

/// A file of [`TlsFiles`] that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{setting}` {} cannot be used", .path.display())]
pub struct TlsError {
    /// `tls-cert`, `tls-key` or `tls-ca`.
    pub setting: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and what to do.
    pub source: TlsFault,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// It is missing, or closed to this user.
    #[error("it cannot be read; name a PEM file that this user may read")]
    Read(#[source] io::Error),
    /// A section has no end, or contains something other than base64.
    #[error("its PEM text is damaged; write the file again")]
    Damaged,
    /// No certificate is in it.
    #[error("there is no certificate in it; name a PEM file with `-----BEGIN CERTIFICATE-----`")]
    NoCertificate,
    /// No private key is in it, or an encrypted one.
    #[error("there is no private key in it; name a PEM file with `-----BEGIN PRIVATE KEY-----`, not encrypted")]
    NoKey,
    /// Others may read a key that is this user's.
    #[error(
        "its mode is {0:04o}, and a private key is for its owner, and at most for one group to read; `chmod 600` it"
    )]
    Exposed(u32),
    /// The key does not belong to the certificate.
    #[error("it is not the key of the certificate in {}; name the key that the certificate was made with", .0.display())]
    Mismatch(PathBuf),
    /// The certificate has expired.
    #[error("its certificate was valid until {0}; renew it")]
    Expired(Timestamp),
    /// The certificate is not valid yet.
    #[error("its certificate is valid from {0} on; set the clock, or issue a new one")]
    Early(Timestamp),
    /// A certificate or key is of a kind that is not known here, or damaged.
    #[error("its content is damaged or of a kind that is not supported; issue it again")]
    Unusable(#[source] rustls::Error),
}

/// Certificates in use. Its clones share them.
#[derive(Clone)]
pub struct Tls(Arc<SharedCertificates>);

struct SharedCertificates {
    files: TlsFiles,
    state: Mutex<LoadedCertificates>,
}

struct LoadedCertificates {
    sides: Sides,
    /// The files that `sides` came from.
    loaded: Identity,
    checked: Instant,
    /// Files that were reported as unusable.
    reported: Option<Identity>,
}

#[derive(Clone)]
struct Sides {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.files).finish()
    }
}

impl Tls {
    /// Reads the files now, and again when they are replaced. Unusable replacements are reported once, as a
    /// warning, and the old certificates stay in use.
    ///
    /// # Errors
    /// See [`TlsFault`]. The mode of the key is held to the rule of OpenSSH: it is a mistake only when this user owns
    /// the file, so that a key that is shared through a group can belong to root.
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        // Identified before they are read: what changes meanwhile is found by the next check.
        let loaded = identity(files);
        let state = LoadedCertificates { sides: sides(files)?, loaded, checked: Instant::now(), reported: None };
        Ok(Self(Arc::new(SharedCertificates { files: files.clone(), state: Mutex::new(state) })))
    }

    /// The handshake of a client with the server at `host`, which must hold a certificate of that name or address.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault))?;
        TlsConnector::from(self.sides().client).connect(name, stream).await
    }

    /// The handshake of a server. The connection comes back when it fails.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
    ) -> Result<server::TlsStream<TcpStream>, (io::Error, TcpStream)> {
        TlsAcceptor::from(self.sides().server).accept(stream).into_fallible().await
    }

    /// What a new connection is made with.
    fn sides(&self) -> Sides {
        let SharedCertificates { files, state } = &*self.0;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.checked.elapsed() >= CHECK {
            state.checked = Instant::now();
            let found = identity(files);
            if found != state.loaded {
                state.replace(files, found);
            }
        }
        state.sides.clone()
    }
}

impl LoadedCertificates {
    /// Tried at each check until it succeeds: the files are replaced one after the other, and a certificate may begin
    /// later than it is written.
    fn replace(&mut self, files: &TlsFiles, found: Identity) {
        match sides(files) {
            Ok(sides) => {
                tracing::info!(cert = %files.cert.display(), "new certificates are in use");
                (self.sides, self.loaded, self.reported) = (sides, found, None);
            }
            Err(TlsError { setting, path, source }) if self.reported != Some(found) => {
                let (path, error) = (path.display(), &source as &dyn std::error::Error);
                tracing::warn!(setting, %path, error, "the new certificates cannot be used; the old ones stay in use");
                self.reported = Some(found);
            }
            Err(_) => {}
        }
    }
}

/// What distinguishes a file from the one that replaces it: device, inode, length and time of the last change; `None` for none.
type Identity = [Option<(u64, u64, u64, i64, i64)>; 3];

fn identity(TlsFiles { cert, key, ca }: &TlsFiles) -> Identity {
    [cert, key, ca].map(|path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    })
}

fn sides(files: &TlsFiles) -> Result<Sides, TlsError> {
    let cert_fault = |source| TlsError { setting: "tls-cert", path: files.cert.clone(), source };
    let key_fault = |source| TlsError { setting: "tls-key", path: files.key.clone(), source };
    let ca_fault = |source| TlsError { setting: "tls-ca", path: files.ca.clone(), source };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(roots(&files.ca).map_err(ca_fault)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
        .build()
        .map_err(|fault| ca_fault(TlsFault::Unusable(rustls::Error::General(fault.to_string()))))?;
    let chain = certificates(&files.cert).map_err(cert_fault)?;
    in_force(&*verifier, &chain).map_err(cert_fault)?;
    let key = private_key(&files.key).map_err(key_fault)?;
    let pair = CertifiedKey::from_der(chain, key, &provider).map_err(|fault| match fault {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            key_fault(TlsFault::Mismatch(files.cert.clone()))
        }
        rustls::Error::InvalidCertificate(_) => cert_fault(TlsFault::Unusable(fault)),
        _ => key_fault(TlsFault::Unusable(fault)),
    })?;
    let pair = Arc::new(SingleCertAndKey::from(pair));
    let unusable = |fault| cert_fault(TlsFault::Unusable(fault));
    let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::clone(&pair) as _);
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(pair);
    client.alpn_protocols = vec![ALPN.to_vec()];
    server.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Sides { client: Arc::new(client), server: Arc::new(server) })
}

fn roots(path: &Path) -> Result<RootCertStore, TlsFault> {
    let mut roots = RootCertStore::empty();
    for ca in certificates(path)? {
        roots.add(ca).map_err(TlsFault::Unusable)?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let text = std::fs::read(path).map_err(TlsFault::Read)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    found
        .map_err(|_| TlsFault::Damaged)
        .and_then(|found| if found.is_empty() { Err(TlsFault::NoCertificate) } else { Ok(found) })
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let mut file = File::open(path).map_err(TlsFault::Read)?;
    let found = file.metadata().map_err(TlsFault::Read)?;
    let user = rustix::process::getuid().as_raw();
    if found.uid() == user && is_exposed(found.mode(), user, found.gid(), &own_groups()) {
        return Err(TlsFault::Exposed(found.mode() & 0o7777));
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(TlsFault::Read)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|fault| match fault {
        pem::Error::NoItemsFound => TlsFault::NoKey,
        _ => TlsFault::Damaged,
    })
}

/// Whether others can read a key of this user. One group may read it (`0640`) where that is on purpose: root gave the key to it, or this
/// user is a member.
fn is_exposed(mode: u32, user: u32, group: u32, own_groups: &[u32]) -> bool {
    let group_reads = mode & 0o077 == 0o040 && (user == 0 || own_groups.contains(&group));
    mode & 0o077 != 0 && !group_reads
}

/// The groups of this process.
fn own_groups() -> Vec<u32> {
    let further = rustix::process::getgroups().unwrap_or_default();
    further.into_iter().chain([rustix::process::getegid()]).map(rustix::fs::Gid::as_raw).collect()
}

/// Whether a certificate is valid at this time. Who signed it and for what is the peer's to judge, whose CA file may be
/// another one.
fn in_force(verifier: &dyn ClientCertVerifier, chain: &[CertificateDer<'_>]) -> Result<(), TlsFault> {
    let Some((own, between)) = chain.split_first() else { return Err(TlsFault::NoCertificate) };
    let seconds = |time: UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    };
    match verifier.verify_client_cert(own, between, UnixTime::now()) {
        Err(rustls::Error::InvalidCertificate(fault)) => match fault {
            CertificateError::ExpiredContext { not_after, .. } => Err(TlsFault::Expired(seconds(not_after))),
            CertificateError::NotValidYetContext { not_before, .. } => Err(TlsFault::Early(seconds(not_before))),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
pub(super) mod tests;
