//! The pipeline from a commit and a host to a checked plan. The daemon, the commands and previews all use it.

use super::observe::{overlay, recall};
use super::probes::{Target, targets};
use crate::manifest::{self, Diagnostic, Report};
use crate::model::{ContainerId, Desired, FileTree, Health, Observed, OwnerId, Revision};
use crate::plan::{Allow, AllowedGuard, Memory, Plan, PlanInput, Violation, keep_former_volumes, lint, plan, pretend};
use crate::process::clock;
use crate::schedule::feasibility::{Finding, refusals};
use crate::store::{Ledger, StoreError};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Compiles the files of a revision. A schedule that cannot meet its times is a mistake if it has `feasibility: error`.
///
/// # Errors
/// The report of all mistakes.
pub fn compile(tree: &FileTree) -> Result<Desired, Report> {
    let desired = manifest::compile(tree)?;
    let findings = refusals(desired.schedules.values());
    if findings.is_empty() {
        return Ok(desired);
    }
    let mistake = |finding: &Finding| {
        let help = format!("{} Or write `feasibility: warn`.", finding.remedy());
        Diagnostic::of_line("infeasible", tree, &finding.at, finding.to_string()).help(help)
    };
    Err(Report::new(findings.iter().map(mistake).collect()))
}

/// A host as its engine reports it, with what the store remembers of it.
#[derive(Clone, Debug)]
pub struct HostState {
    pub observed: Observed,
    pub memory: Memory,
    /// The containers whose health Setpoint checks itself. Until [`HostState::overlay_health`] is called, their health is the recorded
    /// one.
    pub targets: Vec<Target>,
}

impl HostState {
    /// Adds the data of the store to an observation. Also returns the desired state for this host: volumes that it has under a
    /// former name are wanted under that name from here on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(
        desired: &Arc<Desired>,
        observed: Observed,
        ledger: &Ledger,
    ) -> Result<(Arc<Desired>, Self), StoreError> {
        let owner = ledger.owner();
        let desired = match keep_former_volumes(desired, &observed, &owner) {
            Cow::Owned(desired) => Arc::new(desired),
            Cow::Borrowed(_) => Arc::clone(desired),
        };
        let memory = ledger.memory(clock::now())?;
        let recalled = recall(&ledger.instances()?, &observed);
        let targets = targets(&desired, &observed, &owner, &recalled, &memory.bases);
        Ok((desired, Self { observed, memory, targets }))
    }

    /// Adds the results of Setpoint's own health checks to the observation.
    pub fn overlay_health(&mut self, checked: &BTreeMap<ContainerId, Health>) {
        overlay(&mut self.observed, &self.targets, checked);
    }

    /// What a plan of this host follows from.
    pub fn input<'a>(
        &'a self,
        desired: &'a Desired,
        revision: &'a Revision,
        owner: &'a OwnerId,
        allow: &'a [Allow],
    ) -> PlanInput<'a> {
        PlanInput { desired, revision, observed: &self.observed, owner, memory: &self.memory, allow }
    }
}

/// A plan breaks rules that every plan must keep. It is never carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan violates its invariants:\n  {}", sentences(.0, "\n  "))]
pub struct Violations(pub Vec<Violation>);

/// The texts of violations, one after the other.
pub fn sentences(violations: &[Violation], separator: &str) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}

/// Checks a plan with [`lint`], which shares no code with the planner.
///
/// # Errors
/// When the plan breaks a rule.
pub fn check(plan: &Plan, input: &PlanInput<'_>) -> Result<(), Violations> {
    let violations = lint(plan, input);
    if violations.is_empty() { Ok(()) } else { Err(Violations(violations)) }
}

/// What `head` would change on a host where `base` was applied and nothing else happened.
pub fn difference(base: (&Desired, &Revision), head: (&Desired, &Revision)) -> Plan {
    let owner = OwnerId::new(format!("offline/{}", head.0.settings.environment));
    let allow = [Allow { guard: AllowedGuard::Prune, scope: None }];
    let (observed, memory) = (Observed::empty(base.1.time), Memory::default());
    let empty = PlanInput {
        desired: base.0,
        revision: base.1,
        observed: &observed,
        owner: &owner,
        memory: &memory,
        allow: &allow,
    };
    let applied = pretend(&plan(&empty), &observed, &memory, &owner);
    plan(&PlanInput {
        desired: head.0,
        revision: head.1,
        observed: &applied.observed,
        memory: &applied.memory,
        ..empty
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FileEntry, FileKind};

    fn tree(text: &str) -> FileTree {
        let mut tree = FileTree::default();
        let content: Arc<[u8]> = text.as_bytes().into();
        let entry = FileEntry { oid: String::new(), kind: FileKind::Regular, size: 0, content: Some(content) };
        tree.files.insert("schedules/s.yaml".to_owned(), entry);
        tree
    }

    #[test]
    fn a_schedule_that_cannot_hold_its_times_is_a_mistake_with_its_line_where_it_says_so() {
        let text = "schedule:\n  feasibility: POLICY\n  tasks:\n    \
                    - {id: late, address: \"h:1\", scheduled_time: 0, estimated_duration: 2s, deadline: 1s}\n";
        assert!(compile(&tree(&text.replace("POLICY", "warn"))).is_ok());
        let report = compile(&tree(&text.replace("POLICY", "error"))).unwrap_err();
        let [mistake] = report.diagnostics.as_slice() else { panic!("{report}") };
        assert_eq!((mistake.code, mistake.location.line), ("infeasible", 4), "{report}");
        assert!(mistake.help.as_ref().is_some_and(|help| help.contains("`feasibility: warn`")), "{report}");
        let shown = report.render(manifest::Style::default());
        assert!(shown.contains("id: late"), "the line is not shown: {shown}");
    }
}
