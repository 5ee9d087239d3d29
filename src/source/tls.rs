//! Why TLS with a git server failed. libgit2 gives no cause in most cases, so a second client, which does, connects once more.
//! Nothing is sent over that connection.

use super::address::Place;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, Error, RootCertStore};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Bound on each step of the second check.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is wrong with the certificate of an https server, and what to do; `None` when nothing is, or it is not known.
pub(super) fn problem(place: &Place, authorities: Option<&Path>) -> Option<String> {
    let Place::Http { host, port, encrypted: true, .. } = place else { return None };
    let system = openssl_probe::probe().cert_file;
    let mut roots = RootCertStore::empty();
    for file in system.as_deref().into_iter().chain(authorities) {
        roots.add_parsable_certificates(CertificateDer::pem_file_iter(file).ok()?.filter_map(Result::ok));
    }
    match handshake(host, *port, roots)? {
        Error::InvalidCertificate(fault) => Some(words(&fault, host)),
        _ => None,
    }
}

/// The error that the handshake ends with, if it ends with one of TLS.
fn handshake(host: &str, port: u16, roots: RootCertStore) -> Option<Error> {
    let address = (host, port).to_socket_addrs().ok()?.next()?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    while connection.is_handshaking() {
        if let Err(error) = connection.complete_io(&mut stream) {
            return error.into_inner()?.downcast::<Error>().ok().map(|error| *error);
        }
    }
    None
}

fn words(fault: &CertificateError, host: &str) -> String {
    let at = |seconds: u64| {
        let at = i64::try_from(seconds).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
        at.map_or_else(|| "an unknown time".to_owned(), |at| at.to_string())
    };
    match fault {
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => format!(
            "it is not for `{host}` but for {}; use an address with a name that it is for, or give the server a certificate for \
             this one",
            presented.join(", ")
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it is not for `{host}`; give the server a certificate that names this host")
        }
        CertificateError::ExpiredContext { not_after, time } => format!(
            "it expired at {}, and the clock of this machine says {}; the server needs a new one",
            at(not_after.as_secs()),
            at(time.as_secs())
        ),
        CertificateError::Expired => "it has expired; the server needs a new one".to_owned(),
        CertificateError::NotValidYetContext { not_before, time } => format!(
            "it counts from {} on, and the clock of this machine says {}; set the clock",
            at(not_before.as_secs()),
            at(time.as_secs())
        ),
        CertificateError::NotValidYet => "it is not valid yet; check the clock of this machine".to_owned(),
        CertificateError::UnknownIssuer => UNTRUSTED.to_owned(),
        other => other.to_string(),
    }
}

/// What is said of a certificate when nothing more is known.
pub(super) const UNTRUSTED: &str = "no authority that is trusted here signed it; if the server uses an own authority, give \
    its certificate as the CA file";
