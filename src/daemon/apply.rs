//! Carrying a plan out: starts what [`Walk`] allows, records each fact before and after, reports progress.
//!
//! Used by the daemon and by the command line alike. The steps themselves come in as a function (`run`); it is the engine's
//! [`crate::engine::docker::Docker::act`] everywhere but in the tests of the scheduling.

use super::bookkeeping::Books;
use super::walk::Walk;
use crate::engine::docker::{ActError, Interrupt, News, Outcome};
use crate::model::{DeploymentName, HealthReport, Observed};
use crate::plan::{Milestone, Plan, Step, StepId};
use crate::process::clock;
use crate::process::supervise::chain;
use crate::store::{Ledger, StoreError};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// News of one step that wait to be shown.
const NEWS: usize = 64;

/// What a plan is carried out with.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What the repo wants, when the plan follows from it (and not from `stop` or `cleanup`).
    pub desired: Option<&'a crate::model::Desired>,
    /// What the plan was made from.
    pub observed: &'a Observed,
    /// Where facts are recorded.
    pub ledger: &'a Ledger,
    /// Steps that are left out this time, and why.
    pub kept: BTreeMap<StepId, String>,
    /// Ends the apply: steps in progress are finished, but do not wait for health any more, and no other is started.
    pub interrupt: Interrupt,
}

/// News of a plan under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<'a> {
    /// The step.
    pub step: StepId,
    /// What happened to it.
    pub what: ProgressKind<'a>,
}

/// What happened to a step.
#[derive(Clone, Debug, PartialEq)]
pub enum ProgressKind<'a> {
    /// It began.
    Started,
    /// A line about its progress.
    Line(&'a str),
    /// It came this far.
    Reached(Milestone),
    /// It ended; nothing follows.
    Ended(&'a StepResult),
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StepResult {
    /// Well.
    Done {
        /// How long it took.
        #[serde(rename = "millis", with = "millis")]
        took: Duration,
        /// Evidence of health, when its gate asked for it.
        evidence: Option<String>,
    },
    /// Not well.
    Failed {
        /// Why, with all causes.
        error: String,
        /// What the container said, when it was its health that failed.
        report: Option<HealthReport>,
        /// Whether the old container was put back.
        rolled_back: bool,
        /// The host had changed since the plan was made; nothing was done.
        stale: bool,
    },
    /// It was not carried out.
    Skipped {
        /// Why.
        because: String,
    },
}

/// What became of a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// One result for each step, in plan order.
    pub results: Vec<StepResult>,
    /// Steps that ended well.
    pub done: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Steps that were not carried out.
    pub skipped: usize,
    /// A newer commit ended it.
    pub superseded: bool,
    /// It was asked to stop.
    pub stopped: bool,
}

/// Durations as whole milliseconds, as in events.
mod millis {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(value: &Duration, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// The record could not be written; no step was started after that.
#[derive(Debug, thiserror::Error)]
#[error("stopped because facts cannot be recorded ({done} steps done, {failed} failed)")]
pub struct ApplyError {
    /// Steps that ended well.
    pub done: usize,
    /// Steps that failed.
    pub failed: usize,
    /// Why.
    pub source: StoreError,
}

/// Carries the plan out as far as it goes. `run` carries out one step; `show` sees the progress and must not block.
///
/// # Errors
/// Only when the store cannot be written; failed steps stand in the result.
pub async fn apply<R, T, S>(job: &Job<'_>, run: R, mut show: S) -> Result<Applied, ApplyError>
where
    R: Fn(StepId, mpsc::Sender<News>) -> T,
    T: Future<Output = Result<Outcome, ActError>>,
    S: FnMut(Progress<'_>),
{
    let mut books = Books::new(job);
    let mut walk = Walk::new(job.plan, job.kept.clone()).with_serial_builds(serial_builds(job));
    let mut results: Vec<Option<StepResult>> = vec![None; job.plan.steps.len()];
    let (sink, mut news) = mpsc::channel(NEWS);
    let mut running = FuturesUnordered::new();
    books.begin();
    loop {
        if books.is_broken() {
            walk.stop("facts cannot be recorded");
        } else if job.interrupt.superseded.is_cancelled() {
            walk.stop("superseded by a newer commit");
        } else if job.interrupt.stop.is_cancelled() {
            walk.stop("asked to stop before it began");
        }
        let moves = walk.moves();
        for (id, because) in moves.skip {
            settle(&mut books, &mut results, &mut show, job.plan, id, StepResult::Skipped { because });
        }
        for step in moves.start.iter().filter_map(|id| job.plan.steps.get(*id)) {
            // Written before the step, so that a crash in between is seen.
            if books.started(step) {
                show(Progress { step: step.id, what: ProgressKind::Started });
                running.push(relayed(step.id, &run, sink.clone()));
            } else {
                walk.given_up(step.id);
                let because = "facts cannot be recorded".to_owned();
                settle(&mut books, &mut results, &mut show, job.plan, step.id, StepResult::Skipped { because });
            }
        }
        if walk.is_over() {
            break;
        }
        if running.is_empty() {
            // Every waiting step was just skipped or could not be recorded: look once more.
            continue;
        }
        // Every arm is cancel-safe: futures stay in `running`, news in the channel. The news come first, because a
        // milestone may let others start.
        tokio::select! {
            biased;
            Some((id, item)) = news.recv() => pass_on(&mut walk, &mut show, id, &item),
            Some((id, took, result)) = running.next() => {
                while let Ok((other, item)) = news.try_recv() {
                    pass_on(&mut walk, &mut show, other, &item);
                }
                let Some(step) = job.plan.steps.get(id) else { continue };
                let result = books.ended(step, took, result);
                match &result {
                    StepResult::Done { .. } => walk.finished(id, true),
                    StepResult::Failed { .. } => walk.finished(id, false),
                    StepResult::Skipped { .. } => walk.given_up(id),
                }
                settle(&mut books, &mut results, &mut show, job.plan, id, result);
            }
            () = job.interrupt.superseded.cancelled(), if !job.interrupt.superseded.is_cancelled() => {}
            () = job.interrupt.stop.cancelled(), if !job.interrupt.stop.is_cancelled() => {}
        }
    }
    let mut applied = Applied {
        superseded: job.interrupt.superseded.is_cancelled(),
        stopped: job.interrupt.stop.is_cancelled(),
        ..Applied::default()
    };
    for result in results {
        // The walk is over only when each step has its result.
        let result = result.unwrap_or(StepResult::Skipped { because: "never reached".to_owned() });
        match result {
            StepResult::Done { .. } => applied.done += 1,
            StepResult::Failed { .. } => applied.failed += 1,
            StepResult::Skipped { .. } => applied.skipped += 1,
        }
        applied.results.push(result);
    }
    books.finish(&applied).map_err(|source| ApplyError { done: applied.done, failed: applied.failed, source })?;
    Ok(applied)
}

/// The deployments whose files ask for one build at a time.
fn serial_builds(job: &Job<'_>) -> BTreeSet<DeploymentName> {
    let deployments = job.desired.into_iter().flat_map(|desired| desired.deployments.values());
    deployments.filter(|deployment| !deployment.parallel_builds).map(|deployment| deployment.name.clone()).collect()
}

/// Runs one step and hands its news on with its number.
async fn relayed<R, T>(
    id: StepId,
    run: &R,
    sink: mpsc::Sender<(StepId, News)>,
) -> (StepId, Duration, Result<Outcome, ActError>)
where
    R: Fn(StepId, mpsc::Sender<News>) -> T,
    T: Future<Output = Result<Outcome, ActError>>,
{
    let begin: Instant = clock::monotonic();
    let (sender, mut receiver) = mpsc::channel(NEWS);
    let mut act = pin!(run(id, sender));
    let result = loop {
        // Both arms are cancel-safe; the send below is not in an arm and waits only for the reader in `apply`.
        tokio::select! {
            biased;
            Some(item) = receiver.recv() => drop(sink.send((id, item)).await),
            result = &mut act => break result,
        }
    };
    while let Ok(item) = receiver.try_recv() {
        drop(sink.try_send((id, item)));
    }
    (id, begin.elapsed(), result)
}

fn pass_on(walk: &mut Walk<'_>, show: &mut impl FnMut(Progress<'_>), id: StepId, item: &News) {
    match item {
        News::Reached(milestone) => {
            walk.reached(id, *milestone);
            show(Progress { step: id, what: ProgressKind::Reached(*milestone) });
        }
        News::Line(line) => show(Progress { step: id, what: ProgressKind::Line(line) }),
    }
}

/// Gives a step its result.
fn settle(
    books: &mut Books<'_>,
    results: &mut [Option<StepResult>],
    show: &mut impl FnMut(Progress<'_>),
    plan: &Plan,
    id: StepId,
    result: StepResult,
) {
    if let (StepResult::Skipped { because }, Some(step)) = (&result, plan.steps.get(id)) {
        books.skipped(step, because);
    }
    show(Progress { step: id, what: ProgressKind::Ended(&result) });
    if let Some(slot) = results.get_mut(id) {
        *slot = Some(result);
    }
}

/// What an engine's error means for a step.
pub(super) fn failure(error: &ActError) -> StepResult {
    match error {
        ActError::Interrupted(why) => StepResult::Skipped { because: why.to_string() },
        ActError::Gate { report, rolled_back } => StepResult::Failed {
            error: report.verdict.clone(),
            report: Some((**report).clone()),
            rolled_back: *rolled_back,
            stale: false,
        },
        other => StepResult::Failed {
            error: chain(other),
            report: None,
            rolled_back: false,
            stale: matches!(other, ActError::Stale(_)),
        },
    }
}

/// What a step is called in events: its verb and subject.
pub(super) fn title(step: &Step) -> (String, String) {
    (step.subject.to_string(), step.action.verb().to_owned())
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
