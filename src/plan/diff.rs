//! The difference between one wanted instance and one container, field by field.

use super::context::Context;
use super::fields::{FieldCache, Overlay};
use super::step::{FieldChange, Origin};
use super::wanted::Wanted;
use crate::model::{
    Container, ContainerSpec, Field, FieldKind, Fields, Health, Healthcheck, ImageConfig, ImageState, Service, Status,
    Test, digest,
};
use std::collections::BTreeMap;
use std::ops::Bound;

/// What a service wants of a container that runs a certain image: its own fields over what the image sets.
///
/// Rules of the overlay: Docker Engine, `POST /containers/create`. A given entrypoint switches the image's command off;
/// environment and labels are merged; a health check takes the image's part wherever it leaves one out.
pub(super) fn effective(spec: &ContainerSpec, image: &ImageConfig) -> ContainerSpec {
    let mut spec = spec.clone();
    let words = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    if spec.entrypoint.is_none() {
        spec.entrypoint = words(&image.entrypoint);
        spec.command = spec.command.or_else(|| words(&image.command));
    }
    for (key, value) in &image.env {
        spec.env.entry(key.clone()).or_insert_with(|| value.clone());
    }
    for (key, value) in &image.labels {
        spec.labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
    spec.user = spec.user.or_else(|| image.user.clone());
    spec.working_dir = spec.working_dir.or_else(|| image.working_dir.clone());
    spec.stop_signal = spec.stop_signal.or_else(|| image.stop_signal.clone());
    spec.healthcheck = overlay_healthcheck(spec.healthcheck, image.healthcheck.as_ref());
    spec
}

fn overlay_healthcheck(wanted: Option<Healthcheck>, image: Option<&Healthcheck>) -> Option<Healthcheck> {
    let (mut wanted, image) = match (wanted, image) {
        (None, image) => return image.cloned(),
        (Some(wanted), None) => return Some(wanted),
        (Some(wanted), Some(image)) => (wanted, image),
    };
    if wanted.test == Test::Inherit {
        wanted.test = image.test.clone();
    }
    wanted.interval = wanted.interval.or(image.interval);
    wanted.timeout = wanted.timeout.or(image.timeout);
    wanted.retries = wanted.retries.or(image.retries);
    wanted.start_period = wanted.start_period.or(image.start_period);
    Some(wanted)
}

/// Every field in which a container is not as wanted. `applied` holds the digests of what was last applied to it.
pub(super) fn differences(
    cx: &Context<'_>,
    wanted: &Wanted<'_>,
    fields: &mut FieldCache,
    container: &Container,
    applied: &BTreeMap<String, String>,
) -> Vec<FieldChange> {
    let images = &cx.observed().images;
    Comparison {
        service: wanted.service,
        name: &wanted.name,
        wanted: &fields.over_image(cx, wanted, container),
        container,
        image: images.get(&wanted.service.spec.image),
        image_known: images.contains_key(&container.image_id),
        applied,
    }
    .changes()
}

/// Everything one comparison looks at.
struct Comparison<'a> {
    /// The service whose instance it is.
    service: &'a Service,
    /// The name the container should have.
    name: &'a str,
    /// The service's fields over the container's image ([`effective`]), or its own alone when the image is gone.
    wanted: &'a Overlay,
    /// What there is.
    container: &'a Container,
    /// The image that the wanted reference stands for now, if it is on the host.
    image: Option<&'a ImageState>,
    /// Whether the container's own image is on the host, so that `wanted` holds its defaults too.
    image_known: bool,
    /// Digests of what was last applied, by field text.
    applied: &'a BTreeMap<String, String>,
}

impl Comparison<'_> {
    /// Every difference, in the order of fields.
    fn changes(&self) -> Vec<FieldChange> {
        let mut changes = Vec::new();
        changes.extend(self.state());
        changes.extend(self.name());
        changes.extend(self.image());
        self.configs(&mut changes);
        self.others(&mut changes);
        changes.sort_by(|a, b| a.field.cmp(&b.field));
        changes
    }

    fn change(&self, field: Field, old: Option<String>, new: Option<String>, origin: Origin) -> FieldChange {
        let at = self.service.origin(&field).clone();
        FieldChange { field, old, new, origin, at: Some(at) }
    }

    /// Who made a difference: what was last applied decides. Without that knowledge it is taken for a commit's.
    fn origin(&self, field: &Field, old: Option<&str>, new: Option<&str>) -> Origin {
        // Nobody can change what an existing container logs with.
        if self.applied.is_empty() || field.kind == FieldKind::Logging {
            return Origin::Git;
        }
        let base = self.applied.get(&field.to_string()).map(String::as_str);
        let is_base = |value: Option<&str>| value.map(digest).as_deref() == base;
        // A field that was never applied came from the image: whoever set it later was not a commit.
        match (is_base(new), is_base(old)) {
            (true, _) => Origin::Drift,
            (false, true) => Origin::Git,
            (false, false) if base.is_none() && field.kind.from_image() && !self.is_set(field) => Origin::Drift,
            (false, false) => Origin::Both,
        }
    }

    fn is_set(&self, field: &Field) -> bool {
        self.service.origins.contains_key(field)
    }

    /// A container that should run and does not, or whose health went bad.
    fn state(&self) -> Option<FieldChange> {
        let container = self.container;
        let done = matches!(container.status, Status::Exited { code: 0, .. });
        let (old, new) = match (container.status, container.health) {
            (Status::Running, Health::Unhealthy) => ("unhealthy".to_owned(), "healthy"),
            // The engine's own restart policy is at work; a second hand would only disturb it.
            (Status::Running | Status::Restarting | Status::Removing, _) => return None,
            _ if self.service.one_shot && done => return None,
            (status, _) => (status.to_string(), if self.service.one_shot { "completed" } else { "running" }),
        };
        Some(self.change(Field::one(FieldKind::State), Some(old), Some(new.to_owned()), Origin::Drift))
    }

    fn name(&self) -> Option<FieldChange> {
        if self.container.name == self.name {
            return None;
        }
        let field = Field::one(FieldKind::Name);
        let (old, new) = (self.container.name.as_str(), self.name);
        let origin = self.origin(&field, Some(old), Some(new));
        Some(self.change(field, Some(old.to_owned()), Some(new.to_owned()), origin))
    }

    /// The image differs when the reference does, or when the reference stands for another image by now. An image that
    /// is not on the host says nothing about a container that runs.
    fn image(&self) -> Option<FieldChange> {
        let field = Field::one(FieldKind::Image);
        let (old, new) = (&self.container.spec.image, &self.service.spec.image);
        let moved = self.image.is_some_and(|image| image.id != self.container.image_id);
        if old == new && !moved {
            return None;
        }
        let origin = if old == new { Origin::Drift } else { self.origin(&field, Some(old), Some(new)) };
        let old = image_text(old, Some(&self.container.image_id));
        let new = image_text(new, self.image.map(|image| image.id.as_str()));
        Some(self.change(field, Some(old), Some(new), origin))
    }

    /// The engine cannot report a file's content, so the digest of what was last applied stands in for it.
    fn configs(&self, changes: &mut Vec<FieldChange>) {
        if self.service.spec.configs.is_empty() && self.applied_configs().next().is_none() {
            return;
        }
        let wanted = self.wanted.fields();
        for (field, new) in wanted.iter().filter(|(field, _)| field.kind == FieldKind::Config) {
            let base = self.applied.get(&field.to_string());
            if base.is_none_or(|base| *base != digest(new)) {
                let old = base.map(|base| format!("applied {base}"));
                changes.push(self.change(field.clone(), old, Some(new.clone()), Origin::Git));
            }
        }
        for (path, base) in self.applied_configs() {
            let field = Field::of(FieldKind::Config, path);
            if !wanted.contains_key(&field) {
                changes.push(self.change(field, Some(format!("applied {base}")), None, Origin::Git));
            }
        }
    }

    /// The config files that were last applied, by path, and the digest of each.
    fn applied_configs(&self) -> impl Iterator<Item = (&str, &String)> {
        let kind = FieldKind::Config.as_str();
        let from_there = self.applied.range::<str, _>((Bound::Included(kind), Bound::Unbounded));
        from_there.map_while(move |(key, base)| Some((key.strip_prefix(kind)?.strip_prefix(' ')?, base)))
    }

    fn others(&self, changes: &mut Vec<FieldChange>) {
        if self.wanted.is_met_by(&self.container.spec) {
            return;
        }
        let (wanted, observed) = (self.wanted.fields(), self.container.spec.fields());
        let ours = |field: &&Field| !matches!(field.kind, FieldKind::Image | FieldKind::Config);
        for (field, new) in wanted.iter().filter(|(field, _)| ours(field)) {
            let old = observed.get(field);
            if old != Some(new) && !self.keeps_logging(field, new) {
                let origin = self.origin(field, old.map(String::as_str), Some(new));
                changes.push(self.change(field.clone(), old.cloned(), Some(new.clone()), origin));
            }
        }
        for (field, old) in observed.iter().filter(|(field, _)| ours(field)) {
            let of_unknown_image = !self.image_known && field.kind.from_image() && !self.was_applied(field);
            if !wanted.contains_key(field) && !of_unknown_image {
                let origin = self.origin(field, Some(old), None);
                changes.push(self.change(field.clone(), Some(old.clone()), None, origin));
            }
        }
    }

    /// What a container was created to log with stays; the engine adds options of its own settings to it.
    fn keeps_logging(&self, field: &Field, new: &str) -> bool {
        field.kind == FieldKind::Logging
            && self.applied.get(&field.to_string()).is_some_and(|base| *base == digest(new))
    }

    fn was_applied(&self, field: &Field) -> bool {
        self.applied.contains_key(&field.to_string())
    }
}

/// `api:1.5 @bb90c2aa11de`: a reference and the image it stands for.
fn image_text(reference: &str, id: Option<&str>) -> String {
    match id.map(|id| id.trim_start_matches("sha256:")).and_then(|id| id.get(..12)) {
        Some(short) => format!("{reference} @{short}"),
        None => reference.to_owned(),
    }
}

/// One digest over all wanted fields: what a quarantine is about.
pub fn spec_digest(fields: &Fields) -> String {
    let text: String = fields.iter().map(|(field, value)| format!("{field}={value}\n")).collect();
    digest(&text)
}
