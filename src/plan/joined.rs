//! Shared namespaces. `container:<name>` stands for the container that had the name when the sharer was created: once that one
//! is replaced, the sharer holds on to something that is gone, and is replaced as well.

use super::action::Action;
use super::draft::Drafts;
use super::instances::Instance;
use super::step::{FieldChange, Origin, Subject};
use crate::model::{Field, FieldKind};

/// A container that will be another one, and whose namespace is shared.
pub(super) struct Renewed<'a> {
    /// The instance.
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
            let holder = Subject::Instance(wanted.id.clone());
            let Some(draft) = drafts.steps.get(&holder) else { continue };
            if matches!(draft.action, Action::CreateInstance(_) | Action::ReplaceInstance { .. }) {
                let drifted = draft.changes.iter().all(|change| change.origin == Origin::Drift);
                let origin = if drifted && !draft.changes.is_empty() { Origin::Drift } else { Origin::Git };
                renewed.push(Renewed { holder, kind, name, origin });
            }
        }
        renewed
    }

    /// Adds the namespaces that an existing container loses with their holders.
    pub(super) fn lose_namespaces(&self, drafts: &Drafts, changes: &mut Vec<FieldChange>) {
        for Renewed { kind, name, origin, .. } in self.renewed_holders(drafts) {
            let field = Field::one(kind);
            if changes.iter().all(|change| change.field != field) {
                changes.push(FieldChange {
                    old: Some(format!("container:{name} (the one before)")),
                    new: Some(format!("container:{name}")),
                    origin,
                    at: Some(self.wanted.service.origin(&field).clone()),
                    field,
                });
                changes.sort_by(|a, b| a.field.cmp(&b.field));
            }
        }
    }
}
