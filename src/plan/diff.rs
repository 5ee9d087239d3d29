//! The difference between one wanted instance and one container, field by field.

use super::context::Context;
use super::fields::{FieldCache, Overlay, is_mutable};
use super::input::Base;
use super::step::{FieldChange, Origin};
use super::unmet::is_done;
use super::wanted::Wanted;
use crate::model::{Container, Field, FieldKind, Fields, Health, Image, ImageState, Service, Status, digest};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Every field in which a container is not as wanted. `asked` holds the digests of what was last asked of it.
pub(super) fn differences(
    cx: &Context<'_>,
    wanted: &Wanted<'_>,
    fields: &mut FieldCache,
    container: &Container,
    asked: &BTreeMap<String, String>,
) -> Vec<FieldChange> {
    let images = &cx.observed().images;
    Comparison {
        service: wanted.service,
        name: &wanted.name,
        own: &fields.own(wanted),
        wanted: &fields.over_image(cx, wanted, container),
        container,
        image: images.get(&wanted.service.spec.image),
        image_known: images.contains_key(&container.image_id),
        asked,
        recorded: cx.input.memory.bases.get(container.id.as_str()).filter(|base| base.is_recorded()),
    }
    .changes()
}

/// The input of one comparison.
struct Comparison<'a> {
    service: &'a Service,
    name: &'a str,
    /// The service's own fields.
    own: &'a Fields,
    /// The service's fields, completed with those of the container's image ([`effective`](super::effective)); only its own if that
    /// image no longer exists.
    wanted: &'a Overlay,
    container: &'a Container,
    /// The image that the wanted reference names now, if it is on the host.
    image: Option<&'a ImageState>,
    /// Whether the container's own image is on the host, so that `wanted` holds its defaults too.
    image_known: bool,
    /// Digests of what was requested last, by field text.
    asked: &'a BTreeMap<String, String>,
    /// The recorded report of the engine; absent if the record was lost or never made.
    recorded: Option<&'a Base>,
}

impl Comparison<'_> {
    /// Every difference, in the order of fields.
    fn changes(&self) -> Vec<FieldChange> {
        let mut changes = Vec::new();
        changes.extend(self.state());
        changes.extend(self.name());
        changes.extend(self.image());
        changes.extend(self.probe());
        self.configs(&mut changes);
        self.others(&mut changes);
        changes.sort_by(|a, b| a.field.cmp(&b.field));
        changes
    }

    fn change(&self, field: Field, old: Option<String>, new: Option<String>, origin: Origin) -> FieldChange {
        let at = self.service.origin(&field).clone();
        let hidden = self.service.hides(&field);
        FieldChange { field, old, new, origin, at: Some(at), hidden }
    }

    /// A container that should run and does not, or whose health went bad.
    fn state(&self) -> Option<FieldChange> {
        let container = self.container;
        let (old, new) = match (container.status, container.health) {
            (Status::Running, Health::Unhealthy) => ("unhealthy".to_owned(), "healthy"),
            // The engine's own restart policy is at work; a second hand would only disturb it.
            (Status::Running | Status::Restarting | Status::Removing, _) => return None,
            _ if is_done(container, self.service) => return None,
            (status, _) => (status.to_string(), if self.service.one_shot { "completed" } else { "running" }),
        };
        // A container that never ran was left by a failed step: nothing else on the host leaves a container in this state.
        let origin = if container.status == Status::Created { Origin::Git } else { Origin::Drift };
        Some(self.change(Field::one(FieldKind::State), Some(old), Some(new.to_owned()), origin))
    }

    fn name(&self) -> Option<FieldChange> {
        if self.container.name == self.name {
            return None;
        }
        let field = Field::one(FieldKind::Name);
        let (old, new) = (self.container.name.as_str(), self.name);
        let origin = self.origin(&field, Some(old), Some(new)).unwrap_or(Origin::Drift);
        Some(self.change(field, Some(old.to_owned()), Some(new.to_owned()), origin))
    }

    /// The image differs if Git names another one, or if its name now refers to another image. If an image is not on the host,
    /// nothing is known about a running container. A build is identified by its inputs, whatever its tag points at.
    fn image(&self) -> Option<FieldChange> {
        let field = Field::one(FieldKind::Image);
        let (old, new) = (&self.container.spec.image, &self.service.spec.image);
        let renamed = match self.asked.get(FieldKind::Image.as_str()) {
            Some(asked) => *asked != digest(new),
            None => old != new,
        };
        let pulled = matches!(self.service.image, Image::Pull { .. });
        let moved = pulled && self.image.is_some_and(|image| image.id != self.container.image_id);
        if !renamed && !moved {
            return None;
        }
        let origin = if renamed { Origin::Git } else { Origin::Drift };
        let old = image_text(old, Some(&self.container.image_id));
        let new = image_text(new, self.image.map(|image| image.id.as_str()));
        Some(self.change(field, Some(old), Some(new), origin))
    }

    /// The check that Setpoint makes itself: only the last request is known. A container of an earlier version has no record of it;
    /// it gets one after the next observation.
    fn probe(&self) -> Option<FieldChange> {
        let field = Field::one(FieldKind::Probe);
        let (asked, new) = (self.asked.get(FieldKind::Probe.as_str())?, self.own.get(&field)?);
        if *asked == digest(new) {
            return None;
        }
        let old = if *asked == digest("none") { "none".to_owned() } else { format!("applied {asked}") };
        Some(self.change(field, Some(old), Some(new.clone()), Origin::Git))
    }

    /// The engine cannot report a file's content, so the digest of the last applied content is used.
    fn configs(&self, changes: &mut Vec<FieldChange>) {
        if self.service.spec.configs.is_empty() && self.asked_configs().next().is_none() {
            return;
        }
        let wanted = self.wanted.fields();
        for (field, new) in wanted.iter().filter(|(field, _)| field.kind == FieldKind::Config) {
            let base = self.asked.get(&field.to_string());
            if base.is_none_or(|base| *base != digest(new)) {
                let old = base.map(|base| format!("applied {base}"));
                changes.push(self.change(field.clone(), old, Some(new.clone()), Origin::Git));
            }
        }
        for (path, base) in self.asked_configs() {
            let field = Field::of(FieldKind::Config, path);
            if !wanted.contains_key(&field) {
                changes.push(self.change(field, Some(format!("applied {base}")), None, Origin::Git));
            }
        }
    }

    /// The config files that were last applied, by path, and the digest of each.
    fn asked_configs(&self) -> impl Iterator<Item = (&str, &String)> {
        let kind = FieldKind::Config.as_str();
        let from_there = self.asked.range::<str, _>((Bound::Included(kind), Bound::Unbounded));
        from_there.map_while(move |(key, base)| Some((key.strip_prefix(kind)?.strip_prefix(' ')?, base)))
    }

    fn others(&self, changes: &mut Vec<FieldChange>) {
        if self.wanted.is_met_by(&self.container.spec) {
            return;
        }
        let (wanted, observed) = (self.wanted.fields(), self.container.spec.fields());
        let apart = |field: &&Field| matches!(field.kind, FieldKind::Image | FieldKind::Config);
        let added = observed.keys().filter(|field| !wanted.contains_key(field));
        for field in wanted.keys().chain(added).filter(|field| !apart(field)) {
            let (old, new) = (observed.get(field), wanted.get(field));
            if old == new {
                continue;
            }
            if let Some(origin) = self.origin(field, old.map(String::as_str), new.map(String::as_str)) {
                changes.push(self.change(field.clone(), old.cloned(), new.cloned(), origin));
            }
        }
    }

    /// The origin of a difference between request and report; `None` if the engine itself reported the request like that from the
    /// beginning.
    fn origin(&self, field: &Field, old: Option<&str>, new: Option<&str>) -> Option<Origin> {
        if self.asked.is_empty() {
            return Some(Origin::Git);
        }
        let name = field.to_string();
        let asked = self.asked.get(&name).map(String::as_str);
        let Some(record) = self.recorded else { return self.origin_without_record(field, asked, old, new) };
        let wish = match field.kind {
            FieldKind::Name => new,
            _ => self.own.get(field).map(String::as_str),
        };
        let git = wish.map(digest).as_deref() != asked;
        let host = is_mutable(field) && old.map(digest).as_ref() != record.reported.get(&name);
        match (git, host) {
            (false, false) => None,
            (true, false) => Some(Origin::Git),
            (false, true) => Some(Origin::Drift),
            (true, true) => Some(Origin::Both),
        }
    }

    /// The same for a container whose report was never recorded: request and report are compared, except for values that engines
    /// are known to add, and the image's values if the image no longer exists.
    fn origin_without_record(
        &self,
        field: &Field,
        asked: Option<&str>,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Option<Origin> {
        let of_unknown_image = !self.image_known && field.kind.from_image();
        if asked.is_none() && new.is_none() && (of_unknown_image || added_by_engines(field.kind)) {
            return None;
        }
        let is_asked = |value: Option<&str>| value.map(digest).as_deref() == asked;
        // What a container was created to log with stays; the engine adds options of its own settings to it.
        if field.kind == FieldKind::Logging {
            return (!is_asked(new)).then_some(Origin::Git);
        }
        Some(match (is_asked(new), is_asked(old)) {
            (true, _) => Origin::Drift,
            (false, true) => Origin::Git,
            // A field that was never asked for came from the image: whoever set it later was not a commit.
            (false, false) if asked.is_none() && field.kind.from_image() => {
                if self.service.origins.contains_key(field) { Origin::Git } else { Origin::Drift }
            }
            (false, false) => Origin::Both,
        })
    }
}

/// What engines add to a container by themselves: limits and sizes of their own settings, labels of Docker Desktop, options of
/// SELinux.
fn added_by_engines(kind: FieldKind) -> bool {
    use FieldKind::{Label, Logging, SecurityOpt, ShmSize, Ulimit};
    matches!(kind, Label | Logging | SecurityOpt | ShmSize | Ulimit)
}

/// `api:1.5 @bb90c2aa11de`: a reference and the image that it refers to.
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
