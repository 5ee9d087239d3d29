//! What a file is: by its name, its root keys, and what stands below them.

use super::report::{Certainty, Diagnostic};
use super::schema::Kind;
use super::shape::Shape;
use super::suggest::{alternatives, nearest};
use super::text::{Place, SourceFile};
use super::tree::{Key, Node};
use std::sync::Arc;

/// The keys under which a manifest may have its whole content.
pub(super) const ROOT_KEYS: [&str; 5] = ["deployment", "builder", "schedule", "nodes", "clusters"];

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A deployment under its root key.
    Deployment,
    /// A deployment without its root key.
    Fragment,
    /// A schedule under its root key.
    Schedule,
    /// A schedule without its root key.
    Timeline,
    /// A builder file.
    Builder,
    /// The repo's settings.
    Settings,
}

impl Content {
    /// The schema of such a file, and the shape of its root.
    pub(super) fn schema(self) -> (Kind, &'static Shape) {
        match self {
            Self::Deployment => (Kind::Deployment, Kind::Deployment.shapes().root()),
            Self::Fragment => (Kind::Deployment, below_root(Kind::Deployment)),
            Self::Schedule => (Kind::Schedule, Kind::Schedule.shapes().root()),
            Self::Timeline => (Kind::Schedule, below_root(Kind::Schedule)),
            Self::Builder => (Kind::Builder, Kind::Builder.shapes().root()),
            Self::Settings => (Kind::Settings, Kind::Settings.shapes().root()),
        }
    }
}

/// What a file turned out to be.
#[derive(Debug)]
pub(super) enum Class {
    /// A manifest.
    Manifest(Content),
    /// A manifest of a kind that is not supported yet.
    Unsupported,
    /// Something of other tools.
    Foreign,
    /// Neither, where only manifests are expected.
    Mistake(Diagnostic),
}

/// YAML or KDL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Yaml,
    Kdl,
}

impl Format {
    /// By the ending of the file's name; `None` for any other file.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1 {
            "yaml" | "yml" => Some(Self::Yaml),
            "kdl" => Some(Self::Kdl),
            _ => None,
        }
    }
}

/// Whether this is the name of a Compose file, which other tools read.
pub(super) fn is_compose(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    !name.ends_with(".kdl") && (stem == "compose" || stem == "docker-compose" || stem.starts_with("docker-compose-"))
}

/// What the lines of a file outside the habitual folders make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// A line starts with a root key of ours.
    Manifest,
    /// A line starts with a key that other tools have too.
    Perhaps,
}

/// What a text outside the habitual folders hints at; `None` when it is not a manifest.
pub(super) fn hint(text: &str) -> Option<Hint> {
    let mut hint = None;
    for line in text.lines() {
        let word = line.split([':', ' ', '{', '"']).next().unwrap_or_default();
        if ROOT_KEYS.contains(&word) {
            return Some(Hint::Manifest);
        }
        if matches!(word, "tasks" | "services" | "task" | "service") {
            hint = Some(Hint::Perhaps);
        }
    }
    hint
}

/// What a file is, by its root keys; for one without them also by its `tree`.
pub(super) fn classify(source: &Arc<SourceFile>, keys: &[Key], habitual: bool, tree: Option<&Node>) -> Class {
    let has = |name: &str| keys.iter().any(|key| &*key.text == name);
    // A root key decides whatever stands beside it: the check of the shape reports that.
    for (name, content) in
        [("deployment", Content::Deployment), ("builder", Content::Builder), ("schedule", Content::Schedule)]
    {
        if has(name) {
            return Class::Manifest(content);
        }
    }
    if has("nodes") || has("clusters") {
        return Class::Unsupported;
    }
    let Shape::Object(object) = Kind::Deployment.shapes().resolve(below_root(Kind::Deployment)) else {
        return Class::Foreign;
    };
    let known = |name: &str| object.property(name).is_some() || object.property(&format!("{name}s")).is_some();
    // Before the deployments, which have `tasks` too.
    if tree.is_some_and(is_schedule) {
        return Class::Manifest(Content::Timeline);
    }
    if habitual {
        if keys.iter().any(|key| known(&key.text)) {
            return Class::Manifest(Content::Fragment);
        }
        let Some(first) = keys.first() else { return Class::Foreign };
        let place = Place { source: Arc::clone(source), span: first.span };
        let candidates = ROOT_KEYS.into_iter().chain(object.properties.keys().map(String::as_str));
        let label = match nearest(&first.text, candidates) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not a root key".to_owned(),
        };
        let help = format!("start the file with {}; other files belong in another folder", alternatives(ROOT_KEYS));
        let message = format!("unknown root key `{}`", first.text);
        let mistake = Diagnostic::new("unknown-root-key", Certainty::Format, &place, message);
        return Class::Mistake(mistake.label(label).help(help));
    }
    // Elsewhere a file must look like a deployment beyond doubt: other tools have `services` and `tasks` too.
    let listed = |name: &str| tree.and_then(|tree| tree.get(name)).is_some_and(|(_, list)| looks_like_ours(list));
    if listed("services") || listed("tasks") { Class::Manifest(Content::Fragment) } else { Class::Foreign }
}
/// What stands under the root key of a kind of file.
pub(super) fn below_root(kind: Kind) -> &'static Shape {
    let shapes = kind.shapes();
    match shapes.root() {
        Shape::Object(object) => {
            object.properties.get(kind.name()).map_or(shapes.root(), |shape| shapes.resolve(shape))
        }
        root => root,
    }
}

/// Whether a file without root key is a schedule: its tasks say when, not where from.
fn is_schedule(tree: &Node) -> bool {
    let Some((_, tasks)) = tree.get("tasks") else { return false };
    let has = |names: &[&str]| {
        tasks
            .items()
            .iter()
            .any(|task| task.entries().iter().any(|(key, _)| names.contains(&key.text.replace('-', "_").as_str())))
    };
    has(&["address", "mode", "scheduled_time_us", "deadline_us", "parameters"])
        && !has(&["container_name", "task_type", "port", "image", "dockerfile", "hostname"])
}

/// A list of maps with an `id`.
fn looks_like_ours(list: &Node) -> bool {
    !list.items().is_empty() && list.items().iter().all(|item| item.get("id").is_some())
}
