//! Leftovers of an interrupted replacement, and which container is in service meanwhile.

use super::action::Action;
use super::draft::{Draft, Drafts, Phase, Rank};
use super::instance::{Instance, Main};
use super::step::{Disruption, HeldReason, Milestone, Reason};
use super::subject::Subject;
use super::wanted::{Present, grace};
use crate::model::{Container, Health, NEXT, PREV, Status};
use std::borrow::Cow;
use std::collections::BTreeSet;

impl<'a> Instance<'_, 'a> {
    /// Decides which container belongs to the instance if an interrupted replacement left more than one.
    ///
    /// The order of a replacement is: create `….next`, rename the old one `….prev`, rename the new one. So `….next`
    /// never carries the service alone and goes; `….prev` comes back unless its successor runs and is not unhealthy.
    pub(super) fn settle_leftovers(&mut self, present: &Present<'a>, drafts: &mut Drafts) -> Option<Main<'a>> {
        let mut after = BTreeSet::new();
        for next in &present.next {
            after.insert(self.discard(next, BTreeSet::new(), drafts));
        }
        let first = present.standing(&self.wanted.name);
        for extra in present.main.iter().filter(|one| first.is_none_or(|first| one.id != first.id)) {
            self.discard(extra, BTreeSet::new(), drafts);
        }
        let mut prev = present.prev.iter().copied();
        let (kept, spare) = (prev.next(), prev);
        for spare in spare {
            self.discard(spare, BTreeSet::new(), drafts);
        }
        let carries = |main: &Container| main.status == Status::Running && main.health != Health::Unhealthy;
        match (first, kept) {
            (None, None) => None,
            (Some(main), None) => Some(Main { container: Cow::Borrowed(main), after, predecessor: None }),
            (Some(main), Some(prev)) if carries(main) => {
                Some(Main { container: Cow::Borrowed(main), after, predecessor: Some(prev) })
            }
            (failed, Some(prev)) => {
                let name = prev.name.trim_end_matches(PREV).to_owned();
                let mut needs = after;
                if let Some(failed) = failed {
                    needs.insert(self.discard(failed, BTreeSet::new(), drafts));
                }
                let mut container = prev.clone();
                container.name.clone_from(&name);
                container.status = Status::Running;
                let action = Action::RestoreInstance { container: prev.id.clone(), name };
                let subject = self.cx.container(&prev.name);
                let draft = self.draft(action, self.ours(prev), Reason::Interrupted, Disruption::Restart);
                drafts.steps.insert(subject.clone(), Draft { needs, ..self.leftover(draft) });
                Some(Main {
                    container: Cow::Owned(container),
                    after: BTreeSet::from([(subject, Milestone::Done)]),
                    predecessor: None,
                })
            }
        }
    }

    pub(super) fn discard(
        &self,
        container: &Container,
        needs: BTreeSet<(Subject, Milestone)>,
        drafts: &mut Drafts,
    ) -> (Subject, Milestone) {
        let subject = self.cx.container(&container.name);
        if self.cx.observed().is_complete() {
            // A new one that was given its name and never came up carries no leftover's name.
            let named = [NEXT, PREV].iter().any(|suffix| container.name.ends_with(suffix));
            let action = if named {
                Action::DiscardLeftover { container: container.id.clone() }
            } else {
                Action::RemoveInstance { container: container.id.clone(), grace: grace(container) }
            };
            let draft = self.draft(action, self.ours(container), Reason::Interrupted, Disruption::None);
            drafts.steps.insert(subject.clone(), Draft { needs, ..self.leftover(draft) });
        } else {
            drafts.hold(subject.clone(), "discard", HeldReason::Incomplete, Vec::new());
        }
        (subject, Milestone::Done)
    }

    fn leftover(&self, draft: Draft) -> Draft {
        Draft { rank: Rank(Phase::Leftovers, self.rank.1, self.rank.2, self.rank.3), ..draft }
    }
}
