//! `setpoint apply` where a daemon follows the same commit: the daemon is asked to carry the plan out, and its end is waited for.

use super::apply_report::{ending, report};
use super::exit::{Exit, Failure};
use super::progress::Display;
use super::session::Session;
use crate::api::dto::{self, Fact};
use crate::api::{Client, ClientError};
use crate::apply::{Applied, Progress, ProgressKind, StepResult};
use crate::model::Revision;
use crate::plan::{Allow, Plan, Step, StepId};
use crate::process::error::chain;
use crate::process::shutdown::Signals;
use crate::store::EventFilter;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long one request waits for events.
const WAIT: Duration = Duration::from_secs(20);
/// Time before events are asked for again after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// The daemon of this host when it follows this commit. When it follows another, says so: it will go back to that one.
pub(super) async fn daemon(session: &Session, revision: &Revision) -> Option<Client> {
    let client = Client::new(&session.socket());
    let wanted = client.status().await.ok()?.revision.wanted?;
    if wanted.commit == revision.commit.as_str() {
        return Some(client);
    }
    session.printer.note(&format!(
        "warning: the daemon on this host follows commit {wanted} and will change the host back to it; push this commit \
         instead, or stop the daemon"
    ));
    None
}

/// Asks the daemon to carry a plan out. `None` when it did not: another plan is due by now, or it cannot work, or it is of a version
/// that is not asked.
pub(super) async fn run(
    session: &Session,
    client: &Client,
    plan: &Plan,
    allow: &[Allow],
) -> Result<Option<Exit>, Failure> {
    let order =
        dto::ApplyOrder { plan: plan.id.as_str().to_owned(), allow: allow.iter().map(ToString::to_string).collect() };
    let mut shown = match Shown::from_now_on(client, plan).await {
        Ok(shown) => shown,
        Err(error) => return Ok(not_done(session, &error)),
    };
    // Ends the wait, not the apply.
    let stop = CancellationToken::new();
    let signals = Signals::catch()?.drive(stop.clone());
    // Every arm may be dropped while it waits; what was asked for goes on.
    let answer = tokio::select! {
        answer = client.apply(&order) => answer,
        never = shown.follow() => match never {},
        never = signals => match never {},
        () = stop.cancelled() => {
            session.printer.note("the daemon goes on with the plan; `setpoint events -f` shows how far it is");
            return Ok(Some(Exit::Failed));
        }
    };
    match answer {
        Ok(carried) => {
            shown.rest().await;
            let applied = Applied::from(carried);
            report(session, plan, &applied)?;
            Ok(Some(ending(plan, &applied)))
        }
        Err(error @ ClientError::Http(_)) => Err(Failure::new(chain(&error)).hint(
            "what it had begun is finished or undone when it runs again; `setpoint events` shows how far it came",
        )),
        Err(error) => Ok(not_done(session, &error)),
    }
}

fn not_done(session: &Session, error: &ClientError) -> Option<Exit> {
    session.printer.note(&format!("note: the daemon was asked and did not carry it out: {}", chain(error)));
    None
}

/// Shows what the daemon records of a plan as progress of this command.
struct Shown<'a> {
    client: &'a Client,
    plan: &'a Plan,
    display: Display<'a>,
    ended: BTreeSet<StepId>,
    /// The last event that was seen.
    last: i64,
}

impl<'a> Shown<'a> {
    async fn from_now_on(client: &'a Client, plan: &'a Plan) -> Result<Self, ClientError> {
        let newest = EventFilter { newest: true, limit: 1, ..EventFilter::default() };
        let last = client.events(&newest, Duration::ZERO).await?.next;
        Ok(Self { client, plan, display: Display::new(plan), ended: BTreeSet::new(), last })
    }

    /// Shows what comes. May be dropped while it waits.
    async fn follow(&mut self) -> Infallible {
        loop {
            if self.page(WAIT).await.is_err() {
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    /// Shows what was recorded before the answer.
    async fn rest(&mut self) {
        while matches!(self.page(Duration::ZERO).await, Ok(1..)) {}
    }

    async fn page(&mut self, wait: Duration) -> Result<usize, ClientError> {
        let filter = EventFilter { after: Some(self.last), ..EventFilter::default() };
        let page = self.client.events(&filter, wait).await?;
        page.events.iter().for_each(|event| self.show(&event.fact));
        self.last = page.next;
        Ok(page.events.len())
    }

    fn show(&mut self, fact: &Fact) {
        let (of, subject, action) = match fact {
            Fact::StepStarted { plan, subject, action, .. }
            | Fact::StepDone { plan, subject, action, .. }
            | Fact::StepFailed { plan, subject, action, .. } => (plan, subject, Some(action)),
            Fact::StepSkipped { plan, subject, .. } => (plan, subject, None),
            _ => return,
        };
        let is = |step: &&Step| {
            step.subject.to_string() == *subject && action.is_none_or(|action| step.action.verb() == action.as_str())
        };
        let open = self.plan.steps.iter().filter(|step| !self.ended.contains(&step.id));
        let Some(step) = open.filter(is).map(|step| step.id).next().filter(|_| *of == self.plan.id.to_string()) else {
            return;
        };
        match result(fact) {
            None => self.display.show(&Progress { step, what: ProgressKind::Started }),
            Some(result) => {
                self.ended.insert(step);
                self.display.show(&Progress { step, what: ProgressKind::Ended(&result) });
            }
        }
    }
}

/// How the step ended that this fact is about; `None` when it began.
fn result(fact: &Fact) -> Option<StepResult> {
    match fact {
        Fact::StepDone { millis, evidence, .. } => {
            Some(StepResult::Done { took: Duration::from_millis(*millis), evidence: evidence.clone() })
        }
        Fact::StepFailed { error, report, rolled_back, .. } => Some(StepResult::Failed {
            error: error.clone(),
            report: report.clone().map(Into::into),
            rolled_back: *rolled_back,
            stale: false,
        }),
        Fact::StepSkipped { because, .. } => Some(StepResult::Skipped { because: because.clone() }),
        _ => None,
    }
}
