//! Plans as people and programs read them. The scenario is one change of every kind at once.

use super::generate::{at, deployment, desired, owner, revision, service};
use crate::model::{
    Condition, Dependency, DeploymentName, Desired, Field, FieldKind, Mount, Observed, PortBinding, Protocol,
    Resources, ServiceRef, Status, Timestamp,
};
use crate::plan::render::{View, markdown, text};
use crate::plan::{Memory, Plan, PlanInput, Violation, lint, plan, pretend};
use std::collections::BTreeMap;

fn shop(api: &str, db_memory: u64, level: &str, workers: u32, cache: bool) -> Desired {
    let mut db = service("db", "postgres:17");
    db.spec.resources = Resources { memory: Some(db_memory), ..Resources::default() };
    db.spec.mounts = BTreeMap::from([("/data".into(), Mount::Volume { name: "shop-db".into(), read_only: false })]);
    db.origins.insert(Field::one(FieldKind::Memory), at("deployments/shop.yaml", 31));
    let mut front = service("api", api);
    front.spec.ports.insert(PortBinding {
        container_port: 80,
        protocol: Protocol::Tcp,
        host_ip: None,
        host_port: Some(8080),
    });
    front.origins.insert(Field::one(FieldKind::Image), at("deployments/shop.yaml", 12));
    let db_ref = ServiceRef { deployment: DeploymentName::new("shop"), service: db.id.clone() };
    let edge = Dependency { condition: Condition::Healthy, at: at("deployments/shop.yaml", 14) };
    front.depends_on.insert(db_ref, edge);
    let mut web = service("web", "web:7");
    web.spec.env =
        BTreeMap::from([("LOG_LEVEL".into(), level.into()), ("API_TOKEN".into(), format!("secret-{level}"))]);
    web.origins.insert(Field::of(FieldKind::Env, "LOG_LEVEL"), at("deployments/shop.yaml", 40));
    let mut worker = service("worker", "api:1.4");
    worker.replicas = workers;
    let mut services = vec![db, front, web, worker];
    services.extend(cache.then(|| service("cache", "redis:7")));
    services.extend(cache.then(|| service("queue", "redis:7")));
    desired(vec![deployment("shop", services)])
}

/// The plan of a commit on a host that was changed behind our back.
fn change() -> Plan {
    let (owner, revision) = (owner(), revision());
    let empty = Observed::empty(Timestamp::UNIX_EPOCH);
    let before = shop("api:1.4", 1 << 30, "info", 1, true);
    let nothing = Memory::default();
    let input = PlanInput {
        desired: &before,
        revision: &revision,
        observed: &empty,
        owner: &owner,
        memory: &nothing,
        allow: &[],
    };
    let mut host = pretend(&plan(&input), &empty, &nothing, &owner);
    for container in &mut host.observed.containers {
        match container.name.as_str() {
            "shop-db-1" => container.spec.resources.memory = Some(512 << 20),
            "shop-worker-1" => container.status = Status::Exited { code: 137, oom: true },
            _ => {}
        }
    }
    let after = shop("api:1.5", 1 << 30, "debug", 2, false);
    let input = PlanInput { desired: &after, observed: &host.observed, memory: &host.memory, ..input };
    let plan = plan(&input);
    assert_eq!(lint(&plan, &input), Vec::<Violation>::new());
    plan
}

#[test]
fn text_says_the_verdict_first_and_then_what_hurts_most() {
    let plain = anstream::adapter::strip_str(&text(&View::new(&change()))).to_string();
    insta::assert_snapshot!(plain);
}

#[test]
fn markdown_has_its_signs_in_column_zero() {
    insta::assert_snapshot!(markdown(&View::new(&change())));
}

#[test]
fn json_is_an_interface() {
    let json = serde_json::to_string_pretty(&crate::api::dto::Plan::from(&View::new(&change()))).unwrap();
    insta::assert_snapshot!(json);
}

#[test]
fn a_secret_is_in_no_rendering() {
    let view = View::new(&change());
    let json = serde_json::to_string(&crate::api::dto::Plan::from(&view)).unwrap();
    for rendering in [text(&view), markdown(&view), json] {
        assert!(!rendering.contains("secret-"), "{rendering}");
        assert!(rendering.contains("API_TOKEN"), "the field itself is shown");
    }
}
