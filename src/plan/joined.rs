//! Shared namespaces. `container:<name>` refers to the container that had the name when the sharing container was created. When
//! that one is replaced, the namespace no longer exists, so the sharing container is replaced too.

use super::action::Action;
use super::draft::Drafts;
use super::instance::Instance;
use super::step::{FieldChange, Origin};
use super::subject::Subject;
use crate::model::{Container, Field, FieldKind};

/// A container that will be another one, and whose namespace is shared.
pub(super) struct Renewed<'a> {
    pub(super) holder: Subject,
    /// The sharer's field, and the name in it.
    kind: FieldKind,
    name: &'a str,
    origin: Origin,
}

impl<'a> Instance<'_, 'a> {
    /// The holders of shared namespaces for which this plan makes a new container.
    pub(super) fn renewed_holders(&self, drafts: &Drafts) -> Vec<Renewed<'a>> {
        let mut renewed = Vec::new();
        for (kind, name) in self.wanted.service.spec.joined() {
            let Some(wanted) = self.cx.wanted.values().find(|wanted| wanted.name == name) else { continue };
            let holder = self.cx.instance(&wanted.id);
            let Some(draft) = drafts.steps.get(&holder) else { continue };
            if matches!(draft.action, Action::CreateInstance(_) | Action::ReplaceInstance { .. }) {
                let drifted = draft.changes.iter().all(|change| change.origin == Origin::Drift);
                let origin = if drifted && !draft.changes.is_empty() { Origin::Drift } else { Origin::Git };
                renewed.push(Renewed { holder, kind, name, origin });
            }
        }
        renewed
    }

    /// The namespaces of an existing container whose holders no longer exist: the apply that replaced a holder ended before it
    /// reached this container, or somebody replaced a foreign holder. Such a container cannot start again.
    fn lost_already(&self, container: &Container) -> impl Iterator<Item = (FieldKind, &'a str, Origin)> {
        let observed = self.cx.observed();
        let wanted = self.wanted.service.spec.joined();
        wanted.filter_map(move |(kind, name)| {
            let mode = match kind {
                FieldKind::PidMode => &container.spec.pid_mode,
                FieldKind::IpcMode => &container.spec.ipc_mode,
                _ => &container.spec.network_mode,
            };
            let holder = mode.as_deref()?.strip_prefix("container:")?;
            let there = |one: &Container| one.name == holder || one.id.as_str() == holder;
            let has_successor = observed.containers.iter().any(|one| one.name == name);
            let lost = observed.is_complete() && has_successor && !observed.containers.iter().any(there);
            let is_ours = self.cx.wanted.values().any(|wanted| wanted.name == name);
            lost.then_some((kind, name, if is_ours { Origin::Git } else { Origin::Drift }))
        })
    }

    /// Adds the namespaces that an existing container loses with their holders, or has lost.
    pub(super) fn lose_namespaces(&self, container: &Container, drafts: &Drafts, changes: &mut Vec<FieldChange>) {
        let renewed = self.renewed_holders(drafts);
        let losing = renewed.into_iter().map(|Renewed { kind, name, origin, .. }| (kind, name, origin));
        for (kind, name, origin) in losing.chain(self.lost_already(container)) {
            let field = Field::one(kind);
            if changes.iter().all(|change| change.field != field) {
                changes.push(FieldChange {
                    old: Some(format!("container:{name} (the previous one)")),
                    new: Some(format!("container:{name}")),
                    origin,
                    at: Some(self.wanted.service.origin(&field).clone()),
                    hidden: false,
                    field,
                });
                changes.sort_by(|a, b| a.field.cmp(&b.field));
            }
        }
    }
}
