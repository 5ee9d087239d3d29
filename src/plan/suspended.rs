//! Deployments that were stopped by hand stay stopped.

use super::action::{Action, Guard};
use super::context::Context;
use super::draft::{Draft, Drafts, Phase, Rank};
use super::flapping::hold_repair;
use super::step::{Disruption, FieldChange, Origin, Reason};
use super::wanted::Wanted;
use super::wanted::grace;
use crate::model::{Container, Field, FieldKind, Restart, Status};
use std::collections::BTreeSet;

/// Stops a container of a deployment that was stopped by hand: an engine that is restarted starts what has the policy `always`.
pub(super) fn stop_again(cx: &Context<'_>, wanted: &Wanted<'_>, container: &Container, drafts: &mut Drafts) {
    let runs = matches!(container.status, Status::Running | Status::Restarting);
    if !runs || container.spec.restart != Restart::Always {
        return;
    }
    let subject = cx.instance(&wanted.id);
    let changes = vec![FieldChange {
        field: Field::one(FieldKind::State),
        old: Some(container.status.to_string()),
        new: Some("stopped".to_owned()),
        origin: Origin::Drift,
        at: None,
        hidden: false,
    }];
    if let Some(why) = hold_repair(cx, &subject, &changes) {
        return drafts.hold(subject, "stop", why, changes);
    }
    let draft = Draft {
        deployment: Some(wanted.deployment.name.clone()),
        action: Action::StopInstance { container: container.id.clone(), grace: grace(container) },
        guard: Guard::Ours { container: container.id.clone(), owner: cx.input.owner.clone() },
        needs: BTreeSet::new(),
        changes,
        reason: Reason::Suspended,
        disruption: Disruption::RecreateDowntime,
        rank: Rank(Phase::Instances, 0, 0, wanted.id.slot),
    };
    drafts.steps.insert(subject, draft);
}
