//! The calls that change one field of a container, and those that change several fields together.

use super::action::Update;
use super::step::FieldChange;
use super::wanted::grace;
use crate::model::{Change, Container, FieldKind, OnChange, Service, Status, limits_in_place};

/// What a change needs of this container. Starts from the field's own class; a config file decides for itself, a limit
/// that is lifted needs a new container, and so does a container that the engine gave up.
pub(super) fn class(change: &FieldChange, service: &Service, container: &Container) -> Change {
    match change.field.kind {
        FieldKind::State if container.status == Status::Dead => Change::Recreate,
        FieldKind::Config => match service.spec.configs.get(&change.field.key).map(|file| &file.on_change) {
            None | Some(OnChange::Recreate) => Change::Recreate,
            Some(OnChange::Restart) => Change::Restart,
            Some(OnChange::Signal(_) | OnChange::Nothing) => Change::InPlace,
        },
        FieldKind::Cpu
        | FieldKind::Memory
        | FieldKind::MemoryReservation
        | FieldKind::MemorySwap
        | FieldKind::Pids
        | FieldKind::Cpuset
        | FieldKind::CpuShares
            if !limits_in_place(&container.spec.resources, &service.spec.resources) =>
        {
            Change::Recreate
        }
        // A container that shares a network namespace cannot be connected to another network.
        FieldKind::Network if container.spec.network_mode.is_some() || service.spec.network_mode.is_some() => {
            Change::Recreate
        }
        kind => kind.change(),
    }
}

/// The calls that make the changes of a container that stays, in an order that the engine takes.
pub(super) fn updates(changes: &[FieldChange], service: &Service, container: &Container) -> Vec<Update> {
    let has = |kinds: &[FieldKind]| changes.iter().any(|change| kinds.contains(&change.field.kind));
    let mut updates = Vec::new();
    if container.status == Status::Paused {
        updates.push(Update::Unpause);
    }
    if has(&[
        FieldKind::Cpu,
        FieldKind::Memory,
        FieldKind::MemoryReservation,
        FieldKind::MemorySwap,
        FieldKind::Pids,
        FieldKind::Cpuset,
        FieldKind::CpuShares,
        FieldKind::Restart,
    ]) {
        updates.push(Update::Limits { resources: service.spec.resources.clone(), restart: service.spec.restart });
    }
    for change in changes {
        match change.field.kind {
            FieldKind::Name => updates.extend(change.new.clone().map(Update::Rename)),
            FieldKind::Network => {
                let network = change.field.key.clone();
                if change.old.is_some() {
                    updates.push(Update::Disconnect { network: network.clone() });
                }
                if let Some(attachment) = service.spec.networks.get(&network) {
                    updates.push(Update::Connect { network, attachment: attachment.clone() });
                }
            }
            _ => {}
        }
    }
    let mut restart = false;
    let mut signals = Vec::new();
    for change in changes.iter().filter(|change| change.field.kind == FieldKind::Config) {
        let Some(file) = service.spec.configs.get(&change.field.key) else { continue };
        updates.push(Update::WriteConfig { target: change.field.key.clone(), file: file.clone() });
        match &file.on_change {
            OnChange::Restart => restart = true,
            OnChange::Signal(signal) if !signals.contains(signal) => signals.push(signal.clone()),
            _ => {}
        }
    }
    let unhealthy = has(&[FieldKind::State]) && container.status == Status::Running;
    match container.status {
        Status::Running | Status::Paused if restart || unhealthy => {
            updates.push(Update::Restart { grace: grace(container) });
        }
        Status::Running | Status::Paused => updates.extend(signals.into_iter().map(Update::Signal)),
        Status::Created | Status::Exited { .. } | Status::Dead if has(&[FieldKind::State]) => {
            updates.push(Update::Start);
        }
        // The engine is already doing it, or it was not requested to run.
        _ => {}
    }
    updates
}
