//! What happens to each wanted instance: nothing, a step, or a hold.

use super::action::{Action, Gate, Guard, Launch, Update};
use super::context::Context;
use super::diff::{differences, spec_digest};
use super::draft::{Draft, Drafts, Phase, Rank};
use super::fields::FieldCache;
use super::gate::{gate, waited_for};
use super::input::AllowedGuard;
use super::leftovers::Main;
use super::objects::needed_by;
use super::record::{applied, base};
use super::step::{Disruption, FieldChange, HeldReason, Milestone, Origin, Reason, Subject};
use super::update::{class, updates};
use super::wanted::{Present, Wanted};
use crate::model::{
    Change, Condition, Container, DriftPolicy, Field, FieldKind, Health, Mount, OnFailure, Order, ServiceRef, Status,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// How many repairs of the same fields of one instance within ten minutes make it count as flapping.
const FLAPPING: usize = 5;
/// Docker's own time between the stop signal and SIGKILL.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// What was seen of the wanted instances on the way.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Instances that are as they should be.
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
        let main = instance.settle_leftovers(present, drafts);
        match main {
            Some(main) => instance.compare(&main, drafts, &mut seen),
            None => instance.create(drafts),
        }
    }
    seen
}

/// How long a container may take to stop.
pub(super) fn grace(container: &Container) -> Duration {
    container.spec.stop_grace.unwrap_or(DEFAULT_GRACE)
}

/// One wanted instance under consideration.
pub(super) struct Instance<'c, 'a> {
    pub(super) cx: &'c Context<'a>,
    pub(super) wanted: &'c Wanted<'a>,
    gate: Gate,
    depended_on: bool,
    pub(super) rank: Rank,
    fields: &'c mut FieldCache,
}

impl<'a> Instance<'_, 'a> {
    /// Steps or holds that bring the container to what is wanted.
    fn compare(&mut self, main: &Main<'a>, drafts: &mut Drafts, seen: &mut Seen) {
        let container: &Container = &main.container;
        let mut changes = differences(self.cx, self.wanted, self.fields, container, &base(self.cx, container));
        self.lose_namespaces(drafts, &mut changes);
        let subject = Subject::Instance(self.wanted.id.clone());
        let draft = if changes.is_empty() {
            seen.unchanged += 1;
            self.await_if_unsettled(main)
        } else {
            self.change(main, changes, drafts)
        };
        if let Some(mut draft) = draft {
            draft.needs.extend(main.after.iter().cloned());
            drafts.steps.insert(subject.clone(), draft);
        }
        if let Some(prev) = main.predecessor {
            self.discard(prev, BTreeSet::from([(subject, Milestone::Done)]), drafts);
        }
    }

    /// A container that is as it should be but still starting is waited for, as others may depend on it.
    fn await_if_unsettled(&self, main: &Main<'_>) -> Option<Draft> {
        let container: &Container = &main.container;
        let unsettled = match self.gate {
            Gate::Started => false,
            Gate::Healthy { .. } => container.health == Health::Starting || container.status == Status::Restarting,
            Gate::Completed { .. } => container.status == Status::Running,
        };
        (main.predecessor.is_some() || (unsettled && self.depended_on)).then(|| {
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
        };
        let changes = if known { vec![state] } else { Vec::new() };
        if let Some(why) = self.hold(&changes) {
            let subject = Subject::Instance(self.wanted.id.clone());
            drafts.absent.insert(subject.clone());
            return drafts.hold(subject, "create", why, changes);
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
        drafts.steps.insert(Subject::Instance(self.wanted.id.clone()), draft);
    }

    /// A replacement or an update, unless something holds it.
    fn change(&mut self, main: &Main<'_>, changes: Vec<FieldChange>, drafts: &mut Drafts) -> Option<Draft> {
        let container: &Container = &main.container;
        let service = self.wanted.service;
        let heaviest = |changes: &[FieldChange]| {
            changes.iter().map(|change| class(change, service, container)).max().unwrap_or(Change::InPlace)
        };
        let subject = Subject::Instance(self.wanted.id.clone());
        let mut changes = changes;
        if let Some(why) = self.hold(&changes) {
            let replaces = heaviest(&changes) == Change::Recreate;
            // What a commit wants is held; that the container runs at all is kept up meanwhile.
            let (state, held): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| {
                change.field.kind == FieldKind::State && matches!(why, HeldReason::Quarantined { .. })
            });
            let old_version_fell = !held.is_empty() && !state.is_empty();
            let verb = if replaces { "replace" } else { "update" };
            if !old_version_fell {
                drafts.hold(subject, verb, why, state.into_iter().chain(held).collect());
                return None;
            }
            drafts.hold(subject, verb, why, held);
            changes = state;
        }
        let class = heaviest(&changes);
        let mut draft = if class == Change::Recreate {
            let stop_first = self.stops_first(container);
            let action = Action::ReplaceInstance {
                old: container.id.clone(),
                launch: Box::new(self.launch()),
                stop_first,
                grace: grace(container),
                rollback: self.wanted.deployment.strategy.on_failure != OnFailure::Continue,
            };
            let running = container.status == Status::Running;
            let disruption = match (running, stop_first) {
                (false, _) => Disruption::Restart,
                (true, true) => Disruption::RecreateDowntime,
                (true, false) => Disruption::RecreateStartFirst,
            };
            self.draft(action, self.ours(container), self.reason(&changes, container), disruption)
        } else {
            let updates = updates(&changes, service, container);
            let disruption = if class == Change::Restart { Disruption::Restart } else { Disruption::InPlace };
            let gate = if class == Change::Restart { self.gate.clone() } else { self.light_gate(container) };
            let connects = updates.iter().filter_map(|update| match update {
                Update::Connect { network, .. } => Some((Subject::Network(network.clone()), Milestone::Done)),
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

    /// After a change in place a running container has nothing to prove that it had not proved before.
    fn light_gate(&self, container: &Container) -> Gate {
        if container.status == Status::Running { Gate::Started } else { self.gate.clone() }
    }

    fn reason(&self, changes: &[FieldChange], container: &Container) -> Reason {
        match changes {
            [state] if state.field.kind == FieldKind::State && container.status == Status::Running => Reason::Unhealthy,
            [state] if state.field.kind == FieldKind::State => Reason::NotRunning(container.status),
            _ => Reason::Changed,
        }
    }

    /// Why a change of this instance is not made now.
    fn hold(&mut self, changes: &[FieldChange]) -> Option<HeldReason> {
        let id = self.wanted.id.clone();
        let memory = self.cx.input.memory;
        let retry = self.cx.allows(AllowedGuard::Retry, &id.to_string());
        let of_instance = |one: &&super::input::Quarantine| one.instance == id;
        if !retry && let Some(failed) = memory.quarantine.iter().find(of_instance) {
            let spec = spec_digest(&self.fields.own(self.wanted));
            if failed.spec == spec {
                let (revision, verdict) = (failed.revision.clone(), failed.verdict.clone());
                return Some(HeldReason::Quarantined { revision, verdict });
            }
        }
        let drift_only = !changes.is_empty() && changes.iter().all(|change| change.origin == Origin::Drift);
        if !drift_only {
            return None;
        }
        if self.cx.desired().settings.drift == DriftPolicy::Report {
            return Some(HeldReason::DriftReported);
        }
        let fields = fought_over(changes)?;
        let repairs = memory.repairs.iter().filter(|repair| repair.instance == id && repair.fields == fields).count();
        (repairs >= FLAPPING && !retry).then_some(HeldReason::Flapping { times: repairs as u32 })
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
            new.mounts.values().filter_map(writes).any(|source| held.contains(&source))
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
            gate: self.gate.clone(),
        }
    }

    /// The objects and instances that must be there before this one starts.
    fn prerequisites(&self, drafts: &Drafts) -> BTreeSet<(Subject, Milestone)> {
        let mut needs: BTreeSet<_> = needed_by(self.wanted.service).collect();
        for (service, edge) in &self.wanted.service.depends_on {
            let until = if edge.condition == Condition::Started { Milestone::Started } else { Milestone::Done };
            let replicas = self.cx.desired().service(service).map_or(0, |service| service.replicas);
            needs.extend((1..=replicas).map(|slot| (Subject::Instance(service.instance(slot)), until)));
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

/// The fields that a repair changes back, as one text; repeated, they are a fight with somebody on the host. That a
/// container merely does not run is none: it is started again as often as it takes.
pub fn fought_over(changes: &[FieldChange]) -> Option<String> {
    let fields = changes.iter().filter(|change| change.field.kind != FieldKind::State);
    let fields: Vec<String> = fields.map(|change| change.field.to_string()).collect();
    (!fields.is_empty()).then(|| fields.join(", "))
}
