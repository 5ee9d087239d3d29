//! Repositories behind OpenSSH's own server.

use crate::support::git::{Repo, files_below, run};
use crate::support::git_server::SshServer;
use crate::support::process::{Server, find_or_skip, wait_for};
use setpoint::model::CommitId;
use setpoint::source::{Credentials, Source, SourceConfig, SourceError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn config(address: &str, cache: &Path, key: PathBuf, known_hosts: Option<PathBuf>) -> SourceConfig {
    let mut config = SourceConfig::new(address).unwrap();
    config.cache_dir = cache.join("cache");
    config.fetch_timeout = Duration::from_secs(20);
    config.credentials = Credentials { ssh_key: Some(key), known_hosts, ..Credentials::default() };
    config
}

#[tokio::test]
async fn keys_host_keys_and_missing_repositories() {
    let repo = Repo::with_files();
    let folder = repo.folder.path();
    let bare = repo.bare();
    let Some(server) = SshServer::start(folder) else { return };
    let right = server.known_hosts("host");
    let open = |key: &str, known_hosts: Option<PathBuf>| {
        Source::open(config(&server.url(&bare), folder, server.file(key), known_hosts)).unwrap()
    };

    // A key, and the same server under a hashed name.
    let source = open("user", Some(right.clone()));
    assert_eq!(source.fetch().await.unwrap().commit, CommitId::new(repo.head()));
    assert_eq!(source.read("main").await.unwrap().1.files.len(), 4);
    let hashed = folder.join("known_hosts_hashed");
    std::fs::copy(&right, &hashed).unwrap();
    run(Command::new("ssh-keygen").arg("-H").arg("-f").arg(&hashed));
    assert!(std::fs::read_to_string(&hashed).unwrap().starts_with("|1|"));
    assert_eq!(open("user", Some(hashed)).fetch().await.unwrap().commit, CommitId::new(repo.head()));

    // A key with a passphrase, right and wrong.
    let mut locked = config(&server.url(&bare), folder, server.file("locked"), Some(right.clone()));
    locked.credentials.ssh_passphrase = Some("open sesame".to_owned().into());
    assert_eq!(Source::open(locked.clone()).unwrap().fetch().await.unwrap().commit, CommitId::new(repo.head()));
    locked.credentials.ssh_passphrase = Some("wrong passphrase".to_owned().into());
    let error = Source::open(locked).unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::Authentication { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("wrong passphrase"));
    for file in files_below(&folder.join("cache")) {
        assert!(!String::from_utf8_lossy(&std::fs::read(&file).unwrap()).contains("open sesame"));
    }

    // A key the server does not know.
    let error = open("stranger", Some(right.clone())).fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::Authentication { .. }) && !error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("stranger was not accepted"), "{error}");

    // An unknown host: an empty file, and none.
    let empty = folder.join("known_hosts_empty");
    std::fs::write(&empty, "").unwrap();
    for known_hosts in [Some(empty), None] {
        let error = open("user", known_hosts).fetch().await.unwrap_err();
        assert!(matches!(error, SourceError::HostKeyUnknown { .. }) && !error.is_retryable(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&server.fingerprint("host")), "{text}");
        assert!(text.contains(&format!("ssh-keyscan -t ed25519 -p {} 127.0.0.1", server.port)), "{text}");
    }

    // A known host that presents a key of another kind.
    let other_kind = folder.join("known_hosts_kind");
    std::fs::write(&other_kind, format!("[127.0.0.1]:{} ssh-rsa AAAAB3NzaC1yc2E=\n", server.port)).unwrap();
    let error = open("user", Some(other_kind)).fetch().await.unwrap_err();
    assert!(error.to_string().contains("(of this host only ssh-rsa is known, which it does not offer)"), "{error}");

    // A host with another key than the known one, and a revoked one.
    let error = open("user", Some(server.known_hosts("other_host"))).fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::HostKeyChanged { line: 1, .. }) && !error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains(&server.fingerprint("host")), "{error}");
    let revoked = folder.join("known_hosts_revoked");
    std::fs::write(&revoked, format!("@revoked {}", std::fs::read_to_string(&right).unwrap())).unwrap();
    let error = open("user", Some(revoked)).fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::HostKeyRevoked { line: 1, .. }), "{error:?}");

    // No such repository.
    let none = config(&server.url(&folder.join("none.git")), folder, server.file("user"), Some(right.clone()));
    let error = Source::open(none).unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::MissingRepository { .. }), "{error:?}");

    // A key file that is not there is told before any connection.
    let error = Source::open(config(&server.url(&bare), folder, server.file("no_key"), Some(right))).unwrap_err();
    assert!(matches!(error, SourceError::CredentialFile { .. }), "{error:?}");
}

#[tokio::test]
async fn the_server_is_asked_for_a_key_of_a_kind_that_is_known() {
    let repo = Repo::with_files();
    let folder = repo.folder.path();
    let bare = repo.bare();
    let Some(server) = SshServer::with_host_keys(folder, &["ecdsa", "rsa"]) else { return };
    let fetch = async |known_hosts: PathBuf| {
        Source::open(config(&server.url(&bare), folder, server.file("user"), Some(known_hosts))).unwrap().fetch().await
    };
    // The server has three keys, and any one of them is enough, also under a hashed name.
    for key in ["host", "host_ecdsa", "host_rsa"] {
        let known = server.known_hosts(key);
        assert_eq!(
            fetch(known.clone()).await.unwrap_or_else(|error| panic!("{key}: {error}")).commit,
            CommitId::new(repo.head())
        );
        run(Command::new("ssh-keygen").arg("-H").arg("-f").arg(&known));
        assert_eq!(
            fetch(known).await.unwrap_or_else(|error| panic!("hashed {key}: {error}")).commit,
            CommitId::new(repo.head())
        );
    }
    // A changed key is a changed key although the server has others that nobody knows.
    let error = fetch(server.known_hosts("other_host")).await.unwrap_err();
    assert!(matches!(error, SourceError::HostKeyChanged { line: 1, .. }), "{error:?}");
    assert!(error.to_string().contains(&server.fingerprint("host")), "{error}");
    // Nothing known: the remedy names the kind of the key that is shown.
    let error = fetch(folder.join("no/known_hosts")).await.unwrap_err();
    let SourceError::HostKeyUnknown { algorithm, absent: true, .. } = &error else { panic!("{error:?}") };
    let kind = algorithm.trim_start_matches("ssh-").split('-').next().unwrap().to_owned();
    assert!(error.to_string().contains(&format!("ssh-keyscan -t {kind} -p")), "{error}");
    assert!(error.to_string().contains("there is no such file yet"), "{error}");
}

#[tokio::test]
async fn an_agent_serves_its_key() {
    let repo = Repo::with_files();
    let folder = repo.folder.path();
    let bare = repo.bare();
    let (Some(agent), Some(server)) = (find_or_skip("ssh-agent"), SshServer::start(folder)) else { return };
    // libssh2 finds the agent through the environment, which only a process of its own may change: the test program runs
    // itself with the variable set.
    let socket = folder.join("agent.sock");
    let _agent =
        Server::start(Command::new(agent).arg("-D").arg("-a").arg(&socket).stdout(std::process::Stdio::null()));
    wait_for("the agent", || socket.exists());
    run(Command::new("ssh-add").arg("-q").arg(server.file("user")).env("SSH_AUTH_SOCK", &socket));
    let plan = folder.join("agent-plan");
    let lines = [
        server.url(&bare),
        folder.display().to_string(),
        server.known_hosts("host").display().to_string(),
        repo.head(),
    ];
    std::fs::write(&plan, lines.join("\n")).unwrap();
    let me = std::fs::read_link("/proc/self/exe").unwrap();
    run(Command::new(me)
        .args(["--exact", "source_ssh::agent_child", "--ignored", "--nocapture"])
        .current_dir(folder)
        .env("SSH_AUTH_SOCK", &socket));
    assert!(folder.join("agent-done").exists(), "the child did not run");
}

/// Runs in a process of its own, started by the test above in its folder.
#[tokio::test]
#[ignore = "started by an_agent_serves_its_key"]
async fn agent_child() {
    let Ok(plan) = std::fs::read_to_string("agent-plan") else { return };
    let [address, folder, known_hosts, head] = plan.lines().collect::<Vec<_>>().try_into().unwrap();
    let mut config = config(address, Path::new(folder), PathBuf::new(), Some(PathBuf::from(known_hosts)));
    config.credentials.ssh_key = None;
    config.credentials.use_agent = true;
    assert_eq!(Source::open(config).unwrap().fetch().await.unwrap().commit, CommitId::new(head));
    std::fs::write("agent-done", "").unwrap();
}
