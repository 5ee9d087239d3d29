//! Over a real socket, with the real store; only the reconcile loop is absent.

use super::dto::{ApplyOrder, Problem};
use super::*;
use crate::apply::testing::{plan_of, strategy};
use crate::daemon::Handle;
use crate::daemon::status::{DeploymentStatus, Status};
use crate::daemon::testing::{View, channel};
use crate::event::{Event, Fact};
use crate::model::{DeploymentName, InstanceId, NodeName, OnFailure, RunId, StrategyKind, Timestamp};
use crate::store::{EventFilter, Store};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

/// A served API and what it stands on.
struct Bench {
    dir: tempfile::TempDir,
    store: Store,
    handle: Handle,
    status: tokio::sync::watch::Sender<Arc<Status>>,
    view: tokio::sync::watch::Sender<Option<Arc<View>>>,
    stop: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (handle, status, view) = channel(&store);
        Self { dir, store, handle, status, view, stop: CancellationToken::new() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("run/setpoint.sock")
    }

    /// Serves while `work` runs.
    async fn with<T>(&self, work: impl AsyncFnOnce(Client) -> T) -> T {
        let socket = Socket::bind(&self.path()).unwrap();
        let client = Client::new(&self.path());
        let serving = serve(Listener::Unix(socket), self.handle.clone(), self.stop.clone());
        let work = async {
            let result = work(client).await;
            self.stop.cancel();
            result
        };
        let (served, result) = futures_util::join!(serving, work);
        served.unwrap();
        result
    }

    fn loaded(&self) {
        self.status.send_modify(|status| {
            let status = Arc::make_mut(status);
            status.environment = Some("prod".to_owned());
            status.deployments =
                vec![DeploymentStatus { name: DeploymentName::new("shop"), sync: None, suspended: false }];
        });
    }
}

fn stopped(second: i64) -> Event {
    Event { at: Timestamp::from_second(second).unwrap(), fact: Fact::DaemonStopped }
}

#[tokio::test]
async fn status_plan_and_events_are_read() {
    let bench = Bench::new();
    bench
        .with(async |client| {
            let status = client.status().await.unwrap();
            assert_eq!((status.version, status.environment), (1, None));
            let error = client.plan().await.unwrap_err();
            assert!(matches!(&error, ClientError::Refused { status: 404, problem } if problem.code == "not_found"));
            let plan = plan_of(2, &[("shop", strategy(StrategyKind::Parallel, 2, OnFailure::Rollback))]);
            bench.view.send_replace(Some(Arc::new(View::new(&plan))));
            assert_eq!(client.plan().await.unwrap().id, "7c1e42ab90d1");
            for second in 0..3 {
                bench.store.record(&stopped(second)).unwrap();
            }
            let filter = EventFilter { limit: 2, ..EventFilter::default() };
            let page = client.events(&filter, Duration::ZERO).await.unwrap();
            assert_eq!((page.events.len(), page.next), (2, 2));
            let filter = EventFilter { after: Some(page.next), kind: Some("daemon_stopped".to_owned()), ..filter };
            let page = client.events(&filter, Duration::ZERO).await.unwrap();
            assert_eq!(page.events.iter().map(|event| event.id).collect::<Vec<_>>(), [3]);
        })
        .await;
}

#[tokio::test]
async fn a_long_poll_ends_with_the_event_or_the_daemon() {
    let bench = Bench::new();
    let begin = Instant::now();
    bench
        .with(async |client| {
            let filter = EventFilter::default();
            let wait = client.events(&filter, Duration::from_secs(30));
            let act = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                bench.store.record(&stopped(0)).unwrap();
            };
            let (page, ()) = futures_util::join!(wait, act);
            let page = page.unwrap();
            assert_eq!(page.events.len(), 1);
            let filter = EventFilter { after: Some(page.next), ..filter };
            let wait = client.events(&filter, Duration::from_secs(30));
            let act = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                bench.stop.cancel();
            };
            let (page, ()) = futures_util::join!(wait, act);
            assert!(page.unwrap().events.is_empty());
        })
        .await;
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn suspend_and_resume_reach_the_store() {
    let bench = Bench::new();
    let (shop, other) = (DeploymentName::new("shop"), DeploymentName::new("other"));
    bench
        .with(async |client| {
            let error = client.suspend(&shop).await.unwrap_err();
            assert!(matches!(&error, ClientError::Refused { status: 503, .. }), "{error:?}");
            bench.loaded();
            assert!(client.suspend(&shop).await.unwrap().changed);
            assert!(!client.suspend(&shop).await.unwrap().changed);
            let memory = bench.store.ledger("prod").memory(Timestamp::UNIX_EPOCH).unwrap();
            assert!(memory.suspended.contains(&shop));
            assert!(client.resume(&shop).await.unwrap().changed);
            let error = client.suspend(&other).await.unwrap_err();
            let ClientError::Refused { status: 404, problem } = error else { panic!("{error:?}") };
            assert!(problem.error.contains("`other`") && problem.hint.is_some(), "{problem:?}");
            assert!(client.poke().await.unwrap().changed);
        })
        .await;
}

#[tokio::test]
async fn why_takes_an_instance_and_says_when_it_knows_none() {
    let bench = Bench::new();
    bench.loaded();
    let api: InstanceId = "shop/api/1".parse().unwrap();
    bench
        .with(async |client| {
            let error = client.why(&api).await.unwrap_err();
            assert!(matches!(&error, ClientError::Refused { status: 404, .. }), "{error:?}");
            let seen = crate::store::ObservedInstance::absent(NodeName::local(), api.clone());
            bench.store.ledger("prod").saw(&[seen], "looked", Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(client.why(&api).await.unwrap().history.len(), 1);
        })
        .await;
}

/// Sends bytes and reads the whole answer.
async fn raw(path: &Path, request: &str) -> String {
    let mut stream = tokio::net::UnixStream::connect(path).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
    read.await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn every_error_has_the_same_form() {
    let bench = Bench::new();
    bench.loaded();
    bench
        .with(async |_| {
            let close = "Host: x\r\nConnection: close\r\n";
            for (request, status, code) in [
                (format!("GET /v2 HTTP/1.1\r\n{close}\r\n"), 404, "not_found"),
                (format!("GET /v1/poke HTTP/1.1\r\n{close}\r\n"), 405, "method_not_allowed"),
                (format!("GET /v1/events?limit=many HTTP/1.1\r\n{close}\r\n"), 400, "bad_request"),
                (format!("GET /v1/events?nonsense=1 HTTP/1.1\r\n{close}\r\n"), 400, "bad_request"),
                (format!("GET /v1/why/shop HTTP/1.1\r\n{close}\r\n"), 400, "bad_request"),
                (format!("POST /v1/poke HTTP/1.1\r\n{close}Content-Length: 70000\r\n\r\n"), 413, "too_large"),
            ] {
                let answer = raw(&bench.path(), &request).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{answer}");
                let body = answer.split("\r\n\r\n").nth(1).unwrap();
                let problem: Problem = serde_json::from_str(body).unwrap();
                assert_eq!(problem.code, code, "{request}");
                assert!(problem.hint.is_some() && !problem.error.is_empty());
            }
        })
        .await;
}

#[tokio::test]
async fn the_socket_is_private_and_goes_with_its_daemon() {
    let bench = Bench::new();
    let path = bench.path();
    let error = Client::new(&path).status().await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error:?}");
    bench
        .with(async |_| {
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(path.parent().unwrap()), 0o700);
            let error = Socket::bind(&path).unwrap_err();
            assert!(matches!(error, BindError::InUse { .. }), "{error:?}");
        })
        .await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_file_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("setpoint.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "as a killed daemon leaves it");
    drop(Socket::bind(&path).unwrap());
    std::fs::write(&path, "precious").unwrap();
    let error = Socket::bind(&path).unwrap_err();
    assert!(matches!(error, BindError::Occupied { .. }), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn runs_are_read_and_a_run_is_asked_for() {
    use super::dto::RunState;
    use crate::model::ScheduleName;
    use crate::schedule::RunVerdict;
    use crate::store::{DueKey, FireOutcome};
    let bench = Bench::new();
    bench.loaded();
    let (ledger, nightly) = (bench.store.ledger("prod"), ScheduleName::new("nightly"));
    let (due, at) = (DueKey::Manual(RunId::new("m1")), Timestamp::UNIX_EPOCH);
    ledger.fire(&nightly, &due, FireOutcome::Started, Some(&RunId::new("r1")), at).unwrap();
    ledger.settle_interrupted(&RunId::new("r1"), RunVerdict::Aborted, "gone", at).unwrap();
    bench
        .with(async |client| {
            let runs = client.runs(Some(&nightly), 10).await.unwrap();
            assert_eq!((runs.len(), runs[0].due.as_str(), runs[0].state), (1, "manual:m1", RunState::Interrupted));
            assert!(client.runs(Some(&ScheduleName::new("hourly")), 10).await.unwrap().is_empty());
            assert_eq!(client.run_record("r1").await.unwrap().run, runs[0]);
            let error = client.run_record("r9").await.unwrap_err();
            assert!(matches!(&error, ClientError::Refused { status: 404, .. }), "{error}");
            // There is no daemon behind this API.
            let error = client.run(&nightly).await.unwrap_err();
            assert!(matches!(&error, ClientError::Refused { status: 503, .. }), "{error}");
        })
        .await;
}

#[tokio::test]
async fn an_order_that_names_no_plan_or_guard_is_refused_before_anybody_is_asked() {
    let bench = Bench::new();
    bench
        .with(async |client| {
            let all = "7c1e42ab90d1".repeat(6)[..64].to_owned();
            for (body, says) in [
                (String::new(), "is not understood"),
                ("{".to_owned(), "is not understood"),
                ("{}".to_owned(), "`plan`"),
                ("{\"plan\": 7}".to_owned(), "is not understood"),
                ("{\"plan\": \"\"}".to_owned(), "is not a plan id"),
                ("{\"plan\": \"7c1e42ab90d\"}".to_owned(), "is not a plan id"),
                (format!("{{\"plan\": \"{all}0\"}}"), "is not a plan id"),
                ("{\"plan\": \"7C1E42AB90D1\"}".to_owned(), "is not a plan id"),
                ("{\"plan\": \"7c1e42ab90d1\", \"allow\": [\"all\"]}".to_owned(), "`all` is not a guard"),
                ("{\"plan\": \"7c1e42ab90d1\", \"allow\": [\"data-loss\"]}".to_owned(), "must name what may be lost"),
                ("{\"plan\": \"7c1e42ab90d1\", \"yes\": true}".to_owned(), "`yes`"),
            ] {
                let head = format!("Host: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                let answer = raw(&bench.path(), &format!("POST /v1/apply HTTP/1.1\r\n{head}{body}")).await;
                assert!(answer.starts_with("HTTP/1.1 400 "), "{body}: {answer}");
                let problem: Problem = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
                assert!(problem.error.contains(says) && problem.hint.is_some(), "{body}: {problem:?}");
            }
            for head in ["Content-Length: 65537", "Transfer-Encoding: chunked"] {
                let head = format!("Host: x\r\nConnection: close\r\n{head}\r\n\r\n");
                let answer = raw(&bench.path(), &format!("POST /v1/apply HTTP/1.1\r\n{head}")).await;
                assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
            }
            // There is no daemon behind this API; what is well formed comes as far as that.
            let allow = ["prune", "retry:shop/api", "data-loss:shop_data"].map(str::to_owned);
            let order = ApplyOrder { plan: all, allow: allow.into() };
            let error = client.apply(&order).await.unwrap_err();
            assert!(matches!(&error, ClientError::Refused { status: 503, .. }), "{error}");
        })
        .await;
}

/// A socket whose peers have this role.
struct Lesser(tokio::net::UnixListener, Role);

impl axum::serve::Listener for Lesser {
    type Io = tokio::net::UnixStream;
    type Addr = Role;

    async fn accept(&mut self) -> (Self::Io, Role) {
        (axum::serve::Listener::accept(&mut self.0).await.0, self.1)
    }

    fn local_addr(&self) -> std::io::Result<Role> {
        Ok(self.1)
    }
}

impl axum::extract::connect_info::Connected<axum::serve::IncomingStream<'_, Lesser>> for Principal {
    fn connect_info(stream: axum::serve::IncomingStream<'_, Lesser>) -> Self {
        Self { name: "user 7".to_owned(), role: *stream.remote_addr() }
    }
}

#[tokio::test]
async fn each_route_refuses_who_has_a_lower_role_than_it_needs() {
    let mut refused = 0;
    for role in [Role::Read, Role::Write, Role::Admin] {
        let bench = Bench::new();
        let path = bench.dir.path().join("lesser.sock");
        let listener = Lesser(tokio::net::UnixListener::bind(&path).unwrap(), role);
        let shared = routes::Shared {
            handle: bench.handle.clone(),
            stop: bench.stop.clone(),
            requests: tokio_util::task::TaskTracker::new(),
        };
        let service = routes::router(shared).into_make_service_with_connect_info::<Principal>();
        let serving = axum::serve(listener, service).with_graceful_shutdown(bench.stop.clone().cancelled_owned());
        let asking = async {
            for route in routes::routes() {
                let place = route.path.replace("{*instance}", "shop/api/1").replace(['{', '}'], "");
                let mut answers = Vec::new();
                for method in ["GET", "POST"] {
                    let head = "Host: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
                    answers.push(raw(&path, &format!("{method} {place} HTTP/1.1\r\n{head}")).await);
                }
                let forbidden: Vec<&String> =
                    answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 403 ")).collect();
                // A method that the route does not have is reported as such, whatever the role.
                assert_eq!(forbidden.len(), usize::from(role < route.role), "{role} {place}: {answers:?}");
                for answer in forbidden {
                    let problem: Problem = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
                    let says = format!("needs the role `{}`, and the role of user 7 is `{role}`", route.role);
                    assert!(problem.code == "forbidden" && problem.error.contains(&says), "{problem:?}");
                    refused += 1;
                }
            }
            bench.stop.cancel();
        };
        let (served, ()) = futures_util::join!(serving.into_future(), asking);
        served.unwrap();
    }
    assert!(refused >= 6, "{refused}");
}

#[tokio::test]
async fn several_listeners_answer_at_once_and_end_together() {
    let bench = Bench::new();
    let paths = ["one.sock", "two.sock"].map(|name| bench.dir.path().join(name));
    let serving = paths
        .each_ref()
        .map(|path| serve(Listener::Unix(Socket::bind(path).unwrap()), bench.handle.clone(), bench.stop.clone()));
    let asking = async {
        // One waits at the first, and the second answers.
        let (first, second) = (Client::new(&paths[0]), Client::new(&paths[1]));
        let filter = EventFilter::default();
        let waiting = first.events(&filter, Duration::from_secs(30));
        let other = async {
            assert_eq!(second.status().await.unwrap().version, 1);
            tokio::time::sleep(Duration::from_millis(50)).await;
            bench.stop.cancel();
        };
        let (page, ()) = futures_util::join!(waiting, other);
        assert!(page.unwrap().events.is_empty());
    };
    let (served, ()) = futures_util::join!(futures_util::future::join_all(serving), asking);
    assert!(served.iter().all(Result::is_ok), "{served:?}");
    assert!(paths.iter().all(|path| !path.exists()));
}

#[tokio::test]
async fn logs_need_an_engine_and_are_read_line_by_line() {
    use crate::daemon::LogsOf;
    use futures_util::StreamExt;
    let bench = Bench::new();
    bench.loaded();
    let of = LogsOf { name: "shop/api".to_owned(), tail: Some(3), follow: true, timestamps: true };
    bench
        .with(async |client| {
            let Err(error) = client.logs(&of).await else { panic!("there is no engine") };
            assert!(matches!(&error, ClientError::Refused { status: 503, .. }), "{error}");
        })
        .await;
    // A daemon that writes half a line at a time, and breaks off in order.
    let path = bench.dir.path().join("half.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = stream.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..length]).into_owned();
        assert!(head.starts_with("GET /v1/logs?name=shop%2Fapi&follow=true&timestamps=true&tail=3 "), "{head}");
        let chunks = [
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"containers\":[\"shop-api-1\"]}\n{\"container\":",
            "\"shop-api-1\",\"stream\":\"stderr\",\"at\":null,\"text\":\"one\"}\n{\"container\":\"shop-api-1\",\"stream\":\"std",
            "out\",\"at\":\"2026-03-01T06:00:00Z\",\"text\":\"two\"}\n{\"error\":\"it went\",\"code\":\"unavailable\",\"hint\":null}\n",
        ];
        for chunk in chunks {
            stream.write_all(chunk.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let asking = async {
        let (containers, mut lines) = Client::new(&path).logs(&of).await.unwrap();
        assert_eq!(containers, ["shop-api-1"]);
        let (one, two) = (lines.next().await.unwrap().unwrap(), lines.next().await.unwrap().unwrap());
        assert_eq!((one.text.as_str(), one.stream, one.at), ("one", dto::LogStream::Stderr, None));
        assert_eq!((two.text.as_str(), two.at.unwrap().as_second()), ("two", 1_772_344_800));
        let end = lines.next().await.unwrap().unwrap_err();
        assert!(end.to_string().contains("it went"), "{end}");
        assert!(lines.next().await.is_none());
    };
    futures_util::join!(serving, asking);
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_answer_keeps_nobody_from_ending() {
    let bench = Bench::new();
    for second in 0..400 {
        let fact = Fact::SourceUnreachable { error: "x".repeat(8 << 10) };
        bench.store.record(&Event { at: Timestamp::from_second(second).unwrap(), fact }).unwrap();
    }
    let begin = Instant::now();
    bench
        .with(async |_| {
            let mut stream = tokio::net::UnixStream::connect(bench.path()).await.unwrap();
            stream.write_all(b"GET /v1/events?limit=400 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            stream.read_exact(&mut [0; 16]).await.unwrap();
            bench.stop.cancel();
            // The end of the server removes its socket, while the peer is still there.
            while bench.path().exists() {
                assert!(begin.elapsed() < Duration::from_secs(20), "it does not end");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            drop(stream);
        })
        .await;
}
