//! What became of a plan, for people and programs.

use super::exit::{Exit, Failure};
use super::progress::ended;
use super::session::Session;
use crate::api::dto::Outcome;
use crate::apply::{Applied, StepResult};
use crate::plan::Plan;

/// How a command that carried out a plan ends: what failed or was not done comes first, then what is held.
pub(super) fn ending(plan: &Plan, applied: &Applied) -> Exit {
    match (applied.failed + applied.skipped, plan.held.is_empty()) {
        (0, true) => Exit::Ok,
        (0, false) => Exit::Held,
        _ => Exit::Failed,
    }
}

/// Prints what became of a plan: a line for each step that did not end well, with its evidence, and the count.
pub(super) fn report(session: &Session, plan: &Plan, applied: &Applied) -> Result<(), Failure> {
    if session.printer.json {
        return session.printer.data(&Outcome::new(plan, applied));
    }
    for (step, result) in plan.steps.iter().zip(&applied.results) {
        if matches!(result, StepResult::Done { .. }) {
            continue;
        }
        session.printer.line(&format!("{} {}: {}", step.action.verb(), step.subject, ended(result)))?;
        if let StepResult::Failed { report: Some(report), .. } = result {
            for line in &report.log {
                session.printer.line(&format!("    log    {line}"))?;
            }
            if let Some(check) = &report.check {
                session.printer.line(&format!("    check  {}", check.trim_end()))?;
            }
        }
    }
    let mut parts = vec![format!("{} done", applied.done)];
    parts.extend((applied.failed > 0).then(|| format!("{} failed", applied.failed)));
    parts.extend((applied.skipped > 0).then(|| format!("{} not started", applied.skipped)));
    session.printer.line(&parts.join(", "))
}
