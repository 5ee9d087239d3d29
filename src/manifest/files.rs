//! Which files are manifests, what kind each is, and its checked content.

use super::conform::{Conformed, conform, prune};
use super::raw::builder::BuilderFile;
use super::raw::deployment::{Deployment, DeploymentFile};
use super::raw::schedule::{Schedule, ScheduleFile};
use super::raw::settings::SettingsFile;
use super::raw::typed;
use super::report::{Certainty, Diagnostic};
use super::schema::Kind;
use super::shape::Shape;
use super::suggest::{alternatives, nearest};
use super::text::{Place, SourceFile};
use super::tree::{Key, Node, Value};
use super::{kdl, parallel, yaml};
use crate::model::{FileEntry, FileKind, FileTree, Location, Notice};
use std::sync::Arc;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
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

/// The values of a manifest, as they stand in it.
#[derive(Debug)]
pub(super) enum Raw {
    /// A deployment under its root key.
    Deployment(Box<DeploymentFile>),
    /// A deployment without its root key.
    Fragment(Box<Deployment>),
    /// A schedule under its root key.
    Schedule(Box<ScheduleFile>),
    /// A schedule without its root key.
    Timeline(Box<Schedule>),
    /// A builder file.
    Builder(Box<BuilderFile>),
    /// The repo's settings.
    Settings(Box<SettingsFile>),
}

/// A manifest, or what is left of it without its mistakes.
#[derive(Debug)]
pub(super) struct Manifest {
    /// Its text.
    pub source: Arc<SourceFile>,
    /// Its tree, for places.
    pub tree: Arc<Node>,
    /// Its values.
    pub raw: Raw,
    /// Whether something with a mistake was left out of the values.
    pub partial: bool,
}

/// Everything that was read from a tree.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The manifests that could be read.
    pub manifests: Vec<Manifest>,
    /// The mistakes.
    pub mistakes: Vec<Diagnostic>,
    /// Remarks.
    pub notices: Vec<Notice>,
}

/// The folders whose YAML and KDL files are manifests by habit.
const FOLDERS: [&str; 3] = ["deployments", "schedules", "nodes"];
const ROOT_KEYS: [&str; 5] = ["deployment", "builder", "schedule", "nodes", "clusters"];

/// The names of the settings file; one of them may be there.
const SETTINGS: [&str; 3] = ["setpoint.kdl", "setpoint.yaml", "setpoint.yml"];
/// Bytes of manifests for which a thread is worth its start.
const ENOUGH: usize = 64 << 10;

/// Reads every manifest of a tree.
pub(super) fn read(tree: &FileTree) -> Files {
    let settings =
        SETTINGS.into_iter().find(|name| tree.get(name).is_some_and(|entry| entry.kind != FileKind::Submodule));
    let entries: Vec<(&str, Format, &FileEntry)> =
        tree.files.iter().filter_map(|(path, entry)| Some((path.as_str(), Format::of(path)?, entry))).collect();
    let size = |(_, _, entry): &(&str, Format, &FileEntry)| entry.content.as_ref().map_or(0, |content| content.len());
    let mut files = Files::default();
    for read in parallel::map(&entries, ENOUGH, size, |(path, format, entry)| Files::of(path, *format, entry, settings))
    {
        files.manifests.extend(read.manifests);
        files.mistakes.extend(read.mistakes);
        files.notices.extend(read.notices);
    }
    files
}

/// Whether a file could be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    Done,
    Unreadable,
}

/// YAML or KDL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Yaml,
    Kdl,
}

impl Format {
    fn of(path: &str) -> Option<Self> {
        match path.rsplit_once('.')?.1 {
            "yaml" | "yml" => Some(Self::Yaml),
            "kdl" => Some(Self::Kdl),
            _ => None,
        }
    }
}

fn is_compose(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    !name.ends_with(".kdl") && (stem == "compose" || stem == "docker-compose" || stem.starts_with("docker-compose-"))
}

/// The text of a file.
fn text<'a>(path: &str, entry: &'a FileEntry) -> Result<&'a str, Box<Diagnostic>> {
    if entry.kind == FileKind::Symlink {
        return Err(Box::new(
            Diagnostic::of_file("symlink", path, "this config file is a symbolic link")
                .help("commit the file itself: links are not followed, so that nothing outside the repo is read"),
        ));
    }
    let Some(content) = &entry.content else {
        let message = format!("this config file is too large ({} bytes)", entry.size);
        let help = format!("split it into files of at most {} bytes", FileTree::CONTENT_LIMIT);
        return Err(Box::new(Diagnostic::of_file("too-large", path, message).help(help)));
    };
    if entry.is_lfs_pointer() {
        return Err(Box::new(
            Diagnostic::of_file("lfs-pointer", path, "this is a Git LFS pointer; the file itself is not in this repo")
                .help("commit the file itself (`git lfs untrack`, then add it again)"),
        ));
    }
    std::str::from_utf8(content).map_err(|error| {
        let good = content.get(..error.valid_up_to()).unwrap_or_default();
        let source = SourceFile::new(path, &String::from_utf8_lossy(good));
        let at = source.location(good.len());
        let message = format!("this file is not UTF-8: byte {} cannot be read", error.valid_up_to());
        let mistake = Diagnostic::of_file("not-utf8", path, message).help("save the file as UTF-8");
        Box::new(Diagnostic { location: at, ..mistake })
    })
}

/// What the lines of a file outside the habitual folders make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    /// A line starts with a root key of ours.
    Manifest,
    /// A line starts with a key that other tools have too.
    Perhaps,
}

fn hint(text: &str) -> Option<Hint> {
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

impl Files {
    /// What is read from one file.
    fn of(path: &str, format: Format, entry: &FileEntry, settings: Option<&str>) -> Self {
        let mut files = Self::default();
        let name = path.rsplit('/').next().unwrap_or(path);
        if path.split('/').any(|part| part.starts_with('.')) || entry.kind == FileKind::Submodule {
            return files;
        }
        let folder = path.split_once('/').map_or("", |(folder, _)| folder);
        let habitual = folder.is_empty() || FOLDERS.contains(&folder);
        if is_compose(name) {
            if habitual {
                let text = "Compose file, ignored; list its services under `services` in a deployment file";
                files.notice(path, text);
            }
            return files;
        }
        let is_settings = SETTINGS.contains(&path);
        if is_settings && let Some(first) = settings.filter(|first| *first != path) {
            let message = format!("`{first}` contains settings as well");
            files.mistakes.push(Diagnostic::of_file("two-settings", path, message).help("keep one of the two files"));
            return files;
        }
        let text = match text(path, entry) {
            Ok(text) => text,
            Err(mistake) => {
                files.mistakes.extend(habitual.then_some(*mistake));
                return files;
            }
        };
        let hint = if habitual { Some(Hint::Manifest) } else { hint(text) };
        let Some(hint) = hint else { return files };
        let source = Arc::new(SourceFile::new(path, text));
        let read = files.manifest(&source, format, habitual, is_settings);
        if read == Read::Unreadable && hint == Hint::Perhaps {
            files.mistakes.clear();
        }
        files
    }

    fn notice(&mut self, path: &str, text: &str) {
        let at = Location { file: path.into(), line: 1, column: 1 };
        self.notices.push(Notice { at, text: text.to_owned() });
    }

    fn empty(&mut self, path: &str) {
        self.mistakes.push(
            Diagnostic::of_file("empty-file", path, "this file is empty")
                .help("write a root key (`deployment:` …), or remove the file"),
        );
    }

    fn manifest(&mut self, source: &Arc<SourceFile>, format: Format, habitual: bool, is_settings: bool) -> Read {
        let path = source.path();
        match format {
            Format::Yaml => match yaml::parse(source) {
                Err(mistakes) => {
                    self.mistakes.extend(mistakes);
                    return Read::Unreadable;
                }
                Ok(None) if habitual => self.empty(path),
                Ok(None) => {}
                Ok(Some(tree)) if habitual && matches!(tree.value, Value::Null) => self.empty(path),
                Ok(Some(tree)) => {
                    let keys: Vec<Key> = tree.entries().iter().map(|(key, _)| key.clone()).collect();
                    if keys.is_empty() && habitual {
                        let place = Place { source: Arc::clone(source), span: tree.span };
                        let message = format!("a config file is a map with a root key, but this is {}", tree.kind());
                        let help = "start with `deployment:`, `builder:` or `schedule:`";
                        self.mistakes
                            .push(Diagnostic::new("wrong-type", Certainty::Format, &place, message).help(help));
                        return Read::Done;
                    }
                    let class = self.classify(source, &keys, habitual, is_settings, Some(&tree));
                    if let Some(class) = class {
                        self.checked(source, class, |_, _, _| tree);
                    }
                }
            },
            Format::Kdl => match kdl::parse(source) {
                Err(mistakes) => {
                    self.mistakes.extend(mistakes);
                    return Read::Unreadable;
                }
                Ok(document) if document.is_empty() => {
                    if habitual {
                        self.empty(path);
                    }
                }
                Ok(document) => {
                    let keys = document.root_keys();
                    let rooted = keys.iter().any(|key| ROOT_KEYS.contains(&&*key.text));
                    let draft = (!rooted).then(|| {
                        document.tree(source, Kind::Deployment.shapes(), below_root(Kind::Deployment), &mut Vec::new())
                    });
                    let class = self.classify(source, &keys, habitual, is_settings, draft.as_deref());
                    if let Some(class) = class {
                        self.checked(source, class, |kind, shape, mistakes| {
                            document.tree(source, kind.shapes(), shape, mistakes)
                        });
                    }
                }
            },
        }
        Read::Done
    }

    /// What a file is; `None` when it is left alone or was reported.
    fn classify(
        &mut self,
        source: &Arc<SourceFile>,
        keys: &[Key],
        habitual: bool,
        is_settings: bool,
        tree: Option<&Node>,
    ) -> Option<Content> {
        let path = source.path();
        if is_settings {
            return Some(Content::Settings);
        }
        let has = |name: &str| keys.iter().any(|key| &*key.text == name);
        if has("deployment") {
            return Some(Content::Deployment);
        }
        if has("builder") {
            return Some(Content::Builder);
        }
        if has("schedule") {
            return Some(Content::Schedule);
        }
        if has("nodes") || has("clusters") {
            self.notice(path, "nodes and clusters are not yet supported: the file was checked for its syntax only");
            return None;
        }
        let Shape::Object(object) = Kind::Deployment.shapes().resolve(below_root(Kind::Deployment)) else {
            return None;
        };
        let known = |name: &str| object.property(name).is_some() || object.property(&format!("{name}s")).is_some();
        if tree.is_some_and(is_schedule) {
            return Some(Content::Timeline);
        }
        if habitual {
            if keys.iter().any(|key| known(&key.text)) {
                return Some(Content::Fragment);
            }
            let first = keys.first()?;
            let place = Place { source: Arc::clone(source), span: first.span };
            let candidates = ROOT_KEYS.into_iter().chain(object.properties.keys().map(String::as_str));
            let label = match nearest(&first.text, candidates) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "not a root key".to_owned(),
            };
            let help = format!("start the file with {}; other files belong in another folder", alternatives(ROOT_KEYS));
            let message = format!("unknown root key `{}`", first.text);
            let mistake = Diagnostic::new("unknown-root-key", Certainty::Format, &place, message);
            self.mistakes.push(mistake.label(label).help(help));
            return None;
        }
        // Elsewhere a file must look like a deployment beyond doubt: other tools have `services` and `tasks` too.
        let listed = |name: &str| tree.and_then(|tree| tree.get(name)).is_some_and(|(_, list)| looks_like_ours(list));
        (listed("services") || listed("tasks")).then_some(Content::Fragment)
    }

    /// Checks a file of known kind and keeps it when it has no mistake.
    fn checked(
        &mut self,
        source: &Arc<SourceFile>,
        content: Content,
        tree: impl FnOnce(Kind, &'static Shape, &mut Vec<Diagnostic>) -> Arc<Node>,
    ) {
        let (kind, shape) = match content {
            Content::Deployment => (Kind::Deployment, Kind::Deployment.shapes().root()),
            Content::Fragment => (Kind::Deployment, below_root(Kind::Deployment)),
            Content::Schedule => (Kind::Schedule, Kind::Schedule.shapes().root()),
            Content::Timeline => (Kind::Schedule, below_root(Kind::Schedule)),
            Content::Builder => (Kind::Builder, Kind::Builder.shapes().root()),
            Content::Settings => (Kind::Settings, Kind::Settings.shapes().root()),
        };
        let mut mistakes = Vec::new();
        let tree = tree(kind, shape, &mut mistakes);
        let Conformed { json, dropped } = conform(source, kind.shapes(), shape, &tree, &mut mistakes);
        if let Some(json) = json {
            let raw = match content {
                Content::Deployment => typed(json, source, tree.span).map(Raw::Deployment),
                Content::Fragment => typed(json, source, tree.span).map(Raw::Fragment),
                Content::Schedule => typed(json, source, tree.span).map(Raw::Schedule),
                Content::Timeline => typed(json, source, tree.span).map(Raw::Timeline),
                Content::Builder => typed(json, source, tree.span).map(Raw::Builder),
                Content::Settings => typed(json, source, tree.span).map(Raw::Settings),
            };
            match raw {
                Ok(raw) => {
                    let (source, tree) = (Arc::clone(source), prune(&tree, &dropped));
                    self.manifests.push(Manifest { source, tree, raw, partial: !mistakes.is_empty() });
                }
                Err(mistake) => mistakes.push(*mistake),
            }
        }
        self.mistakes.extend(mistakes);
    }
}

/// What stands under the root key of a kind of file.
fn below_root(kind: Kind) -> &'static Shape {
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
