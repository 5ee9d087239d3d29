//! The progress of a plan under way: bars on a terminal, one plain line for each turn of events otherwise. It goes to
//! standard error; what is left on standard output is the result.

use crate::daemon::apply::{Progress, ProgressKind, StepResult};
use crate::model::{coloured, plain};
use crate::plan::{Milestone, Plan};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Shows progress.
pub(super) struct Display<'a> {
    plan: &'a Plan,
    bars: Option<Bars>,
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
        Self { plan, bars }
    }

    /// Takes one turn of events.
    pub(super) fn show(&mut self, progress: &Progress<'_>) {
        let Some(step) = self.plan.steps.get(progress.step) else { return };
        let what = format!("{} {}", step.action.verb(), step.subject);
        match &mut self.bars {
            Some(bars) => bars.show(progress, &what),
            None => {
                if let Some(text) = news(&progress.what) {
                    let _ = writeln!(anstream::stderr(), "{what}: {text}");
                }
            }
        }
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
