//! Over a real socket, with the real store; only the reconcile loop is absent.

use super::*;
use crate::apply::testing::{plan_of, strategy};
use crate::daemon::status::{DeploymentStatus, Status};
use crate::daemon::testing::{View, channel};
use crate::daemon::{ApplyOrder, Handle};
use crate::event::{Event, Fact};
use crate::model::{DeploymentName, InstanceId, OnFailure, StrategyKind, Timestamp};
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
        let serving = serve(socket, self.handle.clone(), self.stop.clone());
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
            assert_eq!(client.plan().await.unwrap()["id"], "7c1e42ab90d1");
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
            let seen = crate::store::ObservedInstance::absent(api.clone());
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
    use crate::model::ScheduleName;
    use crate::schedule::RunVerdict;
    use crate::store::{DueKey, FireOutcome, RunState};
    let bench = Bench::new();
    bench.loaded();
    let (ledger, nightly) = (bench.store.ledger("prod"), ScheduleName::new("nightly"));
    let (due, at) = (DueKey::Manual("m1".to_owned()), Timestamp::UNIX_EPOCH);
    ledger.fire(&nightly, &due, FireOutcome::Started, Some("r1"), at).unwrap();
    ledger.settle_interrupted("r1", RunVerdict::Aborted, "gone", at).unwrap();
    bench
        .with(async |client| {
            let runs = client.runs(&nightly, 10).await.unwrap();
            assert_eq!((runs.len(), &runs[0].due, runs[0].state), (1, &due, RunState::Interrupted));
            assert!(client.runs(&ScheduleName::new("hourly"), 10).await.unwrap().is_empty());
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
            let allow = ["prune", "retry:shop/api", "data-loss:shop_data"].map(|text| text.parse().unwrap());
            let order = ApplyOrder { plan: all, allow: allow.into() };
            let error = client.apply(&order).await.unwrap_err();
            assert!(matches!(&error, ClientError::Refused { status: 503, .. }), "{error}");
        })
        .await;
}
