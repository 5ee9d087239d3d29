//! Who is served over TLS and who is not, and that a call which met a failed handshake was never sent.

use crate::model::{TaskAddress, TaskProtocol};
use crate::wire::connection::Connection;
use crate::wire::start::tests::start;
use crate::wire::testing::{
    Authority, BOUND, SHORT, acknowledge, chain, orchestrator, put, runner, runner_with, spawn, tls,
};
use crate::wire::tls::tests::{older, showing, wait};
use crate::wire::{
    CallError, ConnectError, ListenError, Listener, OrchestratorChannel, PreparedStart, TaskChannel, Tls,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn any() -> TaskAddress {
    TaskAddress::Tls("127.0.0.1".to_owned(), 0)
}

fn port(address: &TaskAddress) -> u16 {
    let (TaskAddress::Tls(_, port) | TaskAddress::Tcp(_, port)) = address else { unreachable!() };
    *port
}

async fn started(address: &TaskAddress, tls: Option<Tls>) -> Result<(), CallError> {
    let prepared = PreparedStart::new(&start(), TaskProtocol::Json);
    TaskChannel::new(address.clone(), None, tls).start(&prepared, BOUND).await.map(drop)
}

/// A start that was never sent, and why.
async fn unsent(address: &TaskAddress, tls: Option<Tls>) -> (ConnectError, String) {
    let begin = Instant::now();
    let error = started(address, tls).await.unwrap_err();
    assert!(begin.elapsed() < BOUND / 2, "it is told at once");
    let text = chain(&error);
    match error {
        CallError::Unreachable { source, .. } => (source, text),
        other => panic!("{other:?}"),
    }
}

/// A runner that may not be called while this is there.
struct Untouched {
    called: Arc<AtomicBool>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Drop for Untouched {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || !self.called.load(Ordering::Relaxed), "a call came through");
    }
}

async fn untouched(address: &TaskAddress, tls: Tls) -> (TaskAddress, Untouched) {
    let called = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&called);
    let (address, stop, _) = runner_with(address, Some(tls), move |_| seen.store(true, Ordering::Relaxed)).await;
    (address, Untouched { called, _stop: stop })
}

/// What is logged on this thread while the guard lives.
fn log() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
    #[derive(Clone)]
    struct To(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for To {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let text = Arc::new(Mutex::new(Vec::new()));
    let to = To(Arc::clone(&text));
    let logged = tracing_subscriber::fmt().with_ansi(false).with_writer(move || to.clone()).finish();
    (text, tracing::subscriber::set_default(logged))
}

fn lines(log: &Mutex<Vec<u8>>, with: &str) -> Vec<String> {
    let text = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    text.lines().filter(|line| line.contains(with)).map(ToOwned::to_owned).collect()
}

type Refused = (Tls, &'static str, &'static str);

/// A server's certificates, and clients' that it refuses: with what the client is told and what the server logs. The
/// folders hold the files.
fn refused() -> (Tls, [Refused; 3], [tempfile::TempDir; 3]) {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [ours, theirs, late] = &folders;
    let ca = Authority::new();
    let tls = Tls::load(&ca.issue(ours.path(), |_| {})).unwrap();
    let stranger = Authority::new().issue(theirs.path(), |_| {});
    let expired = ca.issue(late.path(), |params| params.not_after = rcgen::date_time_ymd(2002, 1, 1));
    let cases = [
        (showing(&tls, None), "CertificateRequired", "peer sent no certificates"),
        (showing(&tls, Some(&stranger)), "UnknownCA", "UnknownIssuer"),
        (showing(&tls, Some(&expired)), "CertificateExpired", "certificate expired"),
    ];
    (tls, cases, folders)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_refused_before_its_start_is_sent_and_told_why() {
    let (tls, clients, _folders) = refused();
    let (address, _stop) = untouched(&any(), tls).await;
    for (client, told, _) in clients {
        // Often, since the end of the connection and the word about it race.
        for _ in 0..50 {
            let (error, text) = unsent(&address, Some(client.clone())).await;
            assert!(matches!(error, ConnectError::Rejected(_)), "{error:?}");
            assert!(text.contains(told), "{text}");
        }
        let (error, text) = unsent(&address, Some(older(&client))).await;
        assert!(matches!(error, ConnectError::Tls(_)), "TLS 1.2 tells it within the handshake: {text}");
    }
}

#[tokio::test]
async fn who_was_refused_is_logged() {
    let (log, _guard) = log();
    let (tls, clients, _folders) = refused();
    let (address, _stop) = untouched(&any(), tls).await;
    for (client, _, logged) in clients {
        unsent(&address, Some(client)).await;
        let lines = lines(&log, logged);
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(line.contains("WARN") && line.contains("peer=127.0.0.1:"), "{line}");
    }
}

#[tokio::test]
async fn tls_1_2_is_spoken_too() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::load(&Authority::new().issue(folder.path(), |_| {})).unwrap();
    let (address, _stop, _) = runner_with(&any(), Some(tls.clone()), acknowledge).await;
    started(&address, Some(older(&tls))).await.unwrap();
}

#[tokio::test]
async fn a_server_is_refused_that_is_not_who_it_should_be() {
    let [ours, theirs] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let ca = Authority::new();
    let tls = Tls::load(&ca.issue(ours.path(), |_| {})).unwrap();
    let server = |files: &crate::wire::TlsFiles| showing(&tls, Some(files));
    let cases = [
        (server(&Authority::new().issue(theirs.path(), |_| {})), "UnknownIssuer"),
        (
            server(&ca.issue(theirs.path(), |params| params.not_after = rcgen::date_time_ymd(2002, 1, 1))),
            "certificate expired",
        ),
        (
            server(&ca.issue(theirs.path(), |params| {
                params.subject_alt_names = vec![rcgen::SanType::DnsName("other.example".try_into().unwrap())];
            })),
            "certificate not valid for name \"127.0.0.1\"; certificate is only valid for DnsName(\"other.example\")",
        ),
    ];
    for (server, told) in cases {
        let (address, _stop) = untouched(&any(), server).await;
        let (error, text) = unsent(&address, Some(tls.clone())).await;
        assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
        assert!(text.contains(told), "{text}");
    }
}

#[tokio::test]
async fn a_server_is_known_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let named = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().unwrap())];
    };
    let tls = Tls::load(&Authority::new().issue(folder.path(), named)).unwrap();
    let (address, _stop, _) = runner_with(&any(), Some(tls.clone()), acknowledge).await;
    started(&TaskAddress::Tls("localhost".to_owned(), port(&address)), Some(tls)).await.unwrap();
}

#[tokio::test]
async fn a_service_of_the_repo_is_known_by_its_own_name_and_not_by_where_it_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let named = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("task1".try_into().unwrap())];
    };
    let tls = Tls::load(&Authority::new().issue(folder.path(), named)).unwrap();
    let (address, _stop, _) = runner_with(&any(), Some(tls.clone()), acknowledge).await;
    let published = |name: &str| {
        let (name, host) = (name.to_owned(), "127.0.0.1".to_owned());
        TaskAddress::TlsService { name, host, port: port(&address) }
    };
    started(&published("task1"), Some(tls.clone())).await.unwrap();
    let (error, text) = unsent(&published("task2"), Some(tls)).await;
    assert!(matches!(error, ConnectError::Tls(_)) && text.contains("task2"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_text_and_tls_that_meet_say_so() {
    let (address, _stop) = untouched(&any(), tls().unwrap()).await;
    for _ in 0..50 {
        let (error, text) = unsent(&TaskAddress::Tcp("127.0.0.1".to_owned(), port(&address)), None).await;
        assert!(matches!(error, ConnectError::SpeaksTls), "{text}");
    }
    let (address, _stop) = untouched(&TaskAddress::Tcp("127.0.0.1".to_owned(), 0), tls().unwrap()).await;
    let there = TaskAddress::Tls("127.0.0.1".to_owned(), port(&address));
    let (error, text) = unsent(&there, tls()).await;
    assert!(matches!(error, ConnectError::Plain), "{text}");
    let url = format!("tls://127.0.0.1:{}", port(&there));
    let told =
        format!("StartTask: {url} cannot be reached: it does not speak TLS there; write its address without `tls://`");
    assert_eq!(text, told);
}

#[tokio::test]
async fn a_peer_that_is_silent_in_the_handshake_costs_no_more_than_the_bound() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = TaskAddress::Tls("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
    let prepared = PreparedStart::new(&start(), TaskProtocol::Json);
    let error = TaskChannel::new(address, None, tls()).start(&prepared, SHORT).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { source: ConnectError::TimedOut(_), .. }), "{error:?}");
}

#[tokio::test]
async fn an_address_with_tls_needs_certificates() {
    let address = TaskAddress::Tls("127.0.0.1".to_owned(), 1);
    let (error, text) = unsent(&address, None).await;
    assert!(matches!(error, ConnectError::NoTls), "{error:?}");
    assert!(text.ends_with("set `tls-cert`, `tls-key` and `tls-ca`"), "{text}");
    let error = Listener::bind(&address, None).await.unwrap_err();
    assert!(matches!(error, ListenError::NoTls { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "cannot listen on tls://127.0.0.1:1 without certificates: set `tls-cert`, `tls-key` and `tls-ca`"
    );
}

#[tokio::test]
async fn peers_that_say_nothing_hold_up_no_other_and_are_given_up() {
    let (log, _guard) = log();
    let (address, _stop, _) = runner(&any(), acknowledge).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(("127.0.0.1", port(&address))).await.unwrap());
    }
    let begin = Instant::now();
    started(&address, tls()).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    let mut last = silent.pop().unwrap();
    let end = tokio::time::timeout(Duration::from_secs(7), last.read(&mut [0; 1])).await;
    assert!(matches!(end, Ok(Ok(0))), "{end:?}");
    assert!(!lines(&log, "took too long").is_empty());
    started(&address, tls()).await.unwrap();
}

#[tokio::test]
async fn many_that_come_at_once_are_all_served() {
    let (address, _stop, _) = runner(&any(), acknowledge).await;
    let all = futures_util::future::join_all((0..100).map(|_| started(&address, tls()))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
}

#[tokio::test]
async fn replaced_files_are_used_by_the_next_connection() {
    let (log, _guard) = log();
    let [here, there] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (old, new) = (Authority::new(), Authority::new());
    let server = Tls::load(&old.issue(here.path(), |_| {})).unwrap();
    let (address, _stop, _) = runner_with(&any(), Some(server.clone()), acknowledge).await;
    let client = Tls::load(&old.issue(there.path(), |_| {})).unwrap();
    let prepared = PreparedStart::new(&start(), TaskProtocol::Json);
    let channel = TaskChannel::new(address.clone(), None, Some(client.clone()));
    channel.start(&prepared, BOUND).await.unwrap();

    new.issue(here.path(), |_| {});
    wait(&server);
    let (_, text) = unsent(&address, Some(client.clone())).await;
    assert!(text.contains("UnknownIssuer"), "a new connection meets the new certificate: {text}");
    channel.start(&prepared, BOUND).await.unwrap();

    new.issue(there.path(), |_| {});
    wait(&client);
    started(&address, Some(client.clone())).await.unwrap();
    assert_eq!(lines(&log, "new certificates are in use").len(), 2, "one side after the other");

    put(here.path(), "cert.pem", "broken");
    for _ in 0..2 {
        wait(&server);
        started(&address, Some(client.clone())).await.unwrap();
    }
    let told = lines(&log, "the old ones stay");
    assert!(matches!(told.as_slice(), [one] if one.contains("cert.pem") && one.contains("no certificate")), "{told:?}");
}

/// A peer that does `then` with the connection.
async fn peer_that<F>(then: fn(TcpStream) -> F) -> TaskAddress
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = TaskAddress::Tls("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
    spawn(async move { then(listener.accept().await.unwrap().0).await });
    address
}

#[tokio::test]
async fn a_server_that_hangs_up_within_the_handshake_or_after_it_was_sent_nothing() {
    let address = peer_that(|mut stream| async move { drop(stream.read_u8().await) }).await;
    let (error, text) = unsent(&address, tls()).await;
    assert!(matches!(error, ConnectError::Tls(_)), "{text}");
    let address = peer_that(|stream| async move { drop(tls().unwrap().accept(stream).await) }).await;
    let (error, text) = unsent(&address, tls()).await;
    assert!(matches!(error, ConnectError::Rejected(_)), "{text}");
}

#[tokio::test]
async fn a_server_that_is_silent_after_the_handshake_was_sent_nothing() {
    let address = peer_that(|stream| async move {
        let stream = tls().unwrap().accept(stream).await;
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let prepared = PreparedStart::new(&start(), TaskProtocol::Json);
    let error = TaskChannel::new(address, None, tls()).start(&prepared, SHORT).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { source: ConnectError::TimedOut(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_may_wait_for_the_client_to_begin() {
    let address = peer_that(|stream| async move {
        let mut stream = tls().unwrap().accept(stream).await.unwrap();
        stream.read_exact(&mut [0; 24]).await.unwrap();
        // Empty settings.
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let connection = tokio::time::timeout(BOUND, Connection::open(&address, None, tls().as_ref())).await.unwrap();
    assert!(!connection.unwrap().is_closed());
}

#[tokio::test]
async fn the_way_to_the_orchestrator_is_guarded_as_well() {
    let (address, _notices) = orchestrator(&any(), 1).await;
    OrchestratorChannel::new(address.clone(), tls()).health("x", BOUND).await.unwrap();
    let error = OrchestratorChannel::new(address, Some(showing(&tls().unwrap(), None))).health("x", BOUND).await;
    assert!(matches!(error, Err(CallError::Unreachable { .. })), "{error:?}");
}
