//! The planner's input, with the lookups that every part of it needs.

use super::input::{AllowedGuard, PlanInput};
use super::subject::Subject;
use super::wanted::{Present, Wanted, present, wanted};
use crate::model::{Container, Desired, InstanceId, NodeName, Observed, ServiceRef, Unread};
use std::collections::BTreeMap;

/// Data that the parts of the planner share. Nothing here changes while a plan is made.
pub(super) struct Context<'a> {
    pub(super) input: PlanInput<'a>,
    pub(super) wanted: BTreeMap<InstanceId, Wanted<'a>>,
    pub(super) present: BTreeMap<InstanceId, Present<'a>>,
}

impl<'a> Context<'a> {
    pub(super) fn new(input: PlanInput<'a>) -> Self {
        Self { input, wanted: wanted(input.desired), present: present(input.observed, input.owner) }
    }

    pub(super) fn desired(&self) -> &'a Desired {
        self.input.desired
    }

    pub(super) fn observed(&self) -> &'a Observed {
        self.input.observed
    }

    /// The machine that is planned for.
    fn node(&self) -> NodeName {
        self.input.observed.node.clone()
    }

    pub(super) fn instance(&self, id: &InstanceId) -> Subject {
        Subject::Instance(self.node(), id.clone())
    }

    pub(super) fn network(&self, name: &str) -> Subject {
        Subject::Network(self.node(), name.to_owned())
    }

    pub(super) fn volume(&self, name: &str) -> Subject {
        Subject::Volume(self.node(), name.to_owned())
    }

    pub(super) fn image(&self, reference: &str) -> Subject {
        Subject::Image(self.node(), reference.to_owned())
    }

    pub(super) fn container(&self, name: &str) -> Subject {
        Subject::Container(self.node(), name.to_owned())
    }

    pub(super) fn is_ours(&self, container: &Container) -> bool {
        container.owner.as_ref() == Some(self.input.owner)
    }

    pub(super) fn ours(&self) -> impl Iterator<Item = &'a Container> + '_ {
        self.input.observed.containers.iter().filter(|container| self.is_ours(container))
    }

    pub(super) fn foreign(&self) -> impl Iterator<Item = &'a Container> + '_ {
        self.input.observed.containers.iter().filter(|container| !self.is_ours(container))
    }

    pub(super) fn foreign_on_network(&self, network: &str) -> Option<&'a Container> {
        self.foreign().find(|container| container.addresses.contains_key(network))
    }

    /// Whether the engine could not report if this exists: it is then not changed, and nothing is created in its place.
    pub(super) fn is_unread(&self, what: &Unread) -> bool {
        self.input.observed.unread.contains(what)
    }

    /// How many instances of the service have a container.
    pub(super) fn replicas_present(&self, service: &ServiceRef) -> u32 {
        self.present.range(service.instance(0)..).take_while(|(id, _)| id.service == *service).count() as u32
    }

    /// Whether an instance of the service was there before.
    pub(super) fn was_known(&self, service: &ServiceRef) -> bool {
        self.input.memory.known.range(service.instance(0)..).next().is_some_and(|known| known.service == *service)
    }

    /// Whether the caller lifts a guard for this subject (`shop/cache/1` lies within `shop` and `shop/cache`).
    pub(super) fn allows(&self, guard: AllowedGuard, subject: &str) -> bool {
        self.input.allow.iter().filter(|allow| allow.guard == guard).any(|allow| match &allow.scope {
            None => true,
            Some(scope) => {
                subject.strip_prefix(scope.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        })
    }

    pub(super) fn may_prune(&self, subject: &str) -> bool {
        self.input.desired.settings.prune.enabled || self.allows(AllowedGuard::Prune, subject)
    }
}
