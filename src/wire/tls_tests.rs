//! Which files are taken, what is said of those that are not, and when they are read again.

use super::*;
use crate::wire::testing::{Authority, chain, put};
use rustls::server::ResolvesServerCert;
use std::os::unix::fs::PermissionsExt;

/// Certificates that show those of `files`, which are not read, or none as a client.
pub(in crate::wire) fn showing(tls: &Tls, files: Option<&TlsFiles>) -> Tls {
    let provider = rustls::crypto::ring::default_provider();
    let mut sides = tls.sides();
    let client = Arc::make_mut(&mut sides.client);
    let server = Arc::make_mut(&mut sides.server);
    let pair = files.map(|TlsFiles { cert, key, .. }| {
        let pair = CertifiedKey::from_der(certificates(cert).unwrap(), private_key(key).unwrap(), &provider);
        Arc::new(SingleCertAndKey::from(pair.unwrap()))
    });
    client.client_auth_cert_resolver = match &pair {
        Some(pair) => Arc::clone(pair) as _,
        None => Arc::new(Nothing),
    };
    if let Some(pair) = pair {
        server.cert_resolver = pair as Arc<dyn ResolvesServerCert>;
    }
    let files = tls.0.files.clone();
    let state = LoadedCertificates { sides, loaded: identity(&files), checked: Instant::now(), reported: None };
    Tls(Arc::new(SharedCertificates { files, state: Mutex::new(state) }))
}

/// The same, but no newer than TLS 1.2.
pub(in crate::wire) fn older(tls: &Tls) -> Tls {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let older = showing(tls, None);
    let mut sides = older.sides();
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots(&tls.0.files.ca).unwrap())
        .with_client_cert_resolver(Arc::clone(&tls.sides().client.client_auth_cert_resolver));
    config.alpn_protocols = vec![ALPN.to_vec()];
    sides.client = Arc::new(config);
    older.0.state.lock().unwrap().sides = sides;
    older
}

#[derive(Debug)]
struct Nothing;

impl rustls::client::ResolvesClientCert for Nothing {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// The time between two looks is over.
pub(in crate::wire) fn wait(tls: &Tls) {
    tls.0.state.lock().unwrap().checked = Instant::now().checked_sub(CHECK).unwrap();
}

fn same(tls: &Tls, before: &Sides) -> bool {
    wait(tls);
    Arc::ptr_eq(&tls.sides().client, &before.client)
}

#[test]
fn each_mistake_names_its_file_and_its_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let ca = Authority::new();
    let said = |change: &dyn Fn(&Path, &mut TlsFiles)| {
        let mut files = ca.issue(folder.path(), |_| {});
        change(folder.path(), &mut files);
        let error = chain(&Tls::load(&files).unwrap_err());
        error.replace(&folder.path().display().to_string(), "DIR")
    };
    let strangers = Authority::new().issue(other.path(), |_| {});
    assert_eq!(
        said(&|dir, _| std::fs::remove_file(dir.join("ca.pem")).unwrap()),
        "`tls-ca` DIR/ca.pem cannot be used: it cannot be read; name a PEM file that this user may read: \
         No such file or directory (os error 2)"
    );
    assert_eq!(
        said(&|dir, _| drop(put(dir, "cert.pem", "nothing"))),
        "`tls-cert` DIR/cert.pem cannot be used: there is no certificate in it; \
         name a PEM file with `-----BEGIN CERTIFICATE-----`"
    );
    assert_eq!(
        said(&|_, files| files.key = files.cert.clone()),
        "`tls-key` DIR/cert.pem cannot be used: there is no private key in it; \
         name a PEM file with `-----BEGIN PRIVATE KEY-----`, not encrypted"
    );
    assert_eq!(
        said(&|dir, _| drop(put(dir, "cert.pem", "-----BEGIN CERTIFICATE-----\nAA"))),
        "`tls-cert` DIR/cert.pem cannot be used: its PEM text is damaged; write the file again"
    );
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(
        said(&|dir, _| drop(put(dir, "cert.pem", damaged))),
        "`tls-cert` DIR/cert.pem cannot be used: \
         its content is damaged or of a kind that is not supported; issue it again: \
         invalid peer certificate: BadEncoding"
    );
    assert_eq!(
        said(&|_, files| files.key = strangers.key.clone()).replace(&other.path().display().to_string(), "OTHER"),
        "`tls-key` OTHER/key.pem cannot be used: it is not the key of the certificate in DIR/cert.pem; \
         name the key that the certificate was made with"
    );
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    assert_eq!(
        said(&|dir, _| std::fs::set_permissions(dir.join("key.pem"), mode(0o644)).unwrap()),
        "`tls-key` DIR/key.pem cannot be used: its mode is 0644, and a private key is for its owner, \
         and at most for one group to read; `chmod 600` it"
    );
    let until = |files: &mut TlsFiles, from, to| {
        *files = ca.issue(folder.path(), |params| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
        });
    };
    assert_eq!(
        said(&|_, files| until(files, 2001, 2002)),
        "`tls-cert` DIR/cert.pem cannot be used: its certificate was valid until 2002-01-01T00:00:00Z; renew it"
    );
    assert_eq!(
        said(&|_, files| until(files, 3000, 3001)),
        "`tls-cert` DIR/cert.pem cannot be used: its certificate is valid from 3000-01-01T00:00:00Z on; \
         set the clock, or issue a new one"
    );
}

/// Distributions keep keys as `root:ssl-cert 0640`; a group of many must not come to a key by chance.
#[test]
fn a_key_may_be_read_by_one_group_that_was_chosen_and_by_nobody_else() {
    let (me, mine, others) = (1000, 1000, 100);
    for (mode, user, group, exposed) in [
        (0o100_600, me, others, false),
        (0o100_400, me, others, false),
        (0o100_640, me, mine, false),
        (0o100_640, me, others, true),
        (0o100_640, 0, others, false),
        (0o100_660, me, mine, true),
        (0o100_660, 0, others, true),
        (0o100_644, me, mine, true),
        (0o100_644, 0, 0, true),
        (0o100_604, me, mine, true),
    ] {
        assert_eq!(is_exposed(mode, user, group, &[mine, 27]), exposed, "{mode:o} of {user}:{group}");
    }
    // Whoever runs this is a member of the group that it makes files with.
    let folder = tempfile::tempdir().unwrap();
    let files = Authority::new().issue(folder.path(), |_| {});
    std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(Tls::load(&files).is_ok());
}

#[test]
fn files_that_were_replaced_are_taken_and_those_of_no_use_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let ca = Authority::new();
    let tls = Tls::load(&ca.issue(folder.path(), |_| {})).unwrap();
    let first = tls.sides();
    assert!(same(&tls, &first), "nothing was replaced");
    let key = std::fs::read_to_string(folder.path().join("key.pem")).unwrap();
    ca.issue(folder.path(), |_| {});
    let newer_key = std::fs::read_to_string(folder.path().join("key.pem")).unwrap();
    put(folder.path(), "key.pem", &key);
    assert!(same(&tls, &first), "the certificate is there, its key is not");
    put(folder.path(), "key.pem", &newer_key);
    assert!(!same(&tls, &first), "now both are");
    let second = tls.sides();
    std::fs::remove_file(folder.path().join("ca.pem")).unwrap();
    assert!(same(&tls, &second), "a missing file changes nothing");
    ca.issue(folder.path(), |_| {});
    assert!(Arc::ptr_eq(&tls.sides().client, &second.client), "not checked for each connection");
    assert!(!same(&tls.clone(), &second), "clones share what they see");
    assert!(!Arc::ptr_eq(&tls.sides().client, &second.client), "clones share what they see");
}
