//! The wanted fields of a service, computed once for all its replicas.

use super::context::Context;
use super::effective::effective;
use super::wanted::Wanted;
use crate::model::{Change, Container, ContainerSpec, Field, Fields, ServiceRef};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// What one service wants, by itself and over each image it meets. Instances come service by service, so that no more than
/// one is kept.
#[derive(Default)]
pub(super) struct FieldCache {
    service: Option<ServiceRef>,
    own: OnceLock<Arc<Fields>>,
    over: BTreeMap<String, Arc<Overlay>>,
}

impl FieldCache {
    /// What the service itself sets.
    pub(super) fn own(&mut self, wanted: &Wanted<'_>) -> Arc<Fields> {
        self.turn_to(&wanted.id.service);
        Arc::clone(self.own.get_or_init(|| Arc::new(wanted.service.fields())))
    }

    /// The service's settings, completed with those of the image that the container runs; only its own if that image no longer
    /// exists.
    pub(super) fn over_image(&mut self, cx: &Context<'_>, wanted: &Wanted<'_>, container: &Container) -> Arc<Overlay> {
        self.turn_to(&wanted.id.service);
        if let Some(known) = self.over.get(&container.image_id) {
            return Arc::clone(known);
        }
        let own = &wanted.service.spec;
        let image = cx.observed().images.get(&container.image_id);
        let spec = image.map_or_else(|| own.clone(), |image| effective(own, &image.config));
        let overlay = Arc::new(Overlay { spec, fields: OnceLock::new() });
        self.over.insert(container.image_id.clone(), Arc::clone(&overlay));
        overlay
    }

    fn turn_to(&mut self, service: &ServiceRef) {
        if self.service.as_ref() != Some(service) {
            *self = Self { service: Some(service.clone()), ..Self::default() };
        }
    }
}

/// What a service wants over one image.
pub(super) struct Overlay {
    spec: ContainerSpec,
    fields: OnceLock<Fields>,
}

impl Overlay {
    pub(super) fn fields(&self) -> &Fields {
        self.fields.get_or_init(|| self.spec.fields())
    }

    /// Whether the fields need not be compared, because the settings are identical. An engine does not report config files.
    pub(super) fn is_met_by(&self, observed: &ContainerSpec) -> bool {
        self.spec.configs.is_empty() && self.spec == *observed
    }
}

/// Whether the host can change a field of an existing container. All other fields stay as they were created.
pub(super) fn is_mutable(field: &Field) -> bool {
    field.kind.change() == Change::InPlace
}
