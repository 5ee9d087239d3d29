//! What engines do by themselves, and what others do on a host: which of it is a difference, and which is none.

use super::generate::{build, deployment, desired, service};
use super::scenarios::{World, held, step, two};
use crate::model::{Image, Restart, Status};
use crate::plan::{Action, HeldReason, Update};

/// Anybody can point a tag at another image, so a build is known by the digest of its inputs that it carries.
#[test]
fn a_build_is_known_by_its_inputs_and_not_by_its_tag() {
    let mut api = service("api", "");
    api.spec.image = build().reference();
    api.image = Image::Build(build());
    let mut world = World::settled(desired(vec![deployment("shop", vec![api])]));
    let reference = build().reference();
    let right = world.observed.images[&reference].clone();
    assert_eq!(right.built_from, Some(build().digest));
    for built_from in [None, Some("ba9876543210".to_owned())] {
        let mut wrong = right.clone();
        (wrong.id, wrong.built_from) = ("sha256:0123456789abcdef".into(), built_from);
        world.observed.images.insert(reference.clone(), wrong);
        world.service("api").spec.env.clear();
        assert!(world.plan().is_empty(), "a container that runs the right image stays");
        world.service("api").spec.env.insert("A".into(), "1".into());
        let plan = world.plan();
        let built = step(&plan, &format!("image {reference}"));
        assert!(matches!(&built.action, Action::BuildImage(of) if of.digest == build().digest));
        let replaced = step(&plan, "shop/api/1");
        assert!(replaced.needs.iter().any(|need| need.step == built.id), "it waits for the right image");
    }
    world.observed.images.insert(reference, right);
    assert_eq!(world.plan().steps.len(), 1, "what is there is not built again: {:#?}", world.plan().steps);
}

#[test]
fn a_container_that_is_being_removed_is_left_until_it_is_gone() {
    let mut world = two();
    world.container("shop-web-1").status = Status::Removing;
    world.service("web").spec.env.insert("A".into(), "1".into());
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{:#?}", plan.steps);
    assert_eq!(held(&plan, "shop/web/1").why, HeldReason::BeingRemoved);
    world.observed.containers.retain(|one| one.name != "shop-web-1");
    assert!(matches!(step(&world.plan(), "shop/web/1").action, Action::CreateInstance(_)));
}

/// SELinux hosts add the label of a container to its security options.
#[test]
fn a_security_option_that_nobody_asked_for_is_the_engines() {
    let mut world = two();
    world.service("db").spec.security_opt.insert("no-new-privileges".into());
    let mut world = World::settled(world.desired);
    for name in ["shop-db-1", "shop-web-1"] {
        world.container(name).spec.security_opt.insert("label=type:container_t".into());
    }
    assert!(world.plan().is_empty(), "{:#?}", world.plan().steps);
    world.memory.bases.clear();
    assert!(world.plan().is_empty(), "without a record as well: {:#?}", world.plan().steps);
    world.service("db").spec.security_opt.clear();
    assert_eq!(world.plan().steps.len(), 1, "one that Git asked for and takes back is a change");
}

/// Whether what ended runs again is for its restart policy to say.
#[test]
fn a_service_that_may_end_and_ended_well_is_done() {
    for restart in [Restart::No, Restart::OnFailure(3)] {
        let mut job = service("job", "job:1");
        job.spec.restart = restart;
        let mut world = World::settled(desired(vec![deployment("shop", vec![job])]));
        world.container("shop-job-1").status = Status::Exited { code: 0, oom: false };
        assert!(world.plan().is_empty(), "{restart:?}: {:#?}", world.plan().steps);
        world.container("shop-job-1").status = Status::Exited { code: 1, oom: false };
        assert!(matches!(&step(&world.plan(), "shop/job/1").action,
            Action::UpdateInstance { updates, .. } if *updates == [Update::Start]));
    }
    let mut world = two();
    world.container("shop-web-1").status = Status::Exited { code: 0, oom: false };
    assert_eq!(world.plan().steps.len(), 1, "what is to run always runs again");
}
