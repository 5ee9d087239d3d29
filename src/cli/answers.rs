//! Who answers what is asked of a host: its daemon, or this process by itself where none answers.

use super::exit::Failure;
use super::session::{Session, ledger_of};
use crate::api::dto::{Event, LogLine, Run, RunRecord, Status, TaskFigures, Why};
use crate::api::{Client, ClientError};
use crate::daemon::why::why;
use crate::daemon::{Logs, LogsOf, logs};
use crate::model::{InstanceId, RunId, ScheduleName};
use crate::process::clock;
use crate::store::{EventFilter, RunFilter, Store};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use std::time::Duration;

/// Names of containers, and what they write, as it comes.
pub(super) type Written = (Vec<String>, BoxStream<'static, Result<LogLine, Failure>>);

/// Time between two looks into the store while events are waited for; another process may write them.
const LOOK: Duration = Duration::from_millis(250);

/// Who answers. Both give the same answers in the same forms.
pub(super) enum Answers {
    /// The daemon, which keeps this environment.
    Daemon { client: Client, environment: String },
    /// This process, from the store. `None` is the only environment that it knows.
    Alone { store: Store, environment: Option<String> },
}

impl Answers {
    /// The daemon of this host, when it is of this version and keeps the environment that is meant (`None`: whichever); else this
    /// process.
    pub(super) async fn of(session: &Session, environment: Option<&str>) -> Result<Self, Failure> {
        let client = Client::new(&session.socket());
        match client.status().await.ok().and_then(|status| kept(status, environment)) {
            Some(environment) => Ok(Self::Daemon { client, environment }),
            None => Self::alone(session, environment),
        }
    }

    /// This process.
    pub(super) fn alone(session: &Session, environment: Option<&str>) -> Result<Self, Failure> {
        Ok(Self::Alone { store: session.store()?, environment: environment.map(str::to_owned) })
    }

    /// The environment that answers are about.
    pub(super) fn environment(&self) -> Result<String, Failure> {
        match self {
            Self::Daemon { environment, .. } => Ok(environment.clone()),
            Self::Alone { store, environment } => {
                Ok(ledger_of(store, environment.as_deref())?.environment().to_owned())
            }
        }
    }

    /// Why an instance is as it is; `None` when nothing is known of it.
    pub(super) async fn why(&self, instance: &InstanceId) -> Result<Option<Why>, Failure> {
        match self {
            Self::Daemon { client, .. } => found(client.why(instance).await),
            Self::Alone { store, environment } => {
                let ledger = ledger_of(store, environment.as_deref())?;
                Ok(why(&ledger, instance, clock::now())?.map(Into::into))
            }
        }
    }

    /// The newest runs, of one schedule or of all.
    pub(super) async fn runs(&self, schedule: Option<&ScheduleName>, limit: usize) -> Result<Vec<Run>, Failure> {
        match self {
            Self::Daemon { client, .. } => Ok(client.runs(schedule, limit).await?),
            Self::Alone { store, environment } => {
                let filter = RunFilter { schedule: schedule.cloned(), limit, ..RunFilter::default() };
                let runs = ledger_of(store, environment.as_deref())?.runs(&filter)?;
                Ok(runs.into_iter().map(Into::into).collect())
            }
        }
    }

    /// How late the tasks of a schedule start and how long they take.
    pub(super) async fn figures(&self, schedule: &ScheduleName) -> Result<Vec<TaskFigures>, Failure> {
        match self {
            Self::Daemon { client, .. } => Ok(client.figures(schedule).await?),
            Self::Alone { store, environment } => {
                let figures = ledger_of(store, environment.as_deref())?.figures(schedule)?;
                Ok(figures.into_iter().map(Into::into).collect())
            }
        }
    }

    /// A run with its tasks; `None` when it is not on record.
    pub(super) async fn run(&self, id: &str) -> Result<Option<RunRecord>, Failure> {
        match self {
            Self::Daemon { client, .. } => found(client.run_record(id).await),
            Self::Alone { store, environment } => {
                Ok(ledger_of(store, environment.as_deref())?.run(&RunId::new(id))?.map(Into::into))
            }
        }
    }

    /// Events of every environment, in order of time. When there are none, waits for some for at most `wait`. May be dropped while it
    /// waits.
    pub(super) async fn events(&self, filter: &EventFilter, wait: Duration) -> Result<Vec<Event>, Failure> {
        match self {
            Self::Daemon { client, .. } => Ok(client.events(filter, wait).await?.events),
            Self::Alone { store, .. } => {
                let until = clock::monotonic() + wait;
                loop {
                    let events = store.events(filter)?;
                    let left = until.saturating_duration_since(clock::monotonic());
                    if !events.is_empty() || left.is_zero() {
                        return Ok(events.into_iter().map(Into::into).collect());
                    }
                    tokio::time::sleep(left.min(LOOK)).await;
                }
            }
        }
    }

    /// What instances write; `None` when there is no such instance.
    pub(super) async fn logs(&self, session: &Session, of: &LogsOf) -> Result<Option<Written>, Failure> {
        match self {
            Self::Daemon { client, .. } => {
                let written = found(client.logs(of).await)?;
                Ok(written.map(|(containers, lines)| (containers, lines.map(|line| Ok(line?)).boxed())))
            }
            Self::Alone { store, environment } => {
                let owner = ledger_of(store, environment.as_deref())?.owner();
                let found = logs(&session.engine().await?, &owner, of).await?;
                Ok(found.map(|Logs { containers, lines }| {
                    let form = |line: Result<(String, _), _>| line.map(|(name, line)| LogLine::new(&name, line));
                    (containers, lines.map(move |line| Ok(form(line)?)).boxed())
                }))
            }
        }
    }
}

/// The environment that a daemon keeps, when it is the one that is meant, and the daemon can be understood.
fn kept(status: Status, meant: Option<&str>) -> Option<String> {
    let same_version = status.daemon.is_some_and(|daemon| daemon.version == env!("CARGO_PKG_VERSION"));
    status.environment.filter(|kept| same_version && meant.is_none_or(|meant| meant == kept))
}

/// What there is; `None` when the daemon knows of no such thing.
fn found<T>(answer: Result<T, ClientError>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(ClientError::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Listener, Socket, serve};
    use crate::event::{Event as Recorded, Fact};
    use crate::model::{CommitId, NodeName, Revision, Timestamp};
    use crate::plan::{PlanId, Subject};
    use crate::schedule::RunVerdict;
    use crate::store::{DueKey, FireOutcome, ObservedInstance, RevisionOutcome};
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    fn json(form: &impl serde::Serialize) -> String {
        serde_json::to_string(form).unwrap()
    }

    #[tokio::test]
    async fn a_daemon_and_this_process_give_the_same_answers() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (ledger, at) = (store.ledger("prod"), Timestamp::UNIX_EPOCH);
        let (api, nightly): (InstanceId, _) = ("shop/api/1".parse().unwrap(), ScheduleName::new("nightly"));
        let summary = |text: &str| text.to_owned();
        let commit = Revision {
            commit: CommitId::new(summary("3f2a91c0")),
            reference: summary("main"),
            summary: summary("api 1.5"),
            author: summary("A <a@example.org>"),
            time: at,
        };
        ledger.revision(&commit, RevisionOutcome::Accepted, None, None, at).unwrap();
        ledger
            .saw(
                &[ObservedInstance {
                    state: summary("running"),
                    ..ObservedInstance::absent(NodeName::local(), api.clone())
                }],
                "seen",
                at,
            )
            .unwrap();
        let plan = || summary("7c1e42ab90d1");
        for fact in [
            Fact::StepStarted {
                plan: PlanId::new(plan()),
                subject: Subject::Instance(NodeName::local(), api.clone()),
                action: summary("create"),
                reason: summary("new"),
                changes: vec![summary("image: a → b")],
            },
            Fact::StepDone {
                plan: PlanId::new(plan()),
                subject: Subject::Instance(NodeName::local(), api.clone()),
                action: summary("create"),
                millis: 5,
                evidence: Some(summary("healthy")),
            },
        ] {
            ledger.record(&Recorded { at, fact }).unwrap();
        }
        let due = DueKey::Manual(RunId::new(summary("m1")));
        ledger.fire(&nightly, &due, FireOutcome::Started, Some(&RunId::new("r1")), at).unwrap();
        ledger.settle_interrupted(&RunId::new("r1"), RunVerdict::Aborted, "gone", at).unwrap();

        let (handle, status, _view) = crate::daemon::testing::channel(&store);
        status.send_modify(|status| Arc::make_mut(status).environment = Some(summary("prod")));
        let socket = dir.path().join("api.sock");
        let stop = CancellationToken::new();
        let serving = serve(Listener::Unix(Socket::bind(&socket).unwrap()), handle, stop.clone());
        let asking = async {
            let daemon = Answers::Daemon { client: Client::new(&socket), environment: summary("prod") };
            let alone = Answers::Alone { store: store.clone(), environment: Some(summary("prod")) };
            assert_eq!(daemon.environment().unwrap(), alone.environment().unwrap());
            let mut said = Vec::new();
            for answers in [&daemon, &alone] {
                let why = answers.why(&api).await.unwrap().unwrap();
                assert_eq!((why.links.len(), why.history.len()), (1, 1));
                assert!(answers.why(&"shop/none/1".parse().unwrap()).await.unwrap().is_none());
                assert!(answers.run("r9").await.unwrap().is_none());
                let filter = EventFilter { limit: 10, newest: true, ..EventFilter::default() };
                let events = answers.events(&filter, Duration::ZERO).await.unwrap();
                assert!(events.len() >= 3, "{events:?}");
                said.push([
                    json(&why),
                    json(&events),
                    json(&answers.runs(None, 20).await.unwrap()),
                    json(&answers.runs(Some(&nightly), 1).await.unwrap()),
                    json(&answers.run("r1").await.unwrap().unwrap()),
                    json(&answers.figures(&nightly).await.unwrap()),
                ]);
            }
            assert_eq!(said[0], said[1]);
            stop.cancel();
        };
        let (served, ()) = futures_util::join!(serving, asking);
        served.unwrap();
    }

    #[test]
    fn a_daemon_is_asked_about_the_environment_that_it_keeps() {
        use crate::daemon::status::{DaemonStatus, Status as Inner};
        let status = |version: &str| {
            let daemon = DaemonStatus {
                version: version.to_owned(),
                pid: 1,
                started_at: Timestamp::UNIX_EPOCH,
                installation: "i".to_owned(),
            };
            let inner = Inner { environment: Some("prod".to_owned()), ..Inner::new(Some(daemon), "/infra") };
            Status::from(inner)
        };
        let this = env!("CARGO_PKG_VERSION");
        assert_eq!(kept(status(this), None).as_deref(), Some("prod"));
        assert_eq!(kept(status(this), Some("prod")).as_deref(), Some("prod"));
        assert_eq!(kept(status(this), Some("test")), None);
        assert_eq!(kept(status("0.0.1-other"), None), None, "its forms may be others");
        assert_eq!(kept(Status { environment: None, ..status(this) }, None), None, "it knows nothing yet");
    }
}
