//! An apply that a person asks of the daemon.
//!
//! One at a time, and carried out by the loop like every other plan: the request waits for its next look. What is asked for is one
//! plan, by its id, and the guards that lead to it; they count for this plan and for no later look.

use super::reconcile::{Reconciler, Trouble};
use super::status::{HeldStatus, held};
use crate::apply::load::Loaded;
use crate::apply::{Applied, HostState, StepResult};
use crate::plan::{Allow, Plan, PlanId, plan};
use crate::process::error::chain;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// Which plan is to be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyOrder {
    /// Its id: all 64 digits, or at least the 12 that are shown.
    pub plan: String,
    /// The guards that were lifted when it was made.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

/// What became of a plan that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// Its id, all digits.
    pub plan: PlanId,
    /// Steps that ended well.
    pub done: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Steps that were not carried out.
    pub skipped: usize,
    /// A newer commit ended it.
    pub superseded: bool,
    /// The daemon was asked to stop.
    pub stopped: bool,
    /// How each step ended, in plan order.
    pub steps: Vec<StepEnd>,
    /// What is wanted and not done, and why.
    pub held: Vec<HeldStatus>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepEnd {
    /// What it is about.
    pub subject: String,
    /// Its verb.
    pub action: String,
    /// Its end.
    #[serde(flatten)]
    pub result: StepResult,
}

impl Carried {
    fn new(plan: &Plan, applied: &Applied) -> Self {
        let steps = plan.steps.iter().zip(&applied.results).map(|(step, result)| StepEnd {
            subject: step.subject.to_string(),
            action: step.action.verb().to_owned(),
            result: result.clone(),
        });
        Self {
            plan: plan.id.clone(),
            done: applied.done,
            failed: applied.failed,
            skipped: applied.skipped,
            superseded: applied.superseded,
            stopped: applied.stopped,
            steps: steps.collect(),
            held: held(plan),
        }
    }
}

impl From<Carried> for Applied {
    fn from(carried: Carried) -> Self {
        let Carried { plan: _, done, failed, skipped, superseded, stopped, steps, held: _ } = carried;
        let results = steps.into_iter().map(|step| step.result).collect();
        Self { results, done, failed, skipped, superseded, stopped }
    }
}

/// A plan that was asked for is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ApplyRefused {
    /// It is not the plan that would be carried out.
    #[error("plan {asked} is stale, nothing was changed; the plan is now {now}")]
    Stale {
        /// As asked for.
        asked: String,
        /// What would be carried out with the same guards lifted.
        now: PlanId,
    },
    /// Another one was asked for, and it is not through.
    #[error("another apply that was asked for is not through, so this one was not begun")]
    UnderWay,
    /// Something keeps the daemon from its work.
    #[error("it cannot be carried out now: {0}")]
    Prevented(String),
    /// The daemon is about to end.
    #[error("the daemon ends")]
    Ending,
}

type Answer = Result<Carried, ApplyRefused>;

/// A request and where its answer goes.
#[derive(Debug)]
pub(super) struct ApplyRequest {
    order: ApplyOrder,
    reply: oneshot::Sender<Answer>,
    /// While it lasts, no other is taken.
    turn: OwnedSemaphorePermit,
}

impl ApplyRequest {
    fn answer(self, answer: Answer) {
        // First, so that whoever hears the answer can ask again.
        drop(self.turn);
        // Nobody may be there any more to hear it.
        drop(self.reply.send(answer));
    }
}

/// Where requests are made. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ApplyAsking {
    requests: mpsc::Sender<ApplyRequest>,
    turn: Arc<Semaphore>,
}

/// Both ends.
pub(super) fn apply_requests() -> (ApplyAsking, mpsc::Receiver<ApplyRequest>) {
    let (requests, receiver) = mpsc::channel(1);
    (ApplyAsking { requests, turn: Arc::new(Semaphore::new(1)) }, receiver)
}

impl ApplyAsking {
    /// Asks for a plan to be carried out, and hints to the loop with `look` that it is. Cancel-safe: a request that was made is
    /// met all the same.
    ///
    /// # Errors
    /// When it is not carried out.
    pub(super) async fn ask(&self, order: ApplyOrder, look: impl FnOnce()) -> Answer {
        let turn = Arc::clone(&self.turn).try_acquire_owned().map_err(|_| ApplyRefused::UnderWay)?;
        let (reply, answer) = oneshot::channel();
        let request = ApplyRequest { order, reply, turn };
        // There is room: whoever has the turn is alone.
        self.requests.try_send(request).map_err(|_| ApplyRefused::Ending)?;
        look();
        answer.await.map_err(|_| ApplyRefused::Ending)?
    }
}

impl Reconciler {
    /// The guards that are lifted for this look: those of the apply that was asked for, if they lead to the plan that was asked for.
    /// Otherwise it is refused, and the look goes on as without it.
    pub(super) fn granted(&mut self, current: &Loaded, host: &HostState) -> Vec<Allow> {
        let Some(request) = self.state.asked.take() else { return Vec::new() };
        let ApplyOrder { plan: asked, allow } = &request.order;
        let now = plan(&host.input(&current.desired, &current.revision, &current.owner, allow)).id;
        if !now.is(asked) {
            let asked = asked.clone();
            request.answer(Err(ApplyRefused::Stale { asked, now }));
            return Vec::new();
        }
        let guards: Vec<String> = allow.iter().map(ToString::to_string).collect();
        tracing::info!(plan = %now, allow = guards.join(", "), "an apply is asked for");
        // What waits before it is tried again is tried now.
        self.state.pace.clear();
        let allow = allow.clone();
        self.state.asked = Some(request);
        allow
    }

    /// Answers the apply that was asked for.
    pub(super) fn carried(&mut self, plan: &Plan, applied: &Applied) {
        if let Some(request) = self.state.asked.take() {
            request.answer(Ok(Carried::new(plan, applied)));
        }
    }

    /// After a look: an apply that was asked for and did not come to be carried out is answered with the cause.
    pub(super) fn turn_down(&mut self, looked: &Result<Duration, Trouble>) {
        let Some(request) = self.state.asked.take() else { return };
        let why = match looked {
            Err(trouble) => chain(trouble),
            Ok(_) => {
                let problem = self.status.borrow().problem.clone();
                problem.unwrap_or_else(|| "no valid commit was read yet".to_owned())
            }
        };
        request.answer(Err(ApplyRefused::Prevented(why)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::clock;
    use futures_util::FutureExt;

    fn order(plan: &str) -> ApplyOrder {
        ApplyOrder { plan: plan.to_owned(), allow: Vec::new() }
    }

    #[tokio::test]
    async fn the_turn_is_given_on_when_the_answer_is_and_not_when_the_caller_leaves() {
        let (asking, mut requests) = apply_requests();
        let looks = std::cell::Cell::new(0);
        let look = || looks.set(looks.get() + 1);
        let mut left = Box::pin(asking.ask(order("first"), look));
        assert!(left.as_mut().now_or_never().is_none(), "it waits for the answer");
        drop(left);
        let refused = asking.ask(order("second"), look).await.unwrap_err();
        assert!(matches!(refused, ApplyRefused::UnderWay), "{refused}");
        let request = requests.try_recv().unwrap();
        assert_eq!((request.order.plan.as_str(), looks.get()), ("first", 1));
        let refused = asking.ask(order("third"), look).await.unwrap_err();
        assert!(matches!(refused, ApplyRefused::UnderWay), "it was taken and is not answered: {refused}");
        request.answer(Err(ApplyRefused::Ending));
        let mut asked = Box::pin(asking.ask(order("fourth"), look));
        assert!(asked.as_mut().now_or_never().is_none());
        requests.try_recv().unwrap().answer(Err(ApplyRefused::Prevented("no engine".to_owned())));
        let refused = tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap().unwrap_err();
        assert!(refused.to_string().contains("no engine"), "{refused}");
        drop(requests);
        let begin = clock::monotonic();
        let refused = asking.ask(order("fifth"), look).await.unwrap_err();
        assert!(matches!(refused, ApplyRefused::Ending) && begin.elapsed() < Duration::from_secs(1), "{refused}");
    }
}
