//! What must hold over rounds: commits, failures, meddling, lost records and engines with habits of their own, one after the
//! other, each followed by plan and apply. A promise that holds once is worth little.

use super::generate::{deployment, desired, owner, revision, service};
use crate::model::{
    CommitId, Condition, Container, ContainerId, Dependency, Desired, Health, InstanceId, Location, NodeName, Observed,
    OnFailure, OwnerId, Restart, ServiceId, ServiceRef, Status, Timestamp, Ulimit,
};
use crate::plan::render::{View, text};
use crate::plan::{
    Action, Base, HeldReason, Memory, Plan, PlanInput, Quarantine, Reason, Repair, Step, Subject, Sync, Update,
    Violation, fought_over, found_in_place, lint, plan, pretend, reported, spec_digest, sync, wish,
};
use fastrand::Rng;
use jiff::ToSpan;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How many sequences are played. `SETPOINT_ROUNDS` plays more (CI: 100,000), `SETPOINT_SEED` one of them again.
const SEQUENCES: u64 = 4_000;
/// Rounds without any event after which a host must have come to rest.
const QUIET: usize = 16;
/// The image whose containers never pass their gate.
const BROKEN: &str = "broken:1";

/// What an engine makes of a wish, besides what was asked.
#[derive(Clone, Copy, Debug, Default)]
struct Habits {
    /// Adds limits of its own settings.
    adds_ulimits: bool,
    /// Adds labels.
    adds_labels: bool,
    /// Has another size of shared memory.
    own_shm_size: bool,
    /// Ignores limits of processes.
    drops_pids: bool,
    /// Writes the image's reference out.
    qualifies_images: bool,
    /// Adds options to networks.
    adds_network_options: bool,
}

impl Habits {
    fn any(rng: &mut Rng) -> Self {
        Self {
            adds_ulimits: rng.bool(),
            adds_labels: rng.bool(),
            own_shm_size: rng.bool(),
            drops_pids: rng.bool(),
            qualifies_images: rng.bool(),
            adds_network_options: rng.bool(),
        }
    }

    fn apply(self, container: &mut Container) {
        let spec = &mut container.spec;
        if self.adds_ulimits {
            spec.ulimits.entry("nofile".into()).or_insert(Ulimit { soft: 64_000, hard: 64_000 });
        }
        if self.adds_labels {
            spec.labels.insert("desktop.docker.io/ports.scheme".into(), "v2".into());
        }
        if self.own_shm_size {
            spec.shm_size.get_or_insert(128 << 20);
        }
        if self.drops_pids {
            spec.resources.pids = None;
        }
        if self.qualifies_images && !spec.image.contains('/') {
            spec.image = format!("docker.io/library/{}", spec.image);
        }
    }
}

/// A daemon and an engine.
struct World {
    desired: Desired,
    observed: Observed,
    memory: Memory,
    habits: Habits,
    /// Replacements and creations of each instance since something gave a reason for one.
    made: BTreeMap<InstanceId, usize>,
    /// Reasons that each instance was given: commits, and what somebody did to it.
    causes: BTreeMap<InstanceId, usize>,
    /// Repairs of each instance while its service had these settings.
    repaired: BTreeMap<(InstanceId, String), usize>,
}

impl World {
    fn plan(&self) -> Plan {
        let (owner, revision) = (owner(), revision());
        let input = self.input(&owner, &revision);
        let plan = plan(&input);
        assert_eq!(lint(&plan, &input), Vec::<Violation>::new(), "{:#?}", plan.steps);
        plan
    }

    fn input<'a>(&'a self, owner: &'a OwnerId, revision: &'a crate::model::Revision) -> PlanInput<'a> {
        PlanInput {
            desired: &self.desired,
            revision,
            observed: &self.observed,
            owner,
            memory: &self.memory,
            allow: &[],
        }
    }

    /// One round: record what is in place, plan, carry out. Returns the plan.
    fn round(&mut self) -> Plan {
        self.observed.at = self.observed.at.checked_add(20.seconds()).unwrap();
        let (owner, revision) = (owner(), revision());
        let found = found_in_place(&self.input(&owner, &revision));
        self.memory.bases.extend(found);
        let plan = self.plan();
        for held in plan.held.iter().filter(|held| matches!(held.why, HeldReason::Flapping { .. })) {
            let Subject::Instance(_, id) = &held.subject else { continue };
            let repaired = self.repaired.get(&self.settings(id)).copied().unwrap_or_default();
            assert!(repaired >= 5, "{id} is held as flapping after {repaired} repairs of what the commit wants");
        }
        let mut failed: BTreeSet<usize> = BTreeSet::new();
        for step in &plan.steps {
            if step.needs.iter().any(|need| failed.contains(&need.step)) || !self.step(&plan, step) {
                failed.insert(step.id);
            }
        }
        plan
    }

    /// Carries one step out; whether it went well.
    fn step(&mut self, plan: &Plan, step: &Step) -> bool {
        self.needs_are_met(step);
        if is_repair(step) {
            self.memory.repairs.push(Repair {
                subject: step.subject.to_string(),
                fields: fought_over(&step.changes),
                wish: wish(&self.desired, &step.subject),
                at: self.observed.at,
            });
            if let Subject::Instance(_, id) = &step.subject {
                *self.repaired.entry(self.settings(id)).or_default() += 1;
            }
        }
        if let (Action::CreateInstance(launch) | Action::ReplaceInstance { launch, .. }, Subject::Instance(_, id)) =
            (&step.action, &step.subject)
        {
            *self.made.entry(id.clone()).or_default() += 1;
            if launch.spec.image == BROKEN {
                return self.failing(plan, step, id);
            }
        }
        if let Action::UpdateInstance { container, updates, .. } = &step.action
            && updates.iter().any(|update| matches!(update, Update::Start | Update::Restart { .. }))
            && self.container(container).is_some_and(|one| one.spec.image.ends_with(BROKEN))
            && let Subject::Instance(_, id) = &step.subject
        {
            self.quarantine(step, id);
            return false;
        }
        let known: BTreeSet<ContainerId> = self.observed.containers.iter().map(|one| one.id.clone()).collect();
        let only = Plan { steps: vec![step.clone()], ..plan.clone() };
        let after = pretend(&only, &self.observed, &self.memory, &owner());
        assert_eq!(after.refused, Vec::<String>::new(), "{step:#?}");
        (self.observed, self.memory) = (after.observed, after.memory);
        // An engine numbers its containers; those of a repeated launch are others.
        let number = self.memory.repairs.len() + self.made.values().sum::<usize>() + self.observed.containers.len();
        for container in self.observed.containers.iter_mut().filter(|one| !known.contains(&one.id)) {
            let base = self.memory.bases.remove(container.id.as_str());
            container.id = ContainerId::new(format!("{number}-{}", container.id));
            self.memory.bases.extend(base.map(|base| (container.id.as_str().to_owned(), base)));
            self.habits.apply(container);
        }
        if self.habits.drops_pids {
            self.observed.containers.iter_mut().for_each(|one| one.spec.resources.pids = None);
        }
        if self.habits.adds_network_options {
            for network in self.observed.networks.values_mut() {
                network.options.insert("com.docker.network.driver.mtu".into(), "1400".into());
            }
        }
        for container in &self.observed.containers {
            if let Some(base) = self.memory.bases.get_mut(container.id.as_str()).filter(|_| touches(step, container)) {
                base.reported = reported(container);
            }
        }
        if let Subject::Instance(_, id) = &step.subject {
            self.memory.quarantine.retain(|one| one.instance != *id);
        }
        true
    }

    /// A launch whose gate is not passed: what a roll-back leaves, or what stays as evidence.
    fn failing(&mut self, plan: &Plan, step: &Step, id: &InstanceId) -> bool {
        let policy = &plan.strategies[&id.service.deployment];
        let replaces = matches!(step.action, Action::ReplaceInstance { .. });
        if !replaces || policy.on_failure == OnFailure::Continue {
            let only = Plan { steps: vec![step.clone()], ..plan.clone() };
            let after = pretend(&only, &self.observed, &self.memory, &owner());
            (self.observed, self.memory) = (after.observed, after.memory);
            let launch = step.action.launch().expect("it launches");
            let failed = self.observed.containers.iter_mut().find(|one| one.name == launch.name).expect("it was made");
            failed.status = Status::Exited { code: 1, oom: false };
            // The step failed, so nothing was put on record.
            self.memory.bases.remove(failed.id.as_str());
            self.habits.apply(failed);
        }
        self.quarantine(step, id);
        false
    }

    /// Settings that failed are remembered; a repair tries none.
    fn quarantine(&mut self, step: &Step, id: &InstanceId) {
        if is_repair(step) {
            return;
        }
        let service = self.desired.service(&id.service).expect("it is wanted");
        let (spec, revision, verdict) = (spec_digest(&service.fields()), CommitId::new("3f2a91c"), "exited (1)".into());
        self.memory.quarantine.retain(|one| one.instance != *id);
        self.memory.quarantine.push(Quarantine {
            node: NodeName::local(),
            instance: id.clone(),
            spec,
            revision,
            verdict,
        });
    }

    fn container(&self, id: &ContainerId) -> Option<&Container> {
        self.observed.containers.iter().find(|one| one.id == *id)
    }

    /// Nothing is launched or started while something that it needs has not come as far as it must.
    fn needs_are_met(&self, step: &Step) {
        let Subject::Instance(_, id) = &step.subject else { return };
        let starts = match &step.action {
            Action::UpdateInstance { updates, .. } => {
                updates.iter().any(|update| matches!(update, Update::Start | Update::Restart { .. } | Update::Unpause))
            }
            action => action.launch().is_some(),
        };
        let Some(service) = self.desired.service(&id.service).filter(|_| starts) else { return };
        for (needed, edge) in &service.depends_on {
            let container = self.observed.containers.iter().find(|one| {
                one.instance.as_ref().is_some_and(|of| of.service == *needed) && one.owner.as_ref() == Some(&owner())
            });
            let met = container.is_some_and(|one| match edge.condition {
                Condition::Started => matches!(one.status, Status::Running | Status::Exited { code: 0, .. }),
                Condition::Healthy => one.status == Status::Running && one.health != Health::Unhealthy,
                Condition::Completed => matches!(one.status, Status::Exited { code: 0, .. }),
            });
            assert!(met, "{id} begins although {needed} is {:?}", container.map(|one| (one.status, one.health)));
            let wanted = self.desired.service(needed).expect("it compiles");
            let failed = self
                .memory
                .quarantine
                .iter()
                .any(|one| one.instance.service == *needed && one.spec == spec_digest(&wanted.fields()));
            assert!(!(failed && step.action.launch().is_some()), "{id} is made although {needed} failed");
        }
    }

    /// An instance with the settings that are wanted of it.
    fn settings(&self, id: &InstanceId) -> (InstanceId, String) {
        (id.clone(), format!("{:?}", self.desired.service(&id.service).map(crate::model::Service::fields)))
    }

    /// A commit, or somebody, gave reasons for one replacement each.
    fn cause(&mut self, of: impl Fn(&InstanceId) -> bool) {
        let wanted = self.desired.deployments.values().flat_map(|deployment| {
            deployment.services.iter().map(|service| {
                ServiceRef { deployment: deployment.name.clone(), service: service.id.clone() }.instance(1)
            })
        });
        for id in wanted.filter(|id| of(id)) {
            *self.causes.entry(id).or_default() += 1;
        }
    }
}

fn touches(step: &Step, container: &Container) -> bool {
    match &step.action {
        Action::UpdateInstance { container: id, .. } => *id == container.id,
        action => action.launch().is_some_and(|launch| launch.name == container.name),
    }
}

fn is_repair(step: &Step) -> bool {
    matches!(step.reason, Reason::Vanished | Reason::NotRunning(_) | Reason::Unhealthy)
        || step.reason == Reason::Changed
            && !step.changes.is_empty()
            && step.changes.iter().all(|change| change.origin == crate::plan::Origin::Drift)
}

/// A repo of up to four services: a job that others wait for, a database, and what needs them.
fn any_desired(rng: &mut Rng) -> Desired {
    let at = Location { file: Arc::from("deployments/shop.yaml"), line: 1, column: 1 };
    let mut services = Vec::new();
    for (index, name) in ["db", "migrate", "api", "web"].into_iter().enumerate() {
        if index > 0 && rng.u8(..5) == 0 {
            continue;
        }
        let image = if rng.u8(..6) == 0 { BROKEN } else { ["app:1", "app:2"][rng.usize(..2)] };
        let mut one = service(name, image);
        if rng.bool() {
            one.spec.env.insert("MODE".into(), rng.u8(..2).to_string());
        }
        one.spec.resources.pids = rng.bool().then_some(64);
        one.spec.resources.memory = rng.bool().then_some(64 << 20);
        if name == "migrate" {
            one.one_shot = true;
            one.spec.restart = Restart::No;
        }
        services.push(one);
    }
    let there: BTreeSet<ServiceId> = services.iter().map(|one| one.id.clone()).collect();
    let edges = [
        ("migrate", "db", Condition::Healthy),
        ("api", "migrate", Condition::Completed),
        ("web", "api", Condition::Healthy),
    ];
    for (from, to, condition) in edges {
        let to = ServiceId::new(to);
        let Some(one) = services.iter_mut().find(|one| one.id.as_str() == from).filter(|_| there.contains(&to)) else {
            continue;
        };
        let reference = ServiceRef { deployment: crate::model::DeploymentName::new("shop"), service: to };
        one.depends_on.insert(reference, Dependency { condition, at: at.clone() });
    }
    let mut shop = deployment("shop", services);
    shop.strategy.on_failure = [OnFailure::Rollback, OnFailure::Halt, OnFailure::Continue][rng.usize(..3)];
    shop.strategy.stability_window = Duration::ZERO;
    let mut desired = desired(vec![shop]);
    desired.settings.prune.budget_percent = 100;
    desired
}

/// Something of somebody else that is in nobody's way.
fn foreign() -> Container {
    Container {
        image_id: "sha256:0".into(),
        spec: crate::model::ContainerSpec { image: "other:1".into(), ..Default::default() },
        ..Container::bare("f00", "somebody")
    }
}

fn meddle(world: &mut World, rng: &mut Rng) {
    let ours: Vec<usize> =
        (0..world.observed.containers.len()).filter(|at| world.observed.containers[*at].owner.is_some()).collect();
    if ours.is_empty() {
        return;
    }
    let at = ours[rng.usize(..ours.len())];
    let container = &mut world.observed.containers[at];
    let job = container.instance.as_ref().is_some_and(|id| id.service.service.as_str() == "migrate");
    match rng.u8(..6) {
        0 if !job => container.status = Status::Exited { code: 137, oom: false },
        1 if !job => container.health = Health::Unhealthy,
        2 => container.spec.resources.memory = Some(7 << 20),
        3 => container.spec.networks.clear(),
        4 => drop(world.observed.containers.remove(at)),
        5 => drop(world.memory.bases.remove(container.id.as_str())),
        _ => container.name.push_str("-x"),
    }
}

/// Somebody removes one container each time that it is made.
fn remove_again_and_again(world: &mut World, rng: &mut Rng) {
    let names: Vec<String> =
        world.observed.containers.iter().filter(|one| one.owner.is_some()).map(|one| one.name.clone()).collect();
    let Some(name) = rng.choice(&names) else { return };
    for _ in 0..rng.usize(3..8) {
        world.observed.containers.retain(|one| one.name != *name);
        world.cause(|_| true);
        world.round();
    }
    world.observed.containers.retain(|one| one.name != *name);
}

/// One sequence of events, each followed by a round, and rounds without an event at the end.
fn sequence(seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    let mut observed = Observed::empty(Timestamp::from_second(1_800_000_000).unwrap());
    observed.containers.push(foreign());
    let mut world = World {
        desired: any_desired(rng),
        observed,
        memory: Memory::default(),
        habits: Habits::any(rng),
        made: BTreeMap::new(),
        causes: BTreeMap::new(),
        repaired: BTreeMap::new(),
    };
    world.cause(|_| true);
    world.round();
    for _ in 0..rng.usize(..5) {
        if rng.u8(..3) == 0 {
            world.desired = any_desired(rng);
        } else if rng.u8(..8) == 0 {
            remove_again_and_again(&mut world, rng);
        } else {
            meddle(&mut world, rng);
        }
        // Whatever happened may give each instance one reason, and a failed one another try once what it needs is there.
        world.cause(|_| true);
        world.round();
    }
    let mut quiet = 0;
    while !world.round().is_empty() {
        quiet += 1;
        assert!(quiet < QUIET, "no rest after {QUIET} quiet rounds:\n{}", shown(&world.plan()));
    }
    let last = world.round();
    assert!(last.is_empty(), "an empty plan stays empty:\n{}", shown(&last));
    assert_eq!(world.observed.containers.iter().filter(|one| **one == foreign()).count(), 1, "foreign and untouched");
    for (id, made) in &world.made {
        // One for each cause, and for each fight of an unhealthy container at most three before it is held.
        let causes = world.causes.get(id).copied().unwrap_or_default();
        assert!(*made <= 2 * causes + 3, "{id} was made {made} times for {causes} causes");
    }
    // The state of affairs tells whether it is fine.
    let (owner, revision) = (owner(), revision());
    let syncs = sync(&last, &world.input(&owner, &revision), &BTreeSet::new());
    let runs = |service: &crate::model::Service, one: &Container| match service.one_shot {
        true => matches!(one.status, Status::Exited { code: 0, .. }),
        false => one.status == Status::Running && one.health != Health::Unhealthy,
    };
    if syncs.whole == Sync::InSync {
        for deployment in world.desired.deployments.values() {
            for service in &deployment.services {
                let name = service.container_name(&deployment.name, 1);
                let one = world.observed.containers.iter().find(|one| one.name == name);
                assert!(
                    one.is_some_and(|one| runs(service, one)),
                    "in sync, and {name} is {:?}",
                    one.map(|one| one.status)
                );
            }
        }
    }
}

fn shown(plan: &Plan) -> String {
    anstream::adapter::strip_str(&text(&View::new(plan))).to_string()
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line of its own")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Whatever happens one after the other: what needs a failed thing never runs, nothing is made twice for one cause, the host
/// comes to rest, nothing foreign is touched, and «in sync» is true.
#[test]
fn promises_hold_over_rounds() {
    if let Some(seed) = setting("SETPOINT_SEED") {
        return sequence(seed);
    }
    let (first, count) = (setting("SETPOINT_FIRST").unwrap_or(0), setting("SETPOINT_ROUNDS").unwrap_or(SEQUENCES));
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    std::thread::scope(|scope| {
        for worker in 0..workers {
            scope.spawn(move || {
                for seed in (first + worker..first + count).step_by(workers as usize) {
                    if std::panic::catch_unwind(|| sequence(seed)).is_err() {
                        panic!("a promise broke: SETPOINT_SEED={seed} plays it again");
                    }
                }
            });
        }
    });
    println!("{count} sequences from seed {first} on");
}

/// A record that was never written costs nothing on an engine that adds things.
#[test]
fn base_is_what_the_engine_made_of_the_wish() {
    let rng = &mut Rng::with_seed(7);
    for _ in 0..64 {
        let mut world = World {
            desired: desired(vec![deployment("shop", vec![service("db", "app:1")])]),
            observed: Observed::empty(Timestamp::from_second(1_800_000_000).unwrap()),
            memory: Memory::default(),
            habits: Habits::any(rng),
            made: BTreeMap::new(),
            causes: BTreeMap::new(),
            repaired: BTreeMap::new(),
        };
        world.round();
        assert!(world.plan().is_empty(), "the plan after an apply is empty:\n{}", shown(&world.plan()));
        world.memory.bases = BTreeMap::<String, Base>::new();
        assert!(world.plan().is_empty(), "without its record as well:\n{}", shown(&world.plan()));
    }
}
