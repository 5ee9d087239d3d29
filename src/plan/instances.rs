//! What happens to each wanted instance: nothing, a step, or a hold.

use super::action::{Action, Gate, Guard, Launch, Update};
use super::context::Context;
use super::diff::{differences, spec_digest};
use super::draft::{Draft, Drafts, Phase, Rank};
use super::fields::FieldCache;
use super::flapping::{hold_repair, restarts_in_vain};
use super::gate::{gate, waited_for};
use super::input::AllowedGuard;
use super::instance::{Instance, Main};
use super::objects::needed_by;
use super::record::{applied, asked};
use super::step::{Disruption, FieldChange, HeldReason, Milestone, Origin, Reason};
use super::subject::Subject;
use super::suspended;
use super::unmet::is_done;
use super::update::{class, updates};
use super::wanted::{Present, grace};
use crate::model::{
    Change, Condition, Container, ContainerId, Field, FieldKind, Health, Mount, OnFailure, Order, ServiceRef, Status,
    Unread,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What was seen of the wanted instances on the way.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Instances that are in sync.
    pub(super) unchanged: usize,
}

/// Drafts the steps of every wanted instance.
pub(super) fn instances(cx: &Context<'_>, drafts: &mut Drafts) -> Seen {
    let mut seen = Seen::default();
    let mut fields = FieldCache::default();
    let deployment_ranks: BTreeMap<_, _> =
        cx.desired().deployments.keys().enumerate().map(|(rank, name)| (name, rank)).collect();
    let mut service_ranks: HashMap<ServiceRef, usize> = HashMap::new();
    for deployment in cx.desired().deployments.values() {
        for (rank, service) in deployment.services.iter().enumerate() {
            service_ranks.insert(ServiceRef { deployment: deployment.name.clone(), service: service.id.clone() }, rank);
        }
    }
    let waited_for = waited_for(cx);
    let lost = lost_with_volumes(drafts);
    let mut suspended = BTreeSet::new();

    // Those that share a namespace come last: what becomes of its holder decides about them too.
    let (joined, others): (Vec<_>, Vec<_>) =
        cx.wanted.values().partition(|wanted| wanted.service.spec.joined().next().is_some());
    for wanted in others.into_iter().chain(joined) {
        if cx.input.memory.suspended.contains(&wanted.deployment.name) {
            if suspended.insert(&wanted.deployment.name) {
                let subject = Subject::Deployment(wanted.deployment.name.clone());
                drafts.hold(subject, "keep running", HeldReason::Suspended, Vec::new());
            }
            for container in cx.present.get(&wanted.id).into_iter().flat_map(|present| &present.main) {
                suspended::stop_again(cx, wanted, container, drafts);
            }
            continue;
        }
        if cx.is_unread(&Unread::Instance(wanted.id.clone())) {
            let subject = cx.instance(&wanted.id);
            drafts.hold_absent(subject, "change", HeldReason::Incomplete);
            continue;
        }
        let deployment_rank = deployment_ranks.get(&wanted.deployment.name).copied().unwrap_or(0);
        let service_rank = service_ranks.get(&wanted.id.service).copied().unwrap_or(0);
        let rank = Rank(Phase::Instances, deployment_rank, service_rank, wanted.id.slot);
        let nothing = Present::default();
        let present = cx.present.get(&wanted.id).unwrap_or(&nothing);
        let condition = waited_for.get(&wanted.id.service).copied();
        let gate = gate(wanted, condition);
        let mut instance = Instance { cx, wanted, gate, depended_on: condition.is_some(), rank, fields: &mut fields };
        if loses_its_container(present, &lost) {
            instance.create(drafts);
            continue;
        }
        match instance.settle_leftovers(present, drafts) {
            Some(main) => instance.compare(&main, drafts, &mut seen),
            None => instance.create(drafts),
        }
    }
    seen
}

/// The containers that are removed with the volumes that are recreated.
fn lost_with_volumes(drafts: &Drafts) -> BTreeSet<ContainerId> {
    let users = drafts.steps.values().filter_map(|draft| match &draft.action {
        Action::RecreateVolume { users, .. } => Some(users),
        _ => None,
    });
    users.flatten().map(|(id, _)| id.clone()).collect()
}

/// Whether all containers of an instance that has some are `lost`.
fn loses_its_container(present: &Present<'_>, lost: &BTreeSet<ContainerId>) -> bool {
    let mut containers = present.main.iter().chain(&present.next).chain(&present.prev).peekable();
    containers.peek().is_some() && containers.all(|container| lost.contains(&container.id))
}

impl<'a> Instance<'_, 'a> {
    /// Steps or holds for the differences between the container and what is wanted.
    fn compare(&mut self, main: &Main<'a>, drafts: &mut Drafts, seen: &mut Seen) {
        let container: &Container = &main.container;
        let mut changes = differences(self.cx, self.wanted, self.fields, container, &asked(self.cx, container));
        self.lose_namespaces(container, drafts, &mut changes);
        let subject = self.cx.instance(&self.wanted.id);
        let draft = if container.status == Status::Removing {
            drafts.hold(subject.clone(), "create", HeldReason::BeingRemoved, Vec::new());
            None
        } else if !changes.is_empty() {
            self.change(main, changes, drafts)
        } else if let Some(why) = self.failed(container) {
            drafts.hold(subject.clone(), "become healthy", why, Vec::new());
            None
        } else if let Some(prev) = main.predecessor {
            Some(self.finish_replacement(prev, container))
        } else {
            seen.unchanged += 1;
            self.await_if_unsettled(container)
        };
        let finished = draft.as_ref().is_some_and(|draft| draft.reason == Reason::Interrupted);
        if let Some(mut draft) = draft {
            draft.needs.extend(main.after.iter().cloned());
            drafts.steps.insert(subject.clone(), draft);
        }
        if let Some(prev) = main.predecessor
            && !finished
        {
            self.discard(prev, BTreeSet::from([(subject, Milestone::Done)]), drafts);
        }
    }

    /// A replacement that was interrupted after the new container got its name: the engine takes it up where it was, waits for
    /// the gate, and puts the old container back if that is not passed.
    fn finish_replacement(&mut self, prev: &Container, container: &Container) -> Draft {
        let action = Action::ReplaceInstance {
            old: prev.id.clone(),
            launch: Box::new(Launch {
                applied: container.applied.clone(),
                carried: container.anonymous_volumes.clone(),
                ..self.launch()
            }),
            stop_first: true,
            grace: grace(prev),
            rollback: self.rolls_back(),
        };
        self.draft(action, self.ours(prev), Reason::Interrupted, Disruption::None)
    }

    fn rolls_back(&self) -> bool {
        self.wanted.deployment.strategy.on_failure != OnFailure::Continue
    }

    /// A container that is in sync but still starting is waited for, because others may depend on it.
    fn await_if_unsettled(&self, container: &Container) -> Option<Draft> {
        let unsettled = match self.gate {
            Gate::Started => false,
            Gate::Healthy { .. } => container.health == Health::Starting || container.status == Status::Restarting,
            Gate::Completed { .. } => container.status == Status::Running,
        };
        (unsettled && self.depended_on).then(|| {
            let action = Action::AwaitInstance { container: container.id.clone(), gate: self.gate.clone() };
            self.draft(action, self.ours(container), Reason::Awaited, Disruption::None)
        })
    }

    fn create(&mut self, drafts: &mut Drafts) {
        let known = self.cx.input.memory.known.contains(&self.wanted.id);
        let state = FieldChange {
            field: Field::one(FieldKind::State),
            old: Some("removed".to_owned()),
            new: Some("running".to_owned()),
            origin: Origin::Drift,
            at: Some(self.wanted.service.at.clone()),
            hidden: false,
        };
        let changes = if known { vec![state] } else { Vec::new() };
        if let Some(why) = self.hold(&changes) {
            return drafts.hold(self.cx.instance(&self.wanted.id), "create", why, changes);
        }
        let there = self.cx.replicas_present(&self.wanted.id.service);
        let reason = match (known, there) {
            (true, _) => Reason::Vanished,
            (false, 0) => Reason::New,
            (false, from) => Reason::ScaledUp { from, to: self.wanted.service.replicas },
        };
        let launch = self.launch();
        let guard = Guard::NameFree(launch.name.clone());
        let action = Action::CreateInstance(Box::new(launch));
        let mut draft = self.draft(action, guard, reason, Disruption::None);
        draft.changes = changes;
        draft.needs.extend(self.prerequisites(drafts));
        drafts.steps.insert(self.cx.instance(&self.wanted.id), draft);
    }

    /// A replacement or an update, unless something holds it.
    fn change(&mut self, main: &Main<'_>, changes: Vec<FieldChange>, drafts: &mut Drafts) -> Option<Draft> {
        let container: &Container = &main.container;
        let service = self.wanted.service;
        let heaviest = |changes: &[FieldChange]| {
            changes.iter().map(|change| class(change, service, container)).max().unwrap_or(Change::InPlace)
        };
        let subject = self.cx.instance(&self.wanted.id);
        let mut changes = changes;
        if let Some(why) = self.hold(&changes) {
            let replaces = heaviest(&changes) == Change::Recreate;
            // What a commit wants is held; that the container runs at all is kept up meanwhile.
            let (state, held): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| {
                change.field.kind == FieldKind::State && matches!(why, HeldReason::Quarantined { .. })
            });
            let old_version_fell = !held.is_empty() && !state.is_empty();
            let keeps_falling = hold_repair(self.cx, &subject, &state).is_some();
            let verb = if replaces { "replace" } else { "update" };
            if !old_version_fell || keeps_falling {
                drafts.hold(subject, verb, why, state.into_iter().chain(held).collect());
                return None;
            }
            drafts.hold(subject.clone(), verb, why, held);
            changes = state;
        }
        let unhealthy =
            container.status == Status::Running && changes.iter().all(|change| change.field.kind == FieldKind::State);
        let class = if unhealthy && restarts_in_vain(self.cx, &subject, &changes) {
            Change::Recreate
        } else {
            heaviest(&changes)
        };
        let mut draft = if class == Change::Recreate {
            let stop_first = self.stops_first(container);
            let left_behind = self.left_behind(container);
            if let Some(lost) = &left_behind
                && !self.cx.allows(AllowedGuard::DataLoss, &self.wanted.id.to_string())
            {
                drafts.hold(subject, "replace", HeldReason::DataLoss { lost: lost.clone() }, changes);
                return None;
            }
            let launch = Launch { carried: self.carried(container), ..self.launch() };
            let action = Action::ReplaceInstance {
                old: container.id.clone(),
                launch: Box::new(launch),
                stop_first,
                grace: grace(container),
                rollback: self.rolls_back(),
            };
            let running = container.status == Status::Running;
            let disruption = match (running, stop_first) {
                _ if left_behind.is_some() => Disruption::DataLoss,
                (false, _) => Disruption::Restart,
                (true, true) => Disruption::RecreateDowntime,
                (true, false) => Disruption::RecreateStartFirst,
            };
            self.draft(action, self.ours(container), self.reason(&changes, container), disruption)
        } else {
            let updates = updates(&changes, service, container);
            let disruption = if class == Change::Restart { Disruption::Restart } else { Disruption::InPlace };
            let gate = if class == Change::Restart { self.gate.clone() } else { self.light_gate(container, &changes) };
            let connects = updates.iter().filter_map(|update| match update {
                Update::Connect { network, .. } => Some((self.cx.network(network), Milestone::Done)),
                _ => None,
            });
            let needs = connects.collect();
            let action = Action::UpdateInstance { container: container.id.clone(), updates, gate };
            let draft = self.draft(action, self.ours(container), self.reason(&changes, container), disruption);
            Draft { needs, ..draft }
        };
        if class >= Change::Restart {
            draft.needs.extend(self.prerequisites(drafts));
        }
        draft.changes = changes;
        Some(draft)
    }

    /// After a change in place a running container has nothing to prove that it had not proved before, unless it is the check.
    fn light_gate(&self, container: &Container, changes: &[FieldChange]) -> Gate {
        let same_check = changes.iter().all(|change| change.field.kind != FieldKind::Probe);
        if container.status == Status::Running && same_check { Gate::Started } else { self.gate.clone() }
    }

    fn reason(&self, changes: &[FieldChange], container: &Container) -> Reason {
        match changes {
            [state] if state.field.kind == FieldKind::State && container.status == Status::Running => Reason::Unhealthy,
            [state] if state.field.kind == FieldKind::State => Reason::NotRunning(container.status),
            _ => Reason::Changed,
        }
    }

    /// The failure of exactly the settings that are wanted, unless another try is allowed.
    fn quarantined(&mut self) -> Option<HeldReason> {
        let failed = self.cx.input.memory.quarantine.iter().find(|one| one.instance == self.wanted.id)?;
        let same = failed.spec == spec_digest(&self.fields.own(self.wanted));
        let retry = self.cx.allows(AllowedGuard::Retry, &self.wanted.id.to_string());
        (same && !retry)
            .then(|| HeldReason::Quarantined { revision: failed.revision.clone(), verdict: failed.verdict.clone() })
    }

    /// Whether a container that has the wanted settings failed with them and has not recovered since.
    fn failed(&mut self, container: &Container) -> Option<HeldReason> {
        let recovered = container.health == Health::Healthy || is_done(container, self.wanted.service);
        if recovered { None } else { self.quarantined() }
    }

    /// Why a change of this instance is not made now.
    fn hold(&mut self, changes: &[FieldChange]) -> Option<HeldReason> {
        if let Some(quarantined) = self.quarantined() {
            return Some(quarantined);
        }
        hold_repair(self.cx, &self.cx.instance(&self.wanted.id), changes)
    }

    /// Whether the old container must stop before the new one starts: they cannot both have a host port, a fixed
    /// address or the host's network, and should not both write to one volume or drive one device.
    fn stops_first(&self, old: &Container) -> bool {
        let (service, new) = (self.wanted.service, &self.wanted.service.spec);
        let ports = || {
            new.ports
                .iter()
                .any(|port| port.host_port.is_some() && old.spec.ports.iter().any(|o| o.host_port == port.host_port))
        };
        let host_network = || new.network_mode.as_deref() == Some("host");
        let address = || new.networks.values().any(|attachment| attachment.ipv4.is_some() || attachment.ipv6.is_some());
        let writes = |mount: &Mount| match mount {
            Mount::Volume { name, read_only: false } => Some(name.clone()),
            Mount::Bind { source, read_only: false, .. } => Some(source.clone()),
            _ => None,
        };
        let shared = || {
            let held: BTreeSet<String> = old.spec.mounts.values().filter_map(writes).collect();
            new.mounts.values().filter_map(writes).any(|source| held.contains(&source)) || !self.carried(old).is_empty()
        };
        let devices = || !new.devices.is_empty() && !old.spec.devices.is_empty();
        let exclusive = ports() || host_network() || address();
        match service.order {
            Order::StopFirst => true,
            Order::StartFirst => exclusive,
            Order::Auto => exclusive || shared() || devices(),
        }
    }

    fn launch(&mut self) -> Launch {
        let name = self.wanted.name.clone();
        let applied = applied(&self.fields.own(self.wanted), &name);
        Launch {
            instance: self.wanted.id.clone(),
            name,
            owner: self.cx.input.owner.clone(),
            revision: self.cx.input.revision.commit.clone(),
            spec: self.wanted.service.spec.clone(),
            applied,
            needs: self.wanted.service.depends_on.keys().cloned().collect(),
            carried: BTreeMap::new(),
            gate: self.gate.clone(),
        }
    }

    /// The objects and instances that must be there before this one starts.
    fn prerequisites(&self, drafts: &Drafts) -> BTreeSet<(Subject, Milestone)> {
        let mut needs: BTreeSet<_> = needed_by(self.wanted.service, &self.cx.input.observed.node).collect();
        for (service, edge) in &self.wanted.service.depends_on {
            let until = if edge.condition == Condition::Started { Milestone::Started } else { Milestone::Done };
            let replicas = self.cx.desired().service(service).map_or(0, |service| service.replicas);
            needs.extend((1..=replicas).map(|slot| (self.cx.instance(&service.instance(slot)), until)));
        }
        needs.extend(self.renewed_holders(drafts).into_iter().map(|renewed| (renewed.holder, Milestone::Done)));
        needs
    }

    pub(super) fn ours(&self, container: &Container) -> Guard {
        Guard::Ours { container: container.id.clone(), owner: self.cx.input.owner.clone() }
    }

    pub(super) fn draft(&self, action: Action, guard: Guard, reason: Reason, disruption: Disruption) -> Draft {
        Draft {
            deployment: Some(self.wanted.deployment.name.clone()),
            action,
            guard,
            needs: BTreeSet::new(),
            changes: Vec::new(),
            reason,
            disruption,
            rank: self.rank,
        }
    }
}
