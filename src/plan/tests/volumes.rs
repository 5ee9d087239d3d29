//! Volumes: what they are called, and that their content is not lost without a word.

use super::generate::{deployment, desired, owner, service, volume};
use super::scenarios::{World, held, step};
use crate::model::{Deployment, DeploymentName, Desired, Mount, OwnerId, Volume};
use crate::plan::{Action, Allow, AllowedGuard, Disruption, HeldReason, keep_former_volumes};

/// A database with its data in this volume.
fn with_volume(volume: Volume) -> Desired {
    let mut db = service("db", "db:1");
    db.spec.mounts.insert("/d".into(), Mount::Volume { name: volume.name.clone(), read_only: false });
    let mut shop = deployment("shop", vec![db]);
    shop.volumes.insert(volume.name.clone(), volume);
    desired(vec![shop])
}

fn shop(world: &mut World) -> &mut Deployment {
    world.desired.deployments.values_mut().next().expect("a deployment")
}

#[test]
fn a_volume_under_its_former_name_goes_on_being_used() {
    let now = with_volume(Volume { former: Some("data".into()), ..volume("shop_data") });
    let mut world = World::settled(with_volume(volume("data")));
    world.desired = keep_former_volumes(&now, &world.observed, &owner()).into_owned();
    assert!(world.plan().is_empty(), "{:#?}", world.plan().steps);
    let mount = Mount::Volume { name: "data".into(), read_only: false };
    assert_eq!(world.service("db").spec.mounts["/d"], mount);
    assert!(shop(&mut world).volumes.contains_key("data"));

    // Somebody else's, or another deployment's, is not taken for it.
    let state = world.observed.volumes["data"].clone();
    world.observed.volumes.get_mut("data").unwrap().owner = Some(OwnerId::new("somebody/else"));
    world.desired = keep_former_volumes(&now, &world.observed, &owner()).into_owned();
    assert!(matches!(&step(&world.plan(), "volume shop_data").action,
        Action::CreateVolume { volume, .. } if volume.name == "shop_data"));
    world.observed.volumes.get_mut("data").unwrap().clone_from(&state);
    world.observed.volumes.get_mut("data").unwrap().deployment = Some(DeploymentName::new("mail"));
    assert!(shop_has(&keep_former_volumes(&now, &world.observed, &owner()), "shop_data"));

    // Where both are there, the new one was taken once.
    world.observed.volumes.get_mut("data").unwrap().clone_from(&state);
    world.observed.volumes.insert("shop_data".into(), state);
    assert!(shop_has(&keep_former_volumes(&now, &world.observed, &owner()), "shop_data"));
}

fn shop_has(desired: &Desired, volume: &str) -> bool {
    desired.deployments[&DeploymentName::new("shop")].volumes.contains_key(volume)
}

#[test]
fn a_changed_option_of_a_volume_waits_for_the_word_that_its_content_may_go() {
    let mut world = World::settled(with_volume(volume("d")));
    shop(&mut world).volumes.get_mut("d").unwrap().options.insert("size".into(), "1g".into());
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "{:#?}", plan.steps);
    let held_volume = held(&plan, "volume d");
    assert_eq!(held_volume.why, HeldReason::DataLoss { lost: "its content".into() });
    assert_eq!(held_volume.changes.len(), 1, "what differs is shown");
    world.service("db").spec.env.insert("A".into(), "1".into());
    let plan = world.plan();
    assert!(plan.steps.is_empty(), "who needs it as it is wanted waits: {:#?}", plan.steps);
    assert!(matches!(held(&plan, "shop/db/1").why, HeldReason::Needs(_)));
    world.service("db").spec.env.clear();

    world.allow = vec![Allow { guard: AllowedGuard::DataLoss, scope: Some("other".into()) }];
    assert!(world.plan().steps.is_empty(), "the word for another volume is none for this one");
    world.allow = vec![Allow { guard: AllowedGuard::DataLoss, scope: Some("d".into()) }];
    let plan = world.plan();
    let made_anew = step(&plan, "volume d");
    assert_eq!((made_anew.disruption, made_anew.changes.len()), (Disruption::DataLoss, 1));
    let Action::RecreateVolume { users, .. } = &made_anew.action else { panic!("{:?}", made_anew.action) };
    let db = world.observed.containers[0].id.clone();
    assert_eq!(users.iter().map(|(container, _)| container).collect::<Vec<_>>(), [&db]);
    assert!(matches!(step(&plan, "shop/db/1").action, Action::CreateInstance(_)), "who used it is made again");
}

#[test]
fn a_changed_label_of_a_volume_holds_nothing_that_uses_it() {
    let mut world = World::settled(with_volume(volume("d")));
    shop(&mut world).volumes.get_mut("d").unwrap().labels.insert("team".into(), "a".into());
    assert_eq!(held(&world.plan(), "volume d").changes.len(), 1, "the difference is seen");
    world.service("db").spec.env.insert("A".into(), "1".into());
    assert!(matches!(step(&world.plan(), "shop/db/1").action, Action::ReplaceInstance { .. }));
}
