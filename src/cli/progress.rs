//! The progress of a plan under way: bars on a terminal, one plain line for each turn of events otherwise. It goes to
//! standard error; what is left on standard output is the result.

use crate::apply::{Progress, ProgressKind, StepResult};
use crate::model::{coloured, duration_text, plain};
use crate::plan::{Milestone, Plan};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Shows progress.
pub(super) struct Display<'a> {
    plan: &'a Plan,
    bars: Option<Bars>,
    /// The steps in progress.
    running: BTreeSet<usize>,
}

struct Bars {
    all: MultiProgress,
    running: BTreeMap<usize, ProgressBar>,
}

impl<'a> Display<'a> {
    /// Bars when standard error is a terminal.
    pub(super) fn new(plan: &'a Plan) -> Self {
        let bars =
            std::io::stderr().is_terminal().then(|| Bars { all: MultiProgress::new(), running: BTreeMap::new() });
        Self { plan, bars, running: BTreeSet::new() }
    }

    /// Takes one turn of events.
    pub(super) fn show(&mut self, progress: &Progress<'_>) {
        let Some(step) = self.plan.steps.get(progress.step) else { return };
        let what = format!("{} {}", step.action.verb(), step.subject);
        match &progress.what {
            ProgressKind::Started => drop(self.running.insert(progress.step)),
            ProgressKind::Ended(_) => drop(self.running.remove(&progress.step)),
            _ => {}
        }
        match &mut self.bars {
            Some(bars) => bars.show(progress, &what),
            None => {
                if let Some(text) = news(&progress.what) {
                    let _ = writeln!(anstream::stderr(), "{what}: {text}");
                }
            }
        }
    }

    /// Says what is in progress when the command is asked to stop, how long that may take, and what a second signal does.
    pub(super) fn stopping(&self) {
        let steps = self.running.iter().filter_map(|id| self.plan.steps.get(*id));
        let names: Vec<String> = steps.clone().map(|step| format!("{} {}", step.action.verb(), step.subject)).collect();
        let grace = steps.filter_map(|step| step.action.grace()).max().unwrap_or_default();
        let text = stopping_text(&names, grace);
        match &self.bars {
            Some(bars) => drop(bars.all.println(text)),
            None => drop(writeln!(anstream::stderr(), "{text}")),
        }
    }
}

fn stopping_text(names: &[String], grace: Duration) -> String {
    let end = "A second Ctrl-C ends the command at once; the next apply, or the daemon, then puts the old container back or \
               finishes the new one.";
    let patience = match grace {
        Duration::ZERO => String::new(),
        grace => format!(" A container may take up to {} to stop.", duration_text(grace)),
    };
    match names {
        [] => format!("Stopping: no step is in progress, and no other is started. {end}"),
        names => format!(
            "Stopping: in progress is {}. It is not waited for to become healthy: a replacement is undone, anything else is \
             finished.{patience} No other step is started. {end}",
            names.join(", ")
        ),
    }
}

impl Bars {
    fn show(&mut self, progress: &Progress<'_>, what: &str) {
        match &progress.what {
            ProgressKind::Started => {
                let bar = self.all.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {elapsed:>4}  {wide_msg}") {
                    bar.set_style(style);
                }
                bar.set_prefix(what.to_owned());
                bar.enable_steady_tick(Duration::from_millis(120));
                self.running.insert(progress.step, bar);
            }
            ProgressKind::Ended(_) => {
                if let Some(bar) = self.running.remove(&progress.step) {
                    bar.finish_and_clear();
                }
                if let Some(text) = news(&progress.what) {
                    let _ = self.all.println(format!("{what}: {text}"));
                }
            }
            other => {
                if let (Some(bar), Some(text)) = (self.running.get(&progress.step), news(other)) {
                    bar.set_message(text);
                }
            }
        }
    }
}

/// A turn of events in words; the start of the container is news only while its health is waited for.
fn news(what: &ProgressKind<'_>) -> Option<String> {
    match what {
        ProgressKind::Started => Some("begun".to_owned()),
        ProgressKind::Line(line) => Some(plain(line).into_owned()),
        ProgressKind::Reached(Milestone::Started) => Some("started".to_owned()),
        ProgressKind::Reached(Milestone::Done) => None,
        ProgressKind::Ended(result) => Some(ended(result)),
    }
}

/// How a step ended, in words.
pub(super) fn ended(result: &StepResult) -> String {
    match result {
        StepResult::Done { took, evidence } => {
            let evidence = evidence.as_ref().map(|evidence| format!(", {evidence}")).unwrap_or_default();
            format!("done in {:.1} s{evidence}", took.as_secs_f64())
        }
        StepResult::Failed { error, rolled_back, .. } => {
            let back = if *rolled_back { "; the old container was put back" } else { "" };
            format!("FAILED: {}{back}", coloured(error))
        }
        StepResult::Skipped { because } => format!("skipped: {because}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_says_what_is_in_progress_how_long_it_may_take_and_what_a_second_one_does() {
        let text = stopping_text(&["replace shop/api/1".to_owned()], Duration::from_secs(10));
        assert_eq!(
            text,
            "Stopping: in progress is replace shop/api/1. It is not waited for to become healthy: a replacement is undone, \
             anything else is finished. A container may take up to 10s to stop. No other step is started. A second Ctrl-C ends \
             the command at once; the next apply, or the daemon, then puts the old container back or finishes the new one."
        );
    }
}
