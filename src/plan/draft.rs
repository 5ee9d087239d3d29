//! Drafts of steps: while their order is still open, they refer to each other by subject; they get numbers at the end.

use super::action::{Action, Guard};
use super::step::{Disruption, FieldChange, Held, HeldReason, Milestone, Reason};
use super::subject::Subject;
use crate::model::DeploymentName;
use std::collections::{BTreeMap, BTreeSet};

/// The position of a step among those that do not depend on each other: phase, deployment, service, slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(pub(super) Phase, pub(super) usize, pub(super) usize, pub(super) u32);

/// The coarse order of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Leftovers,
    Networks,
    Volumes,
    Images,
    Instances,
    Removals,
    UnusedNetworks,
}

/// A step without a number.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) deployment: Option<DeploymentName>,
    pub(super) action: Action,
    pub(super) guard: Guard,
    /// Subjects that must have reached a milestone; those without a draft exist already.
    pub(super) needs: BTreeSet<(Subject, Milestone)>,
    pub(super) changes: Vec<FieldChange>,
    pub(super) reason: Reason,
    pub(super) disruption: Disruption,
    pub(super) rank: Rank,
}

/// All drafts by subject, and what is held instead.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub(super) steps: BTreeMap<Subject, Draft>,
    pub(super) held: Vec<Held>,
    /// Networks, volumes and images that are not as wanted, so steps that need them cannot be done either.
    pub(super) absent: BTreeSet<Subject>,
    /// Who takes over a name or a port from whom.
    pub(super) handovers: Vec<Handover>,
}

/// One name or port that goes from one instance to another within a plan.
#[derive(Clone, Debug)]
pub(super) struct Handover {
    /// Who has it now.
    pub(super) holder: Subject,
    /// Who is to have it.
    pub(super) heir: Subject,
    /// The step that makes the holder release it before its own change, if the two wait for each other.
    pub(super) room: Option<Subject>,
}

impl Drafts {
    pub(super) fn hold(&mut self, subject: Subject, wanted: &'static str, why: HeldReason, changes: Vec<FieldChange>) {
        self.held.push(Held { subject, wanted, why, changes });
    }

    /// Holds something that others need and that is not there.
    pub(super) fn hold_absent(&mut self, subject: Subject, wanted: &'static str, why: HeldReason) {
        self.absent.insert(subject.clone());
        self.hold(subject, wanted, why, Vec::new());
    }

    /// Takes a draft back and holds it instead, and with it what was to inherit a name or a port from it.
    pub(super) fn withdraw(&mut self, subject: &Subject, why: HeldReason) {
        let Some(draft) = self.steps.remove(subject) else { return };
        self.hold(subject.clone(), draft.action.verb(), why, draft.changes);

        let of_subject = |one: &Handover| one.holder == *subject || one.heir == *subject;
        let (ended, going): (Vec<_>, Vec<_>) = std::mem::take(&mut self.handovers).into_iter().partition(of_subject);
        self.handovers = going;
        for handover in ended {
            let unused = |room: &&Subject| !self.handovers.iter().any(|other| other.room.as_ref() == Some(room));
            if let Some(room) = handover.room.as_ref().filter(unused) {
                self.steps.remove(room);
            }
            if handover.holder == *subject {
                self.withdraw(&handover.heir, HeldReason::Needs(subject.clone()));
            }
        }
    }

    /// Whether `from` needs `to`, directly or through others.
    pub(super) fn reaches(&self, from: &Subject, to: &Subject) -> bool {
        let mut seen = BTreeSet::new();
        let mut stack = vec![from];
        while let Some(subject) = stack.pop() {
            if subject == to {
                return true;
            }
            if seen.insert(subject)
                && let Some(draft) = self.steps.get(subject)
            {
                stack.extend(draft.needs.iter().map(|(need, _)| need));
            }
        }
        false
    }
}
