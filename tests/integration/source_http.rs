//! Repositories behind http(s): git's own CGI program, real failures, and where secrets must not be.

use crate::support::git::{Repo, files_below, run};
use crate::support::git_server::{HttpServer, short_timeouts};
use crate::support::process::{find_or_skip, free_port};
use setpoint::model::CommitId;
use setpoint::source::{Credentials, Source, SourceConfig, SourceError};
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const TOKEN: &str = "hunter2-sesame-s3cret";

fn config(address: &str, cache: &Path) -> SourceConfig {
    let mut config = SourceConfig::new(address).unwrap();
    config.cache_dir = cache.join("cache");
    config.fetch_timeout = Duration::from_secs(20);
    config
}

fn with_token(address: &str, cache: &Path, token: &str) -> SourceConfig {
    let mut config = config(address, cache);
    config.credentials = Credentials { token: Some(token.to_owned().into()), ..Credentials::default() };
    config
}

/// Everything a user may get to see of an error.
fn whole(error: &SourceError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn a_token_opens_the_repository_and_stays_secret() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), TOKEN, None) else { return };
    let plain = server.url("infra.git");
    let file = repo.folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let mut from_file = config(&plain, &repo.folder.path().join("2"));
    from_file.credentials.token_file = Some(file);
    let user = plain.replace("://", "://ada@");
    let configs = [
        with_token(&plain, &repo.folder.path().join("1"), TOKEN),
        from_file,
        with_token(&user, &repo.folder.path().join("3"), TOKEN),
    ];
    for config in configs {
        let cache = config.cache_dir.clone();
        let source = Source::open(config).unwrap();
        let revision = source.fetch().await.unwrap();
        assert_eq!((revision.commit, revision.reference.as_str()), (CommitId::new(repo.head()), "main"));
        let (_, files) = source.read("HEAD").await.unwrap();
        assert_eq!(files.files.len(), 4);
        assert!(!format!("{source:?} {:?} {}", source.config(), source.config().address).contains(TOKEN));
        let files = files_below(&cache);
        assert!(files.iter().any(|file| file.ends_with("config")));
        for file in files {
            let content = std::fs::read(&file).unwrap();
            assert!(!String::from_utf8_lossy(&content).contains(TOKEN), "{}", file.display());
        }
    }
}

#[tokio::test]
async fn each_failure_is_told_apart_and_shows_no_secret() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), TOKEN, None) else { return };
    let cache = repo.folder.path();
    let failure = async |config| Source::open(config).unwrap().fetch().await.unwrap_err();

    let error = failure(with_token(&server.url("infra.git"), cache, "wrong-token-0123")).await;
    assert!(matches!(error, SourceError::Authentication { .. }) && !error.is_retryable(), "{error:?}");
    assert!(!whole(&error).contains("wrong-token-0123"));

    let error = failure(config(&server.url("infra.git"), cache)).await;
    assert!(error.to_string().ends_with("it asks for a login and no token is configured"), "{error}");

    let error = failure(with_token(&server.url("none.git"), cache, TOKEN)).await;
    assert!(matches!(error, SourceError::MissingRepository { .. }) && !error.is_retryable(), "{error:?}");
    assert!(!whole(&error).contains(TOKEN));

    let error = failure(with_token(&server.url("broken/infra.git"), cache, TOKEN)).await;
    assert!(matches!(error, SourceError::Fetch { .. }) && error.is_retryable(), "{error:?}");

    // The other host would be given the token.
    let error = failure(with_token(&server.url("moved/infra.git"), cache, TOKEN)).await;
    assert!(matches!(error, SourceError::Address { .. }), "{error:?}");
    assert!(error.to_string().contains("redirects") && !whole(&error).contains(TOKEN), "{error}");

    let mut config = with_token(&server.url("infra.git"), cache, TOKEN);
    config.reference = Some("mian".to_owned());
    let error = failure(config).await;
    assert!(error.to_string().ends_with("`mian`; did you mean main?"), "{error}");
}

#[tokio::test]
async fn pushes_force_pushes_and_deleted_branches_are_followed() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), "", None) else { return };
    let source = Source::open(config(&server.url("infra.git"), repo.folder.path())).unwrap();
    let mut topic = config(&server.url("infra.git"), repo.folder.path());
    topic.reference = Some("topic".to_owned());
    let topic = Source::open(topic).unwrap();
    let first = source.fetch().await.unwrap().commit;

    repo.write("deployments/new.yaml", "new\n");
    let second = repo.commit("second");
    repo.git(&["branch", "topic"]);
    repo.push();
    assert_eq!(source.fetch().await.unwrap().commit, CommitId::new(&*second));
    assert_eq!(topic.fetch().await.unwrap().commit, CommitId::new(&*second));
    assert_eq!(source.changed_files(first.as_str(), "HEAD").await.unwrap()[0].path, "deployments/new.yaml");

    repo.git(&["reset", "-q", "--hard", first.as_str()]);
    repo.write("deployments/other.yaml", "other\n");
    let rewritten = repo.commit("rewritten");
    repo.git(&["branch", "-D", "topic"]);
    // In the way of `topic` as a file, were that not removed first.
    repo.git(&["branch", "topic/new"]);
    repo.push();
    assert_eq!(source.fetch().await.unwrap().commit, CommitId::new(&*rewritten));
    let error = topic.fetch().await.unwrap_err();
    assert!(matches!(&error, SourceError::MissingReference { near, .. } if near == &["topic/new"]), "{error}");
    // The revision in use stays readable although no branch leads to it.
    assert_eq!(source.read(&second).await.unwrap().0.summary, "second");

    repo.git(&["branch", "-D", "topic/new"]);
    repo.git(&["branch", "topic"]);
    repo.push();
    assert_eq!(topic.fetch().await.unwrap().commit, CommitId::new(&*rewritten));

    // The default branch of the server changes.
    repo.git(&["branch", "-m", "main", "trunk"]);
    repo.push();
    run(Command::new("git").arg("-C").arg(repo.bare()).args(["symbolic-ref", "HEAD", "refs/heads/trunk"]));
    assert_eq!(source.fetch().await.unwrap().reference, "trunk");
}

#[tokio::test]
async fn an_empty_repository_becomes_readable_with_its_first_push() {
    let repo = Repo::empty();
    let bare = repo.folder.path().join("infra.git");
    run(Command::new("git").args(["init", "-q", "--bare", "-b", "main"]).arg(&bare));
    repo.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
    let Some(server) = HttpServer::start(repo.folder.path(), "", None) else { return };
    let source = Source::open(config(&server.url("infra.git"), repo.folder.path())).unwrap();
    let error = source.fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::Empty { .. }) && error.is_retryable(), "{error:?}");
    repo.write("a.yaml", "a\n");
    let head = repo.commit("first");
    repo.push();
    assert_eq!(source.fetch().await.unwrap().commit, CommitId::new(&*head));
}

#[tokio::test]
async fn a_damaged_clone_is_made_anew() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), "", None) else { return };
    let source = Source::open(config(&server.url("infra.git"), repo.folder.path())).unwrap();
    let head = source.fetch().await.unwrap().commit;
    let clone = source.git_dir().to_owned();
    assert!(clone.starts_with(repo.folder.path().join("cache")));

    let objects = || files_below(&clone.join("objects"));
    type Damage<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let damages: [Damage<'_>; 6] = [
        (
            "truncated packs",
            Box::new(|| {
                for file in objects().into_iter().filter(|file| file.extension().is_some_and(|end| end == "pack")) {
                    let content = std::fs::read(&file).unwrap();
                    std::fs::remove_file(&file).unwrap();
                    std::fs::write(&file, &content[..content.len() / 2]).unwrap();
                }
            }),
        ),
        (
            "packs with flipped bytes",
            Box::new(|| {
                for file in objects().into_iter().filter(|file| file.extension().is_some_and(|end| end == "pack")) {
                    let mut content = std::fs::read(&file).unwrap();
                    let end = content.len() - 20;
                    content[12..end].iter_mut().for_each(|byte| *byte ^= 0x55);
                    std::fs::remove_file(&file).unwrap();
                    std::fs::write(&file, content).unwrap();
                }
            }),
        ),
        ("no objects", Box::new(|| objects().into_iter().for_each(|file| std::fs::remove_file(file).unwrap()))),
        ("no HEAD", Box::new(|| std::fs::remove_file(clone.join("HEAD")).unwrap())),
        ("a bad config", Box::new(|| std::fs::write(clone.join("config"), "[[[").unwrap())),
        ("no clone", Box::new(|| std::fs::remove_dir_all(&clone).unwrap())),
    ];
    for (what, damage) in &damages {
        damage();
        let (revision, files) = source.read("main").await.unwrap_or_else(|error| panic!("read, {what}: {error:?}"));
        assert_eq!((revision.commit.as_str(), files.files.len()), (head.as_str(), 4), "{what}");
        damage();
        let revision = source.fetch().await.unwrap_or_else(|error| panic!("fetch, {what}: {error:?}"));
        assert_eq!(revision.commit, head, "{what}");
        assert_eq!(source.read(head.as_str()).await.unwrap().1.files.len(), 4, "{what}");
    }
}

#[tokio::test]
async fn many_fetches_leave_few_packs_and_lose_nothing() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), "", None) else { return };
    let source = Source::open(config(&server.url("infra.git"), repo.folder.path())).unwrap();
    let first = source.fetch().await.unwrap().commit;
    let packs = || {
        let files = files_below(&source.git_dir().join("objects"));
        files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "pack")).count()
    };
    // As many packs as as many fetches would leave.
    let original = files_below(&source.git_dir().join("objects/pack"));
    let script = format!(
        "set -e; cd {}; for n in $(seq 55); do git commit -q --allow-empty -m $n; \
         printf '%s\\n' HEAD ^HEAD~1 | git pack-objects -q --revs {}/objects/pack/pack; done",
        repo.work().display(),
        source.git_dir().display()
    );
    run(Command::new("sh").arg("-c").arg(script));
    assert!(packs() > 50 && !original.is_empty());
    repo.push();
    let last = source.fetch().await.unwrap().commit;
    assert!(packs() <= 2, "{}", packs());
    assert_eq!(last, CommitId::new(repo.head()));
    for commit in [&first, &last, &CommitId::new(repo.git(&["rev-parse", "HEAD~27"]).clone())] {
        source.read(commit.as_str()).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_unreachable_and_the_clone_stays_readable() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), "", None) else { return };
    let source = Source::open(config(&server.url("infra.git"), repo.folder.path())).unwrap();
    let head = source.fetch().await.unwrap().commit;
    drop(server);
    let error = source.fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }) && error.is_retryable(), "{error:?}");
    assert_eq!(source.read(head.as_str()).await.unwrap().1.files.len(), 4);
}

#[tokio::test]
async fn a_closed_port_and_a_silent_server_are_bounded() {
    short_timeouts();
    let cache = tempfile::tempdir().unwrap();
    let closed = Source::open(config(&format!("http://127.0.0.1:{}/a.git", free_port()), cache.path())).unwrap();
    let error = closed.fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error:?}");

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let wait = async |address: String| {
        let start = Instant::now();
        let error = Source::open(config(&address, cache.path())).unwrap().fetch().await.unwrap_err();
        assert!(matches!(error, SourceError::TimedOut { .. }) && error.is_retryable(), "{address}: {error:?}");
        assert!(start.elapsed() < Duration::from_secs(8), "{address}: {:?}", start.elapsed());
    };
    tokio::join!(
        wait(format!("http://127.0.0.1:{port}/a.git")),
        wait(format!("https://127.0.0.1:{port}/a.git")),
        wait(format!("ssh://git@127.0.0.1:{port}/a.git"))
    );
}

#[tokio::test]
async fn a_token_file_that_is_replaced_counts_from_the_next_fetch_on() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), TOKEN, None) else { return };
    let file = repo.folder.path().join("token");
    std::fs::write(&file, "the-old-token-0123\n").unwrap();
    let mut config = config(&server.url("infra.git"), repo.folder.path());
    config.credentials.token_file = Some(file.clone());
    let source = Source::open(config).unwrap();
    let error = source.fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::Authentication { .. }), "{error:?}");
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
    assert!(!whole(&error).contains("the-old-token-0123"));

    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    assert_eq!(source.fetch().await.unwrap().commit, CommitId::new(repo.head()));

    std::fs::write(&file, "\n").unwrap();
    let error = source.fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::EmptyToken { .. }) && error.to_string().contains("is empty"), "{error:?}");
    std::fs::remove_file(&file).unwrap();
    let error = source.fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::CredentialFile { what: "the token file", .. }), "{error:?}");

    std::fs::write(&file, TOKEN).unwrap();
    assert_eq!(source.fetch().await.unwrap().commit, CommitId::new(repo.head()));
}

#[tokio::test]
async fn files_for_ssh_are_no_matter_of_an_http_repository() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), "", None) else { return };
    let mut config = config(&server.url("infra.git"), repo.folder.path());
    config.credentials.known_hosts = Some(repo.folder.path().join("no/.ssh/known_hosts"));
    config.credentials.ssh_key = Some(repo.folder.path().join("no_key"));
    assert_eq!(Source::open(config).unwrap().fetch().await.unwrap().commit, CommitId::new(repo.head()));
}

#[tokio::test]
async fn a_slow_transfer_that_goes_on_is_waited_for() {
    let repo = Repo::with_files();
    // Incompressible, so that it is sent as it is.
    let noise: Vec<u8> = (0..400_000).map(|_| fastrand::u8(..)).collect();
    std::fs::write(repo.work().join("noise"), noise).unwrap();
    repo.commit("large");
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), "", None) else { return };
    let mut config = config(&server.url("slow/infra.git"), repo.folder.path());
    config.fetch_timeout = Duration::from_secs(1);
    let start = Instant::now();
    assert_eq!(Source::open(config).unwrap().fetch().await.unwrap().commit, CommitId::new(repo.head()));
    assert!(start.elapsed() > Duration::from_secs(4), "it was not slow: {:?}", start.elapsed());
}

/// Each byte resets libgit2's own bound, so only ours ends this.
#[tokio::test]
async fn a_server_that_trickles_is_bounded_and_holds_up_no_read() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), "", None) else { return };
    let mut config = config(&server.url("infra.git"), repo.folder.path());
    config.fetch_timeout = Duration::from_secs(1);
    let mut patient = config.clone();
    patient.fetch_timeout = Duration::from_secs(20);
    let head = Source::open(patient).unwrap().fetch().await.unwrap().commit;
    let port = server.port;
    drop(server);
    let trickle = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = trickle.accept().unwrap();
        let mut text = b"HTTP/1.1 200 OK\r\nX-Slow: ".iter().copied().chain(std::iter::repeat(b'a'));
        while stream.write_all(&[text.next().unwrap()]).is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let source = Source::open(config).unwrap();
    let start = Instant::now();
    let (fetched, read) = tokio::join!(source.fetch(), async { (source.read(head.as_str()).await, start.elapsed()) });
    let (read, read_took) = read;
    assert!(read.is_ok() && read_took < Duration::from_millis(2500), "{read_took:?}");
    assert!(matches!(fetched.unwrap_err(), SourceError::TimedOut { .. }));
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
}

#[tokio::test]
async fn two_sources_share_one_clone() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(server) = HttpServer::start(repo.folder.path(), "", None) else { return };
    let sources: Vec<Source> =
        (0..4).map(|_| Source::open(config(&server.url("infra.git"), repo.folder.path())).unwrap()).collect();
    let results = futures_util::future::join_all(sources.iter().map(Source::fetch)).await;
    for result in results {
        assert_eq!(result.unwrap().commit, CommitId::new(repo.head()));
    }
}

#[tokio::test]
async fn https_needs_a_trusted_certificate() {
    let repo = Repo::with_files();
    repo.bare();
    let Some(openssl) = find_or_skip("openssl") else { return };
    let folder = repo.folder.path().to_owned();
    let make = |arguments: &str| run(Command::new(&openssl).current_dir(&folder).args(arguments.split(' ')));
    make("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority");
    make("req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=localhost");
    std::fs::write(folder.join("ext"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    make("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 2 -extfile ext");
    let tls = (folder.join("leaf.pem"), folder.join("leaf.key"));
    let Some(server) = HttpServer::start(&folder, TOKEN, Some((&tls.0, &tls.1))) else { return };
    let address = format!("https://localhost:{}/infra.git", server.port);

    // In this order: trust is process-wide.
    let error = Source::open(with_token(&address, &folder, TOKEN)).unwrap().fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::Certificate { .. }) && !error.is_retryable(), "{error:?}");
    let mut missing = with_token(&address, &folder, TOKEN);
    missing.credentials.ca_file = Some(folder.join("none.pem"));
    assert!(matches!(Source::open(missing).unwrap_err(), SourceError::CredentialFile { .. }));
    let mut wrong = with_token(&address, &folder, TOKEN);
    wrong.credentials.ca_file = Some(folder.join("ext"));
    assert!(matches!(Source::open(wrong).unwrap_err(), SourceError::CredentialFile { .. }));

    let mut trusted = with_token(&address, &folder, TOKEN);
    trusted.credentials.ca_file = Some(folder.join("ca.pem"));
    assert_eq!(Source::open(trusted).unwrap().fetch().await.unwrap().commit, CommitId::new(repo.head()));
}

fn pem(what: &str, content: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(content);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

/// A certificate that an authority of its own signed, as `authority.pem`, `<name>.pem` and `<name>.key`.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    folder: std::path::PathBuf,
}

impl Authority {
    fn new(folder: &Path) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
        std::fs::write(folder.join("authority.pem"), pem("CERTIFICATE", params.self_signed(&key).unwrap().der()))
            .unwrap();
        Self { issuer: rcgen::Issuer::new(params, key), folder: folder.to_owned() }
    }

    fn sign(&self, file: &str, name: &str, until: i32) -> (std::path::PathBuf, std::path::PathBuf) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let paths = (self.folder.join(format!("{file}.pem")), self.folder.join(format!("{file}.key")));
        std::fs::write(&paths.0, pem("CERTIFICATE", params.signed_by(&key, &self.issuer).unwrap().der())).unwrap();
        std::fs::write(&paths.1, pem("PRIVATE KEY", &key.serialize_der())).unwrap();
        paths
    }
}

#[tokio::test]
async fn a_refused_certificate_is_told_with_its_cause() {
    let repo = Repo::with_files();
    repo.bare();
    let folder = repo.folder.path();
    let authority = Authority::new(folder);
    let good = authority.sign("good", "localhost", 2100);
    let old = authority.sign("old", "localhost", 2001);
    let Some(server) = HttpServer::start(folder, "", Some((&good.0, &good.1))) else { return };
    let Some(expired) = HttpServer::start(folder, "", Some((&old.0, &old.1))) else { return };
    let fetch = async |host: &str, port: u16| {
        let mut config = config(&format!("https://{host}:{port}/infra.git"), folder);
        config.credentials.ca_file = Some(folder.join("authority.pem"));
        Source::open(config).unwrap().fetch().await
    };
    assert_eq!(fetch("localhost", server.port).await.unwrap().commit, CommitId::new(repo.head()));
    let error = fetch("127.0.0.1", server.port).await.unwrap_err();
    assert!(matches!(error, SourceError::Certificate { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("not for `127.0.0.1`") && text.contains("localhost"), "{text}");
    let error = fetch("localhost", expired.port).await.unwrap_err();
    assert!(matches!(error, SourceError::Certificate { .. }), "{error:?}");
    assert!(error.to_string().contains("expired at 2001-01-01"), "{error}");
}
