//! Single decisions, each with the rule that it follows.

use super::generate::{deployment, desired, owner, revision, service};
use crate::model::{
    CommitId, ConfigFile, Container, ContainerSpec, Desired, DriftPolicy, Health, Image, InstanceId, Mount, NodeName,
    Observed, OnChange, OwnerId, PortBinding, Probe, Protocol, PullPolicy, Restart, Status, Timestamp, digest,
};
use crate::plan::{
    Action, Allow, AllowedGuard, Base, Disruption, Gate, Held, HeldReason, Memory, Milestone, Origin, Plan, PlanInput,
    Quarantine, Reason, Repair, Step, Subject, Teardown, Update, Violation, found_in_place, lint, plan, pretend,
    spec_digest, teardown, wish,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct World {
    pub(super) desired: Desired,
    pub(super) observed: Observed,
    pub(super) memory: Memory,
    pub(super) allow: Vec<Allow>,
}

impl World {
    /// A host of which nothing is remembered.
    pub(super) fn new(desired: Desired, observed: Observed) -> Self {
        Self { desired, observed, memory: Memory::default(), allow: Vec::new() }
    }

    /// A host on which the repo was applied.
    pub(super) fn settled(desired: Desired) -> Self {
        let mut world = Self::new(desired, Observed::empty(Timestamp::UNIX_EPOCH));
        let host = pretend(&world.plan(), &world.observed, &world.memory, &owner());
        (world.observed, world.memory) = (host.observed, host.memory);
        world
    }

    pub(super) fn plan(&self) -> Plan {
        self.with(plan)
    }

    fn found(&self) -> BTreeMap<String, Base> {
        let found = RefCell::default();
        self.with(|input| {
            *found.borrow_mut() = found_in_place(input);
            plan(input)
        });
        found.into_inner()
    }

    fn with(&self, make: impl Fn(&PlanInput<'_>) -> Plan) -> Plan {
        let (owner, revision) = (owner(), revision());
        let input = PlanInput {
            desired: &self.desired,
            revision: &revision,
            observed: &self.observed,
            owner: &owner,
            memory: &self.memory,
            allow: &self.allow,
        };
        let plan = make(&input);
        assert_eq!(lint(&plan, &input), Vec::<Violation>::new());
        plan
    }

    pub(super) fn container(&mut self, name: &str) -> &mut Container {
        self.observed.containers.iter_mut().find(|one| one.name == name).expect("the container exists")
    }

    pub(super) fn service(&mut self, id: &str) -> &mut crate::model::Service {
        let deployment = self.desired.deployments.values_mut().next().expect("a deployment");
        deployment.services.iter_mut().find(|one| one.id.as_str() == id).expect("the service exists")
    }
}

pub(super) fn two() -> World {
    World::settled(desired(vec![deployment("shop", vec![service("db", "db:1"), service("web", "web:1")])]))
}

pub(super) fn step<'p>(plan: &'p Plan, subject: &str) -> &'p Step {
    plan.steps.iter().find(|step| step.subject.to_string() == subject).expect("the step exists")
}

pub(super) fn held<'p>(plan: &'p Plan, subject: &str) -> &'p Held {
    plan.held.iter().find(|held| held.subject.to_string() == subject).expect("it is held")
}

fn port(number: u16) -> PortBinding {
    PortBinding { container_port: 80, protocol: Protocol::Tcp, host_ip: None, host_port: Some(number) }
}

fn foreign(name: &str, ports: &[u16]) -> Container {
    Container {
        owner: Some(OwnerId::new("somebody/else")),
        spec: ContainerSpec { ports: ports.iter().map(|number| port(*number)).collect(), ..Default::default() },
        ..Container::bare(&format!("foreign-{name}"), name)
    }
}

#[test]
fn a_limit_changes_in_place_but_is_lifted_by_a_new_container() {
    let mut world = two();
    world.service("db").spec.resources.memory = Some(64 << 20);
    let first = world.plan();
    assert_eq!(step(&first, "shop/db/1").disruption, Disruption::InPlace);
    let host = pretend(&first, &world.observed, &world.memory, &owner());
    (world.observed, world.memory) = (host.observed, host.memory);
    world.service("db").spec.resources.memory = None;
    assert!(matches!(step(&world.plan(), "shop/db/1").action, Action::ReplaceInstance { .. }));
}

#[test]
fn a_changed_health_check_is_a_change_that_must_pass_the_new_check() {
    let probe = |port| Probe {
        http_path: Some("/".to_owned()),
        port,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(3),
        retries: 3,
        start_period: Duration::ZERO,
    };
    let mut world = two();
    for (before, after) in [(None, Some(probe(80))), (Some(probe(80)), Some(probe(81))), (Some(probe(81)), None)] {
        assert_eq!(world.service("web").probe, before);
        world.service("web").probe.clone_from(&after);
        let plan = world.plan();
        let step = step(&plan, "shop/web/1");
        assert_eq!((step.disruption, step.changes.len()), (Disruption::InPlace, 1), "{:?}", step.changes);
        let Action::UpdateInstance { updates, gate: Gate::Healthy { probe, .. }, .. } = &step.action else {
            panic!("{:?}", step.action)
        };
        assert!(updates.is_empty() && *probe == after, "nothing is done to the container, and the new check is passed");
        let host = pretend(&plan, &world.observed, &world.memory, &owner());
        (world.observed, world.memory) = (host.observed, host.memory);
        assert!(world.plan().is_empty(), "it is on record");
    }
}

#[test]
fn a_container_of_a_version_that_recorded_no_check_is_not_changed_for_it() {
    let mut world = two();
    world.container("shop-web-1").applied.remove("probe");
    world.service("web").probe = Some(Probe {
        http_path: None,
        port: 80,
        interval: Duration::from_secs(5),
        timeout: Duration::from_secs(3),
        retries: 3,
        start_period: Duration::ZERO,
    });
    assert!(world.plan().is_empty());
    let found = world.found();
    let base = found.values().find(|base| base.asked.contains_key("probe")).expect("it gets a record");
    assert_eq!(base.asked["probe"].len(), 12);
    world.memory.bases.extend(found);
    world.service("web").probe = None;
    assert_eq!(world.plan().steps.len(), 1, "from then on a change is one");
}

#[test]
fn a_fixed_host_port_forces_stop_first_and_a_shared_volume_does_too() {
    let mut world = two();
    world.service("web").spec.ports.insert(port(8080));
    world.service("db").spec.mounts.insert("/d".into(), Mount::Volume { name: "d".into(), read_only: false });
    let mut world = World::settled(world.desired);
    world.service("web").spec.env.insert("A".into(), "1".into());
    world.service("db").spec.env.insert("A".into(), "1".into());
    let plan = world.plan();
    for subject in ["shop/web/1", "shop/db/1"] {
        assert!(matches!(step(&plan, subject).action, Action::ReplaceInstance { stop_first: true, .. }), "{subject}");
        assert_eq!(step(&plan, subject).disruption, Disruption::RecreateDowntime);
    }
    let mut world = two();
    world.service("web").spec.env.insert("A".into(), "1".into());
    let plan = world.plan();
    assert_eq!(step(&plan, "shop/web/1").disruption, Disruption::RecreateStartFirst);
}

#[test]
fn a_name_or_port_of_a_foreign_container_is_an_error_that_names_it() {
    let mut world = two();
    world.service("web").spec.ports.insert(port(8080));
    world.service("db").container_name = Some("taken".into());
    world.observed.containers.push(foreign("taken", &[]));
    world.observed.containers.push(foreign("squatter", &[8080]));
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan, "shop/db/1").why, HeldReason::NameTaken { name: "taken".into() });
    let why = HeldReason::PortTaken { port: "8080/tcp".into(), holder: "squatter".into() };
    assert_eq!(held(&plan, "shop/web/1").why, why);
}

#[test]
fn swapped_ports_make_room_first() {
    let mut world = two();
    world.service("web").spec.ports.insert(port(8080));
    world.service("db").spec.ports.insert(port(8081));
    let mut world = World::settled(world.desired);
    world.service("web").spec.ports = BTreeSet::from([port(8081)]);
    world.service("db").spec.ports = BTreeSet::from([port(8080)]);
    let plan = world.plan();
    let room: Vec<&Step> = plan.steps.iter().filter(|step| matches!(step.reason, Reason::MakesRoom(_))).collect();
    assert_eq!(room.len(), 1, "one of the two lets go first: {:#?}", plan.steps);
    assert!(pretend(&plan, &world.observed, &world.memory, &owner()).refused.is_empty());
}

#[test]
fn a_container_that_is_started_waits_for_the_port_that_another_gives_up() {
    let mut world = two();
    world.service("web").spec.ports.insert(port(8080));
    world.service("db").spec.ports.insert(port(8081));
    let mut world = World::settled(world.desired);
    // The database fell while its port was given to it and is still held by the web server.
    world.container("shop-db-1").status = Status::Exited { code: 128, oom: false };
    world.container("shop-web-1").spec.ports = BTreeSet::from([port(8081)]);
    world.container("shop-web-1").applied.retain(|field, _| !field.starts_with("port"));
    let plan = world.plan();
    let web = step(&plan, "shop/web/1").id;
    assert!(step(&plan, "shop/db/1").needs.iter().any(|need| need.step == web), "{:#?}", plan.steps);
    let mut world = two();
    world.service("web").spec.ports.insert(port(8080));
    let mut world = World::settled(world.desired);
    world.container("shop-web-1").status = Status::Exited { code: 128, oom: false };
    world.observed.containers.push(foreign("squatter", &[8080]));
    let why = HeldReason::PortTaken { port: "8080/tcp".into(), holder: "squatter".into() };
    assert_eq!(held(&world.plan(), "shop/web/1").why, why);
}

#[test]
fn what_was_stopped_by_hand_stays_stopped_when_the_engine_starts_it_again() {
    let mut world = two();
    for name in ["db", "web"] {
        world.service(name).spec.restart = if name == "db" { Restart::Always } else { Restart::UnlessStopped };
    }
    let mut world = World::settled(world.desired);
    world.memory.suspended.insert(crate::model::DeploymentName::new("shop"));
    let plan = world.plan();
    assert_eq!(plan.steps.len(), 1, "who started the other is a person: {:#?}", plan.steps);
    assert!(matches!(step(&plan, "shop/db/1").action, Action::StopInstance { .. }));
    let host = pretend(&plan, &world.observed, &world.memory, &owner());
    (world.observed, world.memory) = (host.observed, host.memory);
    assert!(world.plan().is_empty());
    world.container("shop-db-1").status = Status::Running;
    world.desired.settings.drift = DriftPolicy::Report;
    assert!(world.plan().is_empty(), "where drift is reported it is reported");
    assert_eq!(held(&world.plan(), "shop/db/1").why, HeldReason::DriftReported);
}

#[test]
fn what_failed_its_gate_is_held_until_git_changes_it_and_the_old_version_is_kept_up() {
    let mut world = two();
    world.service("web").spec.env.insert("BAD".into(), "1".into());
    let instance: InstanceId = "shop/web/1".parse().unwrap();
    let spec = spec_digest(&world.service("web").fields());
    let failed = Quarantine {
        node: NodeName::local(),
        instance,
        spec,
        revision: CommitId::new("3f2a91c"),
        verdict: "exited (1)".into(),
    };
    world.memory.quarantine.push(failed);
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert!(matches!(held(&plan, "shop/web/1").why, HeldReason::Quarantined { .. }));

    world.container("shop-web-1").status = Status::Exited { code: 137, oom: false };
    let plan = world.plan();
    assert!(matches!(&step(&plan, "shop/web/1").action,
        Action::UpdateInstance { updates, .. } if *updates == [Update::Start]));
    assert!(matches!(held(&plan, "shop/web/1").why, HeldReason::Quarantined { .. }));

    world.allow = vec![Allow { guard: AllowedGuard::Retry, scope: Some("shop/web".into()) }];
    assert!(matches!(step(&world.plan(), "shop/web/1").action, Action::ReplaceInstance { .. }));
    world.allow.clear();
    world.service("web").spec.env.insert("BAD".into(), "2".into());
    assert!(matches!(step(&world.plan(), "shop/web/1").action, Action::ReplaceInstance { .. }));
}

#[test]
fn drift_is_only_shown_when_policy_says_report() {
    let mut world = two();
    world.desired.settings.drift = DriftPolicy::Report;
    world.container("shop-web-1").status = Status::Paused;
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan, "shop/web/1").why, HeldReason::DriftReported);
    world.service("web").spec.env.insert("A".into(), "1".into());
    assert_eq!(world.plan().steps.len(), 1, "a commit is carried out all the same");
}

/// `container:<name>` stands for the container that had the name when the sharer was created.
#[test]
fn who_shares_a_namespace_is_renewed_with_its_holder() {
    let mut sidecar = service("a-sidecar", "side:1");
    sidecar.spec.network_mode = Some("container:shop-web-1".into());
    let mut world = World::settled(desired(vec![deployment("shop", vec![sidecar, service("web", "web:1")])]));
    assert!(world.plan().is_empty());
    world.service("web").spec.resources.pids = Some(7);
    assert_eq!(world.plan().steps.len(), 1, "a change in place leaves the namespace");
    world.service("web").spec.env.insert("A".into(), "1".into());
    let plan = world.plan();
    let sidecar = step(&plan, "shop/a-sidecar/1");
    assert!(matches!(sidecar.action, Action::ReplaceInstance { .. }));
    let holder = step(&plan, "shop/web/1").id;
    assert!(sidecar.needs.iter().any(|need| need.step == holder && need.until == Milestone::Done));
    let host = pretend(&plan, &world.observed, &world.memory, &owner());
    (world.observed, world.memory) = (host.observed, host.memory);
    assert!(world.plan().is_empty());
}

/// A network that vanished is drift as well; one that a commit just asked for is not.
#[test]
fn a_vanished_network_is_only_shown_when_policy_says_report() {
    let mut world = two();
    world.desired.settings.drift = DriftPolicy::Report;
    let network = world.observed.networks.keys().next().cloned().unwrap();
    world.observed.networks.clear();
    for container in &mut world.observed.containers {
        container.spec.networks.clear();
    }
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{:#?}", plan.steps);
    assert_eq!(held(&plan, &format!("network {network}")).why, HeldReason::DriftReported);
    for container in &mut world.observed.containers {
        container.applied.retain(|field, _| !field.starts_with("network"));
    }
    assert!(matches!(step(&world.plan(), &format!("network {network}")).action, Action::CreateNetwork { .. }));
}

/// A commit asks for what the host has already: that is on record from then on, so that going back is a commit's change.
#[test]
fn what_is_found_in_place_counts_as_applied() {
    let mut world = two();
    world.service("web").spec.env.insert("MODE".into(), "a".into());
    let mut world = World::settled(world.desired);
    assert_eq!(world.found(), BTreeMap::new(), "after an apply everything is on record");
    let web = world.container("shop-web-1");
    web.spec.resources.pids = Some(7);
    web.spec.env.remove("MODE");
    let id = web.id.clone();
    world.service("web").spec.resources.pids = Some(7);
    world.service("web").spec.env.remove("MODE");
    assert!(world.plan().is_empty());
    let found = world.found();
    let expected = BTreeMap::from([("env MODE".to_owned(), String::new()), ("pids".to_owned(), digest("7"))]);
    assert_eq!(found.keys().collect::<Vec<_>>(), [id.as_str()]);
    assert_eq!(found[id.as_str()].asked, expected);
    world.memory.bases.extend(found);
    assert_eq!(world.found(), BTreeMap::new());
    world.service("web").spec.resources.pids = Some(8);
    world.service("web").spec.env.insert("MODE".into(), "a".into());
    let plan = world.plan();
    let origins: Vec<Origin> = step(&plan, "shop/web/1").changes.iter().map(|change| change.origin).collect();
    assert_eq!(origins, [Origin::Git, Origin::Git]);
}

#[test]
fn what_is_repaired_again_and_again_is_held_whatever_it_is() {
    let mut world = two();
    let minute = |minute: i64| Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap();
    let repairs = |subject: Subject, fields: &str, world: &World| -> Vec<Repair> {
        let wish = wish(&world.desired, &subject);
        let repair =
            |at| Repair { subject: subject.to_string(), fields: fields.into(), wish: wish.clone(), at: minute(at) };
        (0..5).map(repair).collect()
    };
    let web = || Subject::Instance(NodeName::local(), "shop/web/1".parse().unwrap());
    world.observed.at = minute(6);
    world.memory.repairs = repairs(web(), "memory", &world);
    world.container("shop-web-1").spec.resources.memory = Some(7 << 20);
    let plan = world.plan();
    assert_eq!(held(&plan, "shop/web/1").why, HeldReason::Flapping { times: 5 });
    assert_eq!(held(&plan, "shop/web/1").changes.len(), 1, "both values that fight are shown");
    world.observed.at = minute(4 + 23 * 60);
    assert_eq!(world.plan().held.len(), 1, "a fight over fields is left alone for a day");
    world.observed.at = minute(5 + 24 * 60);
    assert_eq!(step(&world.plan(), "shop/web/1").reason, Reason::Changed);

    // Another cause than the one that was fought over is not held, and neither are repairs that came far apart.
    world.observed.at = minute(6);
    world.container("shop-web-1").spec.resources.memory = None;
    let fallen = Status::Exited { code: 137, oom: false };
    world.container("shop-web-1").status = fallen;
    assert_eq!(step(&world.plan(), "shop/web/1").reason, Reason::NotRunning(fallen));
    let mut rare = repairs(web(), "state", &world);
    rare.iter_mut().enumerate().for_each(|(index, repair)| repair.at = minute(11 * index as i64));
    world.memory.repairs = rare;
    world.observed.at = minute(45);
    assert_eq!(step(&world.plan(), "shop/web/1").reason, Reason::NotRunning(fallen));

    // A container that does not stay up is left alone for half an hour, then tried again.
    world.memory.repairs = repairs(web(), "state", &world);
    assert_eq!(world.plan().held.len(), 0, "the last repair is more than half an hour ago");
    world.observed.at = minute(33);
    assert_eq!(held(&world.plan(), "shop/web/1").why, HeldReason::Flapping { times: 5 });
    world.allow = vec![Allow { guard: AllowedGuard::Retry, scope: Some("shop/web".into()) }];
    assert_eq!(world.plan().held.len(), 0);

    // A clock that was put back leaves repairs in the future, which say nothing.
    world.allow.clear();
    world.observed.at = minute(-1000);
    assert_eq!(world.plan().held.len(), 0);

    // Networks are no exception.
    let mut world = two();
    world.observed.at = minute(6);
    world.memory.bases.clear();
    let network = world.observed.networks.get_mut("shop_net").unwrap();
    network.applied.insert("option mtu".into(), digest("1400"));
    network.options.insert("mtu".into(), "9000".into());
    world.desired.deployments.values_mut().next().unwrap().networks.get_mut("shop_net").unwrap().options =
        BTreeMap::from([("mtu".into(), "1400".into())]);
    let subject = Subject::Network(NodeName::local(), "shop_net".into());
    world.memory.repairs = repairs(subject, "network option mtu", &world);
    assert_eq!(held(&world.plan(), "network shop_net").why, HeldReason::Flapping { times: 5 });
    world.memory.repairs.clear();
    assert_eq!(step(&world.plan(), "network shop_net").reason, Reason::Changed);
    world.desired.settings.drift = DriftPolicy::Report;
    assert_eq!(held(&world.plan(), "network shop_net").why, HeldReason::DriftReported);
}

/// What is held as flapping is held with its settings: a commit that changes them is carried out, also while the container is
/// gone, and begins a row of its own.
#[test]
fn other_settings_begin_a_row_of_their_own() {
    let mut world = two();
    let subject = Subject::Instance(NodeName::local(), "shop/web/1".parse().unwrap());
    let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
    for round in 0..5 {
        let wish = wish(&world.desired, &subject);
        world.memory.repairs.push(Repair { subject: subject.to_string(), fields: "state".into(), wish, at: at(round) });
    }
    world.observed.at = at(10);
    world.observed.containers.retain(|container| container.name != "shop-web-1");
    assert_eq!(held(&world.plan(), "shop/web/1").why, HeldReason::Flapping { times: 5 });
    world.service("web").spec.env.insert("MODE".into(), "new".into());
    let plan = world.plan();
    assert_eq!((step(&plan, "shop/web/1").action.verb(), plan.held.len()), ("create", 0));
    world.service("web").spec.env.remove("MODE");
    assert_eq!(held(&world.plan(), "shop/web/1").why, HeldReason::Flapping { times: 5 }, "these were tried");
}

/// An unhealthy container is restarted, then made anew, then held.
#[test]
fn what_a_restart_does_not_cure_is_made_anew_and_then_held() {
    let mut world = two();
    let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
    world.container("shop-web-1").health = Health::Unhealthy;
    let mut verbs = Vec::new();
    for round in 0..7 {
        world.observed.at = at(20 * round);
        let plan = world.plan();
        verbs.push(plan.steps.first().map_or("held", |step| step.action.verb()));
        let wish = wish(&world.desired, &Subject::Instance(NodeName::local(), "shop/web/1".parse().unwrap()));
        let repair = Repair { subject: "shop/web/1".into(), fields: "state".into(), wish, at: at(20 * round) };
        world.memory.repairs.extend((!plan.steps.is_empty()).then_some(repair));
    }
    assert_eq!(verbs, ["restart", "restart", "replace", "replace", "replace", "held", "held"]);
}

#[test]
fn pruning_stays_within_its_budget_unless_it_is_lifted() {
    let mut world = two();
    world.desired.deployments.clear();
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan, "shop/db/1").why, HeldReason::PruneBudget { wanted: 2, allowed: 1 });
    world.allow = vec![Allow { guard: AllowedGuard::Prune, scope: Some("shop".into()) }];
    let plan = world.plan();
    assert_eq!(plan.steps.len(), 3, "two instances, and then their network: {:#?}", plan.steps);
    assert!(matches!(plan.steps[2].subject, Subject::Network(_, _)));
    world.allow.clear();
    world.desired.settings.prune.enabled = false;
    assert_eq!(held(&world.plan(), "shop/db/1").why, HeldReason::PruneDisabled);
}

#[test]
fn a_config_file_decides_what_its_change_does() {
    let file = |oid: &str, on_change: OnChange| ConfigFile {
        source: "config/a".into(),
        oid: oid.into(),
        content: Arc::from(oid.as_bytes()),
        mode: 0o444,
        uid: 0,
        gid: 0,
        on_change,
    };
    let cases = [
        (OnChange::Recreate, Disruption::RecreateStartFirst),
        (OnChange::Restart, Disruption::Restart),
        (OnChange::Signal("SIGHUP".into()), Disruption::InPlace),
        (OnChange::Nothing, Disruption::InPlace),
    ];
    for (on_change, disruption) in cases {
        let mut world = two();
        world.service("web").spec.configs.insert("/etc/a".into(), file("1", on_change.clone()));
        let mut world = World::settled(world.desired);
        assert!(world.plan().is_empty());
        world.service("web").spec.configs.insert("/etc/a".into(), file("2", on_change.clone()));
        let plan = world.plan();
        assert_eq!(step(&plan, "shop/web/1").disruption, disruption, "{on_change:?}");
        let host = pretend(&plan, &world.observed, &world.memory, &owner());
        (world.observed, world.memory) = (host.observed, host.memory);
        assert!(world.plan().is_empty(), "{on_change:?}: what was written is remembered");
    }
}

#[test]
fn an_image_that_may_not_be_pulled_holds_its_service() {
    let mut world = two();
    let web = world.service("web");
    web.spec.image = "web:2".into();
    web.image = Image::Pull { reference: "web:2".into(), policy: PullPolicy::Never, also_tag: None };
    let plan = world.plan();
    assert!(plan.steps.is_empty());
    assert_eq!(held(&plan, "image web:2").why, HeldReason::ImageMissing { reference: "web:2".into() });
    assert!(matches!(held(&plan, "shop/web/1").why, HeldReason::Needs(_)));
}

#[test]
fn a_retagged_image_is_drift() {
    let mut world = two();
    let mut moved = world.observed.images["web:1"].clone();
    moved.id = "sha256:0123456789abcdef".into();
    world.observed.images.insert("web:1".into(), moved);
    let plan = world.plan();
    let change = &step(&plan, "shop/web/1").changes[0];
    assert_eq!(change.field.to_string(), "image");
    assert_eq!(change.origin, crate::plan::Origin::Drift);
}

#[test]
fn stopping_and_removing_go_from_dependants_to_dependencies_and_starting_the_other_way() {
    let mut world = two();
    let db = crate::model::ServiceRef {
        deployment: crate::model::DeploymentName::new("shop"),
        service: crate::model::ServiceId::new("db"),
    };
    world.container("shop-web-1").needs = vec![db];
    let all = BTreeSet::new();
    let order = |plan: &Plan| plan.steps.iter().map(|step| step.subject.to_string()).collect::<Vec<_>>();
    let stop = world.with(|input| teardown(input, Teardown::Stop, &all));
    assert_eq!(order(&stop), ["container shop-web-1", "container shop-db-1"]);
    let remove = world.with(|input| teardown(input, Teardown::Remove, &all));
    assert_eq!(order(&remove), ["container shop-web-1", "container shop-db-1", "network shop_net"]);
    for container in &mut world.observed.containers {
        container.status = Status::Exited { code: 0, oom: false };
    }
    let start = world.with(|input| teardown(input, Teardown::Start, &all));
    assert_eq!(order(&start), ["container shop-db-1", "container shop-web-1"]);
}
