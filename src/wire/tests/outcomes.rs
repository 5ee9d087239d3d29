//! What a failed call says about the task, with peers that fail in each way.

use crate::model::{TaskAddress, TaskId, TaskProtocol};
use crate::wire::start::tests::start;
use crate::wire::testing::{BOUND, SHORT, acknowledge, addresses, orchestrator, runner, spawn, tls, unix};
use crate::wire::{
    CallError, ConnectError, KeepAlive, Listener, NoAnswer, PreparedStart, StartRefused, TaskCall, TaskChannel, Tasks,
    WatchFrom,
};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};
use tokio::sync::mpsc;

fn prepared() -> PreparedStart {
    PreparedStart::new(&start(), TaskProtocol::Json)
}

async fn failed(address: &TaskAddress) -> CallError {
    TaskChannel::new(address.clone(), None, tls()).start(&prepared(), SHORT).await.unwrap_err()
}

fn local(listener: &TcpListener) -> TaskAddress {
    TaskAddress::Tcp("127.0.0.1".to_owned(), listener.local_addr().unwrap().port())
}

/// A peer that reads the request and then does `then` with the connection.
async fn peer_that<F>(then: fn(TcpStream) -> F) -> TaskAddress
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = local(&listener);
    spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.windows(2).any(|pair| pair == b"t1") {
            stream.read_buf(&mut seen).await.unwrap();
        }
        then(stream).await;
    });
    address
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = local(&listener);
    drop(listener);
    let error = failed(&address).await;
    assert!(matches!(error, CallError::Unreachable { source: ConnectError::Connect(_), .. }), "{error:?}");
    let folder = tempfile::tempdir().unwrap();
    let error = failed(&unix(&folder)).await;
    assert!(matches!(error, CallError::Unreachable { source: ConnectError::Connect(_), .. }), "{error:?}");
}

#[tokio::test]
async fn no_connection_within_the_bound() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let at = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::time::timeout(SHORT, TcpStream::connect(at)).await {
        waiting.push(stream.unwrap());
        assert!(waiting.len() < 10, "the queue of the listener should be full by now");
    }
    let error = failed(&local(&listener)).await;
    assert!(matches!(error, CallError::Unreachable { source: ConnectError::TimedOut(_), .. }), "{error:?}");
}

#[tokio::test]
async fn an_address_that_is_none() {
    let error = failed(&TaskAddress::Tcp("a b".to_owned(), 1)).await;
    assert!(matches!(error, CallError::Unreachable { source: ConnectError::Address(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_never_answers() {
    let address = peer_that(|stream| async {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let error = failed(&address).await;
    assert!(matches!(error, CallError::UnknownOutcome { source: NoAnswer::TimedOut(_), .. }), "{error:?}");
    // Nobody accepts, but the kernel took the request.
    let folder = tempfile::tempdir().unwrap();
    let TaskAddress::Unix(path) = unix(&folder) else { unreachable!() };
    let _listener = UnixListener::bind(path).unwrap();
    let error = failed(&unix(&folder)).await;
    assert!(matches!(error, CallError::UnknownOutcome { source: NoAnswer::TimedOut(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_closes_after_the_request() {
    let error = failed(&peer_that(|stream| async { drop(stream) }).await).await;
    assert!(matches!(error, CallError::UnknownOutcome { source: NoAnswer::Lost(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_speaks_something_else() {
    let address = peer_that(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let error = failed(&address).await;
    assert!(matches!(error, CallError::UnknownOutcome { source: NoAnswer::Lost(_), .. }), "{error:?}");
}

#[tokio::test]
async fn a_runner_that_refuses_says_why() {
    let folder = tempfile::tempdir().unwrap();
    for address in addresses(&folder) {
        let mut busy = true;
        let answer = move |call| {
            if let TaskCall::Start(_, reply) = call {
                // What it says in words decides nothing.
                let refused = match busy {
                    true => StartRefused::Busy("no place".to_owned()),
                    false => StartRefused::Final("not in IDLE".to_owned()),
                };
                busy = false;
                reply.send(Err(refused)).unwrap();
            }
        };
        let (address, _stop, _) = runner(&address, answer).await;
        let error = failed(&address).await;
        assert!(matches!(&error, CallError::Busy { message, .. } if message == "no place"), "{error:?}");
        let error = failed(&address).await;
        assert!(matches!(&error, CallError::Refused { message, .. } if message == "not in IDLE"), "{error:?}");
        let mut wrong = start();
        wrong.key.task_id = TaskId::new("");
        let wrong = PreparedStart::new(&wrong, TaskProtocol::Json);
        let error = TaskChannel::new(address, None, tls()).start(&wrong, BOUND).await.unwrap_err();
        assert!(matches!(&error, CallError::Refused { message, .. } if message.contains("task_id")), "{error:?}");
    }
}

#[tokio::test]
async fn a_runner_that_is_busy_or_stopping_refuses() {
    let (calls, queue) = mpsc::channel(1);
    let listener = Listener::bind(&TaskAddress::Tcp("127.0.0.1".to_owned(), 0), None).await.unwrap();
    let address = listener.address().clone();
    let tasks = Tasks { calls, max_request: 1 << 20 };
    spawn(async move { tasks.serve(listener, SHORT, std::future::pending()).await.unwrap() });
    let error = failed(&address).await;
    assert!(matches!(error, CallError::UnknownOutcome { .. }), "the first one waits in the queue: {error:?}");
    let error = failed(&address).await;
    assert!(matches!(&error, CallError::Busy { message, .. } if message.contains("busy")), "{error:?}");
    drop(queue);
    let error = failed(&address).await;
    assert!(matches!(&error, CallError::Refused { message, .. } if message.contains("stopping")), "{error:?}");
}

#[tokio::test]
async fn a_runner_that_drops_the_call_may_have_acted() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _stop, _) = runner(&unix(&folder), drop).await;
    let error = failed(&address).await;
    assert!(matches!(error, CallError::UnknownOutcome { source: NoAnswer::Status { .. }, .. }), "{error:?}");
}

#[tokio::test]
async fn a_runner_sees_that_its_caller_has_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let (seen, mut waiting) = mpsc::channel(1);
    let answer = move |call| {
        if let TaskCall::Start(_, reply) = call {
            seen.try_send(reply).unwrap();
        }
    };
    let (address, _stop, _) = runner(&unix(&folder), answer).await;
    let channel = TaskChannel::new(address, None, tls());
    let sent = prepared();
    let called = channel.start(&sent, SHORT);
    let (error, reply) = tokio::join!(called, waiting.recv());
    assert!(matches!(error, Err(CallError::UnknownOutcome { source: NoAnswer::TimedOut(_), .. })), "{error:?}");
    tokio::time::timeout(BOUND, reply.unwrap().closed()).await.expect("the reply is closed");
}

#[tokio::test]
async fn a_peer_that_does_not_serve_it() {
    let folder = tempfile::tempdir().unwrap();
    let (address, _notices) = orchestrator(&unix(&folder), 1).await;
    let error = failed(&address).await;
    assert!(matches!(error, CallError::Unsupported { method: "StartTask", .. }), "{error:?}");
    TaskChannel::new(address, None, tls()).warm(BOUND).await.unwrap();
}

#[tokio::test]
async fn a_warm_channel_outlives_a_restart_of_its_peer() {
    let folder = tempfile::tempdir().unwrap();
    let (address, stop, end) = runner(&unix(&folder), acknowledge).await;
    let channel = TaskChannel::new(address.clone(), None, tls());
    channel.start(&prepared(), BOUND).await.unwrap();
    drop(stop);
    end.await.unwrap();
    let error = channel.start(&prepared(), BOUND).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { source: ConnectError::Connect(_), .. }), "{error:?}");
    let (_, _stop, _) = runner(&address, acknowledge).await;
    channel.start(&prepared(), BOUND).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_swallows_a_call_does_not_get_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let TaskAddress::Unix(path) = unix(&folder) else { unreachable!() };
    let listener = UnixListener::bind(&path).unwrap();
    let channel = TaskChannel::new(unix(&folder), None, tls());
    let error = channel.start(&prepared(), SHORT).await.unwrap_err();
    assert!(matches!(error, CallError::UnknownOutcome { source: NoAnswer::TimedOut(_), .. }), "{error:?}");
    let (_held, _) = listener.accept().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let (_, _stop, _) = runner(&unix(&folder), acknowledge).await;
    channel.start(&prepared(), BOUND).await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_runner_is_seen_by_its_watcher_and_a_silent_one_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let keep_alive = KeepAlive { interval: Duration::from_millis(50), timeout: Duration::from_millis(100) };
    let channel = TaskChannel::new(local(&listener), Some(keep_alive), tls());
    let error = channel.watch(&WatchFrom::default(), BOUND).await.unwrap_err();
    assert!(matches!(error, CallError::UnknownOutcome { source: NoAnswer::Lost(_), .. }), "{error:?}");
    let folder = tempfile::tempdir().unwrap();
    let mut open = Vec::new();
    let answer = move |call| {
        if let TaskCall::Watch(_, reply) = call {
            let (events, stream) = mpsc::channel(1);
            open.push(events);
            reply.send(stream).unwrap();
        }
    };
    let (address, stop, end) = runner(&unix(&folder), answer).await;
    let channel = TaskChannel::new(address, None, tls());
    let mut events = channel.watch(&WatchFrom::default(), BOUND).await.unwrap();
    let waited = tokio::time::timeout(SHORT, events.next()).await;
    assert!(waited.is_err(), "nothing happens: {waited:?}");
    drop(stop);
    tokio::time::timeout(BOUND, end).await.expect("an open stream does not hold up the end").unwrap();
}
