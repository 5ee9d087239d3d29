//! Shared namespaces after something went wrong.

use super::generate::{deployment, desired, service};
use super::scenarios::{World, step};
use crate::model::{FieldKind, Status};
use crate::plan::Action;

/// The apply that renewed the holder ended before it came to the sharer: what the sharer holds on to is gone, and a start fails.
#[test]
fn who_holds_on_to_a_namespace_that_is_gone_is_renewed() {
    let mut sidecar = service("sidecar", "side:1");
    sidecar.spec.network_mode = Some("container:shop-web-1".into());
    let mut world = World::settled(desired(vec![deployment("shop", vec![sidecar, service("web", "web:1")])]));
    let sidecar = world.container("shop-sidecar-1");
    sidecar.spec.network_mode = Some("container:4f5be2a7".into());
    sidecar.status = Status::Exited { code: 137, oom: false };
    let plan = world.plan();
    let renewal = step(&plan, "shop/sidecar/1");
    assert!(matches!(renewal.action, Action::ReplaceInstance { .. }), "{renewal:?}");
    assert!(renewal.changes.iter().any(|change| change.field.kind == FieldKind::NetworkMode), "{:?}", renewal.changes);

    // On half a look the holder may be there.
    world.observed.missing.push("container x".to_owned());
    assert!(matches!(step(&world.plan(), "shop/sidecar/1").action, Action::UpdateInstance { .. }));
}
