//! The identity of a plan: whatever would be carried out differently gives another id, and nothing else does.

use super::generate::{build, deployment, desired, service};
use super::scenarios::{World, two};
use crate::model::{
    CommitId, ConfigFile, ContainerId, Image, ImageBuild, Mount, Network, Observed, OnChange, OnFailure, Order,
    OwnerId, Probe, Resources, Restart, Strategy, StrategyKind, Timestamp, Volume,
};
use crate::plan::identity::identity;
use crate::plan::{Action, Allow, AllowedGuard, Gate, Guard, HeldReason, Launch, Milestone, Plan, PlanId, Update};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

type Change = (&'static str, fn(&mut Plan));

const SECOND: Duration = Duration::from_secs(1);

/// Each change alone gives an id of its own.
fn each_gives_another_id(plan: &Plan, changes: &[Change]) {
    assert_eq!(identity(plan), plan.id);
    let mut ids: BTreeMap<PlanId, &str> = BTreeMap::from([(plan.id.clone(), "the plan as it was")]);
    for (what, change) in changes {
        let mut other = plan.clone();
        change(&mut other);
        if let Some(same) = ids.insert(identity(&other), what) {
            panic!("«{what}» gives the id of «{same}»");
        }
    }
}

/// What makes a network, a volume, images, and containers with a file, a check and a volume.
fn first() -> Plan {
    let mut db = service("db", "db:1");
    db.spec.mounts.insert("/d".into(), Mount::Volume { name: "d".into(), read_only: false });
    let mut web = service("web", "web:1");
    web.probe = Some(Probe {
        http_path: Some("/".into()),
        port: 80,
        interval: SECOND * 5,
        timeout: SECOND * 3,
        retries: 3,
        start_period: Duration::ZERO,
    });
    let file = ConfigFile {
        source: "config/a".into(),
        oid: "1".into(),
        content: Arc::from(*b"a"),
        mode: 0o444,
        uid: 0,
        gid: 0,
        on_change: OnChange::Recreate,
    };
    web.spec.configs.insert("/etc/a".into(), file);
    let mut api = service("api", "");
    api.spec.image = build().reference();
    api.image = Image::Build(build());
    let desired = desired(vec![deployment("shop", vec![db, web, api])]);
    World::new(desired, Observed::empty(Timestamp::UNIX_EPOCH)).plan()
}

fn action<T: ?Sized>(plan: &mut Plan, pick: impl Fn(&mut Action) -> Option<&mut T>) -> &mut T {
    plan.steps.iter_mut().find_map(|step| pick(&mut step.action)).expect("there is such an action")
}

fn launch(plan: &mut Plan) -> &mut Launch {
    action(plan, |action| match action {
        Action::CreateInstance(launch) | Action::ReplaceInstance { launch, .. } => Some(&mut **launch),
        _ => None,
    })
}

fn file(plan: &mut Plan) -> &mut ConfigFile {
    action(plan, |action| match action {
        Action::CreateInstance(launch) => launch.spec.configs.get_mut("/etc/a"),
        _ => None,
    })
}

fn probe(plan: &mut Plan) -> &mut Option<Probe> {
    action(plan, |action| match action {
        Action::CreateInstance(launch) => match &mut launch.gate {
            Gate::Healthy { probe, .. } if probe.is_some() => Some(probe),
            _ => None,
        },
        _ => None,
    })
}

fn checked(plan: &mut Plan) -> &mut Probe {
    probe(plan).as_mut().expect("it has a check")
}

fn network(plan: &mut Plan) -> &mut Network {
    action(plan, |action| match action {
        Action::CreateNetwork { network, .. } | Action::RecreateNetwork { network, .. } => Some(network),
        _ => None,
    })
}

fn volume(plan: &mut Plan) -> &mut Volume {
    action(plan, |action| match action {
        Action::CreateVolume { volume, .. } | Action::RecreateVolume { volume, .. } => Some(volume),
        _ => None,
    })
}

fn built(plan: &mut Plan) -> &mut ImageBuild {
    action(plan, |action| match action {
        Action::BuildImage(build) => Some(build),
        _ => None,
    })
}

fn strategy(plan: &mut Plan) -> &mut Strategy {
    plan.strategies.values_mut().next().expect("a deployment has steps")
}

fn gate(plan: &mut Plan) -> (&mut Duration, &mut Duration) {
    match &mut launch(plan).gate {
        Gate::Healthy { timeout, window, .. } => (timeout, window),
        gate => panic!("{gate:?}"),
    }
}

#[test]
fn an_id_has_64_digits_and_is_named_by_12_of_them_or_more() {
    let id = first().id;
    let digits = id.as_str();
    assert_eq!(digits.len(), 64);
    assert!(digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{digits}");
    assert_eq!(id.to_string(), digits[..12]);
    assert!(id.is(digits) && id.is(&digits[..12]) && !id.is(&digits[..11]) && !id.is(&digits[1..]));
}

#[test]
fn what_is_made_otherwise_gives_another_id() {
    let plan = first();
    each_gives_another_id(
        &plan,
        &[
            ("environment", |plan| plan.environment = "test".into()),
            ("what could not be observed", |plan| plan.missing.push("networks".into())),
            ("subnet", |plan| network(plan).subnet = Some("10.1.0.0/24".into())),
            ("gateway", |plan| network(plan).gateway = Some("10.1.0.0/24".into())),
            ("driver of a network", |plan| network(plan).driver = "macvlan".into()),
            ("option of a network", |plan| drop(network(plan).options.insert("mtu".into(), "1400".into()))),
            ("label of a network", |plan| drop(network(plan).labels.insert("mtu".into(), "1400".into()))),
            ("no way out of a network", |plan| network(plan).internal = true),
            ("driver of a volume", |plan| volume(plan).driver = "nfs".into()),
            ("option of a volume", |plan| drop(volume(plan).options.insert("size".into(), "1g".into()))),
            ("label of a volume", |plan| drop(volume(plan).labels.insert("size".into(), "1g".into()))),
            ("inputs of a build", |plan| built(plan).digest = "ba9876543210".into()),
            ("tag of a build", |plan| built(plan).tag = "1".into()),
            ("argument of a build", |plan| drop(built(plan).args.insert("A".into(), "1".into()))),
            ("stage of a build", |plan| built(plan).target = Some("run".into())),
            ("cache of a build", |plan| built(plan).no_cache = true),
            ("image", |plan| launch(plan).spec.image = "db:2".into()),
            ("variable", |plan| drop(launch(plan).spec.env.insert("A".into(), "1".into()))),
            ("empty variable", |plan| drop(launch(plan).spec.env.insert("A".into(), String::new()))),
            ("memory", |plan| launch(plan).spec.resources.memory = Some(1 << 30)),
            ("grace of the new container", |plan| launch(plan).spec.stop_grace = Some(SECOND)),
            ("name", |plan| launch(plan).name.push('x')),
            ("owner", |plan| launch(plan).owner = OwnerId::new("somebody/else")),
            ("carried volume", |plan| drop(launch(plan).carried.insert("/v".into(), "0a1b".into()))),
            ("content of a file", |plan| file(plan).oid = "2".into()),
            ("mode of a file", |plan| file(plan).mode = 0o600),
            ("owner of a file", |plan| file(plan).uid = 7),
            ("group of a file", |plan| file(plan).gid = 7),
            ("what its change does", |plan| file(plan).on_change = OnChange::Restart),
            ("signal of its change", |plan| file(plan).on_change = OnChange::Signal("SIGHUP".into())),
            ("time to become healthy", |plan| *gate(plan).0 += SECOND),
            ("time to stay healthy", |plan| *gate(plan).1 += SECOND),
            ("no gate", |plan| launch(plan).gate = Gate::Started),
            ("end as the gate", |plan| launch(plan).gate = Gate::Completed { timeout: SECOND * 60 }),
            ("no check", |plan| *probe(plan) = None),
            ("kind of a check", |plan| checked(plan).http_path = None),
            ("path of a check", |plan| checked(plan).http_path = Some("/up".into())),
            ("port of a check", |plan| checked(plan).port = 81),
            ("interval of a check", |plan| checked(plan).interval += SECOND),
            ("bound of a check", |plan| checked(plan).timeout += SECOND),
            ("tries of a check", |plan| checked(plan).retries += 1),
            ("time before a check counts", |plan| checked(plan).start_period += SECOND),
            ("one by one", |plan| strategy(plan).kind = StrategyKind::Sequential),
            ("how many at once", |plan| strategy(plan).max_parallel += 1),
            ("whether health is waited for", |plan| strategy(plan).wait_for_healthy = false),
            ("bound of the strategy", |plan| strategy(plan).startup_timeout += SECOND),
            ("window of the strategy", |plan| strategy(plan).stability_window += SECOND),
            ("halt after a failure", |plan| strategy(plan).on_failure = OnFailure::Halt),
            ("going on after a failure", |plan| strategy(plan).on_failure = OnFailure::Continue),
            ("guard", |plan| plan.steps[0].guard = Guard::NameFree("x".into())),
            ("one step less", |plan| drop(plan.steps.pop())),
            ("order of steps", |plan| plan.steps.swap(0, 1)),
            ("what a step waits for", |plan| {
                let step = plan.steps.iter_mut().find(|step| !step.needs.is_empty()).unwrap();
                step.needs.pop();
            }),
            ("how far that must be", |plan| {
                let step = plan.steps.iter_mut().find(|step| !step.needs.is_empty()).unwrap();
                step.needs[0].until = Milestone::Started;
            }),
        ],
    );
}

#[test]
fn what_is_replaced_otherwise_gives_another_id() {
    fn parts(plan: &mut Plan) -> (&mut ContainerId, &mut bool, &mut Duration, &mut bool) {
        let step = plan.steps.iter_mut().find(|step| step.action.verb() == "replace").unwrap();
        match &mut step.action {
            Action::ReplaceInstance { old, stop_first, grace, rollback, .. } => (old, stop_first, grace, rollback),
            action => panic!("{action:?}"),
        }
    }
    let mut world = two();
    world.service("web").spec.env.insert("A".into(), "1".into());
    each_gives_another_id(
        &world.plan(),
        &[
            ("which container", |plan| *parts(plan).0 = ContainerId::new("0")),
            ("which of the two is first", |plan| *parts(plan).1 ^= true),
            ("grace of the old container", |plan| *parts(plan).2 += SECOND),
            ("whether the old one comes back", |plan| *parts(plan).3 ^= true),
            ("former value", |plan| plan.steps[0].changes[0].old = Some(String::new())),
            ("new value", |plan| plan.steps[0].changes[0].new = Some(String::new())),
        ],
    );
}

#[test]
fn what_is_changed_in_place_or_connected_otherwise_gives_another_id() {
    fn updates(plan: &mut Plan) -> &mut Vec<Update> {
        action(plan, |action| match action {
            Action::UpdateInstance { updates, .. } => Some(updates),
            _ => None,
        })
    }
    let mut world = two();
    world.service("web").spec.resources.pids = Some(7);
    each_gives_another_id(
        &world.plan(),
        &[
            ("nothing", |plan| updates(plan).clear()),
            ("other limits", |plan| {
                let resources = Resources { pids: Some(8), ..Resources::default() };
                *updates(plan) = vec![Update::Limits { resources, restart: Restart::UnlessStopped }];
            }),
            ("other restart policy", |plan| {
                let resources = Resources { pids: Some(7), ..Resources::default() };
                *updates(plan) = vec![Update::Limits { resources, restart: Restart::OnFailure(3) }];
            }),
            ("other tries", |plan| {
                let resources = Resources { pids: Some(7), ..Resources::default() };
                *updates(plan) = vec![Update::Limits { resources, restart: Restart::OnFailure(4) }];
            }),
            ("start", |plan| *updates(plan) = vec![Update::Start]),
            ("unpause", |plan| *updates(plan) = vec![Update::Unpause]),
            ("restart", |plan| *updates(plan) = vec![Update::Restart { grace: SECOND }]),
            ("restart with more time", |plan| *updates(plan) = vec![Update::Restart { grace: SECOND * 2 }]),
            ("signal", |plan| *updates(plan) = vec![Update::Signal("SIGHUP".into())]),
            ("name", |plan| *updates(plan) = vec![Update::Rename("x".into())]),
            ("network", |plan| *updates(plan) = vec![Update::Disconnect { network: "x".into() }]),
        ],
    );

    fn attached(plan: &mut Plan) -> &mut Vec<(ContainerId, crate::model::Attachment)> {
        action(plan, |action| match action {
            Action::RecreateNetwork { attached, .. } => Some(attached),
            _ => None,
        })
    }
    let mut world = two();
    let shop = world.desired.deployments.values_mut().next().unwrap();
    shop.networks.get_mut("shop_net").unwrap().options.insert("mtu".into(), "1400".into());
    each_gives_another_id(
        &world.plan(),
        &[
            ("who is attached again", |plan| drop(attached(plan).pop())),
            ("which container that is", |plan| attached(plan)[0].0 = ContainerId::new("0")),
            ("its names there", |plan| {
                attached(plan)[0].1.aliases.insert("x".into());
            }),
            ("its address there", |plan| attached(plan)[0].1.ipv4 = Some("10.1.0.2".into())),
            ("its other address there", |plan| attached(plan)[0].1.ipv6 = Some("10.1.0.2".into())),
        ],
    );
}

/// What is held belongs to the plan: a person who looked at it knows that it is not done.
#[test]
fn what_is_held_otherwise_gives_another_id() {
    let mut world = two();
    world.desired.deployments.clear();
    each_gives_another_id(
        &world.plan(),
        &[
            ("nothing held", |plan| plan.held.clear()),
            ("other reason", |plan| plan.held[0].why = HeldReason::PruneDisabled),
            ("other budget", |plan| plan.held[0].why = HeldReason::PruneBudget { wanted: 2, allowed: 2 }),
            ("other wish", |plan| plan.held[0].wanted = "replace"),
        ],
    );
    let held = world.plan().id;
    world.allow = vec![Allow { guard: AllowedGuard::Prune, scope: None }];
    assert_ne!(world.plan().id, held);
}

/// A commit that says how, and not what, is another plan too.
#[test]
fn a_wish_for_another_course_gives_another_id() {
    let plan = |change: fn(&mut World)| {
        let mut world = two();
        world.service("web").spec.env.insert("A".into(), "1".into());
        change(&mut world);
        world.plan().id
    };
    fn of(world: &mut World) -> &mut Strategy {
        &mut world.desired.deployments.values_mut().next().unwrap().strategy
    }
    let before = plan(|_| {});
    type Course = (&'static str, fn(&mut World));
    let courses: [Course; 6] = [
        ("order", |world| world.service("web").order = Order::StopFirst),
        ("on_failure", |world| of(world).on_failure = OnFailure::Halt),
        ("max_parallel", |world| of(world).max_parallel = 3),
        ("strategy", |world| of(world).kind = StrategyKind::Sequential),
        ("stability_window", |world| of(world).stability_window = SECOND * 9),
        ("grace", |world| world.container("shop-web-1").spec.stop_grace = Some(SECOND * 30)),
    ];
    for (what, change) in courses {
        assert_ne!(plan(change), before, "{what}");
    }
}

#[test]
fn what_is_only_told_or_found_at_another_time_or_place_gives_the_same_id() {
    let plan = first();
    let mut other = plan.clone();
    other.observed_at = Timestamp::from_second(1_800_000_000).unwrap();
    other.revision.commit = CommitId::new("0".repeat(40));
    other.revision.summary = "the same again".into();
    other.unchanged += 1;
    network(&mut other).at.line += 7;
    launch(&mut other).revision = CommitId::new("0".repeat(40));
    assert_eq!(identity(&other), plan.id);
}
