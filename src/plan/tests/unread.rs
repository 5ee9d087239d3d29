//! What could not be read may be there: nothing is made in its place, and nothing is called drift.

use super::generate::{deployment, desired, service, volume};
use super::scenarios::{World, held, step, two};
use crate::model::{DriftPolicy, Mount, Status, Unread};
use crate::plan::{HeldReason, Plan, Reason};

/// Subjects of the steps and of what is held for want of a look.
fn summary(plan: &Plan) -> (Vec<String>, Vec<String>) {
    let unread = plan.held.iter().filter(|held| held.why == HeldReason::Incomplete);
    (
        plan.steps.iter().map(|step| step.subject.to_string()).collect(),
        unread.map(|held| held.subject.to_string()).collect(),
    )
}

fn unread(world: &mut World, what: Unread) {
    world.observed.missing.push("something".to_owned());
    world.observed.unread.insert(what);
}

#[test]
fn a_container_that_was_not_read_is_held_and_not_made_again() {
    let mut world = two();
    let web = world.container("shop-web-1").instance.clone().unwrap();
    world.observed.containers.retain(|container| container.name != "shop-web-1");
    assert_eq!(step(&world.plan(), "shop/web/1").reason, Reason::Vanished, "read as gone, it is made again");
    unread(&mut world, Unread::Instance(web));
    world.service("web").spec.env.insert("A".into(), "1".into());
    let plan = world.plan();
    assert_eq!(summary(&plan), (vec![], vec!["shop/web/1".to_owned()]));
    assert!(held(&plan, "shop/web/1").changes.is_empty(), "it is not known what differs");
}

#[test]
fn half_of_a_replacement_is_left_alone_while_the_other_half_was_not_read() {
    let mut world = two();
    let main = world.container("shop-web-1").clone();
    world.container("shop-web-1").name = "shop-web-1.prev".to_owned();
    assert!(!world.plan().steps.is_empty(), "alone, it is put back");
    unread(&mut world, Unread::Instance(main.instance.unwrap()));
    assert_eq!(summary(&world.plan()), (vec![], vec!["shop/web/1".to_owned()]));
}

#[test]
fn networks_and_volumes_that_were_not_listed_are_not_made_again() {
    let mut shop = deployment("shop", vec![service("web", "web:1")]);
    shop.volumes.insert("data".to_owned(), volume("data"));
    shop.services[0].spec.mounts.insert("/d".into(), Mount::Volume { name: "data".into(), read_only: false });
    let mut world = World::settled(desired(vec![shop]));
    world.observed.networks.clear();
    world.observed.volumes.clear();
    assert_eq!(summary(&world.plan()).0.len(), 2, "read as gone, they are made again");
    unread(&mut world, Unread::Networks);
    unread(&mut world, Unread::Volumes);
    let (steps, held) = summary(&world.plan());
    assert_eq!((steps, held.len()), (vec![], 2), "{held:?}");
}

#[test]
fn an_image_that_was_not_read_is_not_pulled_and_what_needs_it_waits() {
    let mut world = two();
    world.service("web").spec.env.insert("A".into(), "1".into());
    world.observed.images.remove("web:1");
    assert_eq!(step(&world.plan(), "shop/web/1").needs.len(), 1, "read as gone, it is pulled first");
    unread(&mut world, Unread::Image("web:1".to_owned()));
    let plan = world.plan();
    assert_eq!(summary(&plan), (vec![], vec!["image web:1".to_owned()]));
    assert!(plan.held.iter().any(|held| held.subject.to_string() == "shop/web/1"), "{:?}", plan.held);
}

/// A step that failed half-way leaves such a container. Nobody on the host does.
#[test]
fn what_never_ran_is_started_also_where_drift_is_only_reported() {
    let mut world = two();
    world.desired.settings.drift = DriftPolicy::Report;
    world.container("shop-web-1").status = Status::Exited { code: 1, oom: false };
    assert!(world.plan().steps.is_empty());
    world.container("shop-web-1").status = Status::Created;
    assert_eq!(step(&world.plan(), "shop/web/1").reason, Reason::NotRunning(Status::Created));
}
