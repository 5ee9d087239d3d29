//! Carries out a plan: starts the steps that [`Walk`] allows, records each fact before and after, and reports progress.
//!
//! How one step is carried out is passed in as a function (`run`): the engine's [`crate::engine::Engine::act`], except in the tests
//! of the scheduling.

use super::bookkeeping::Books;
use super::job::{Applied, ApplyError, Job, Progress, ProgressKind, StepResult};
use super::walk::Walk;
use crate::engine::{ActError, News, Outcome};
use crate::model::DeploymentName;
use crate::plan::{Plan, StepId};
use crate::process::clock;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// News of one step that wait to be shown.
const NEWS: usize = 64;

/// Carries the plan out as far as it goes. `run` carries out one step; `show` sees the progress and must not block.
///
/// # Errors
/// Only when the store cannot be written; failed steps stand in the result.
pub async fn execute<R, T, S>(job: &Job<'_>, run: R, mut show: S) -> Result<Applied, ApplyError>
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
            walk.stop("stopped before it started");
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
            // Every waiting step was just skipped or could not be recorded: check again.
            continue;
        }
        // Every arm is cancel-safe: futures stay in `running`, messages in the channel. The messages come first, because a
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

/// Runs one step and passes its messages on with its number.
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
        // Both arms are cancel-safe; the send below is not in an arm and waits only for the reader in `execute`.
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

#[cfg(test)]
#[path = "execute_tests.rs"]
mod tests;
