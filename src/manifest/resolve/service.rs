//! A service while it is put together.

use crate::manifest::cursor::Cursor;
use crate::manifest::text::{Place, Span};
use crate::model::{
    Attachment, Condition, ContainerSpec, Field, FieldKind, Image, Order, Probe, PullPolicy, Role, ServiceId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A service of which other files are not yet known.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// Its `id`.
    pub id: ServiceId,
    /// What it was in the file.
    pub role: Role,
    /// Where it is written.
    pub at: Cursor<'a>,
    /// Where its image comes from.
    pub image: Image,
    /// The container's settings.
    pub spec: ContainerSpec,
    /// Fixed container name.
    pub container_name: Option<String>,
    /// How many containers.
    pub replicas: u32,
    /// What it waits for.
    pub waits: Vec<Wait<'a>>,
    /// A health check made from outside.
    pub probe: Option<Probe>,
    /// Start first or stop first.
    pub order: Option<Order>,
    /// The networks it names, by key; `None` is the deployment's own.
    pub networks: Option<Vec<(String, Attachment, Cursor<'a>)>>,
    /// Whether the file sets the restart policy.
    pub restart_given: bool,
    /// Where each field is set.
    pub spans: BTreeMap<Field, Span>,
    /// Variables from an env file that the file itself does not set.
    pub hidden: BTreeSet<Field>,
}

/// A service that must be there first.
#[derive(Clone, Debug)]
pub(crate) struct Wait<'a> {
    /// `service`, or `deployment/service`.
    pub target: String,
    /// What is waited for.
    pub condition: Condition,
    /// Where it is written.
    pub at: Cursor<'a>,
}

impl<'a> Draft<'a> {
    /// A service without settings.
    pub(crate) fn new(id: &str, role: Role, at: Cursor<'a>) -> Self {
        Self {
            id: ServiceId::new(id),
            role,
            at,
            image: Image::Pull { reference: String::new(), policy: PullPolicy::Missing, also_tag: None },
            spec: ContainerSpec::default(),
            container_name: None,
            replicas: 1,
            waits: Vec::new(),
            probe: None,
            order: None,
            networks: None,
            restart_given: false,
            spans: BTreeMap::new(),
            hidden: BTreeSet::new(),
        }
    }

    /// Notes that a field with a single value is set at a place.
    pub(crate) fn set(&mut self, kind: FieldKind, at: Cursor<'_>) {
        self.spans.insert(Field::one(kind), at.place().span);
    }

    /// Notes that an entry of a field is set at a place.
    pub(crate) fn set_entry(&mut self, kind: FieldKind, key: &str, at: Cursor<'_>) {
        self.spans.insert(Field::of(kind, key), at.place().span);
    }

    /// The place that sets a field, else the service.
    pub(crate) fn place(&self, field: &Field) -> Place {
        match self.spans.get(field) {
            Some(span) => Place { source: Arc::clone(self.at.source()), span: *span },
            None => self.at.key("id").place(),
        }
    }
}
