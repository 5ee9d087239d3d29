//! Which files are manifests, what kind each is, and its checked content.

use super::classify::{Class, Content, Format, Hint, ROOT_KEYS, below_root, classify, hint, is_compose};
use super::conform::{Conformed, conform, prune};
use super::raw::builder::BuilderFile;
use super::raw::deployment::{Deployment, DeploymentFile};
use super::raw::schedule::{Schedule, ScheduleFile};
use super::raw::settings::SettingsFile;
use super::raw::typed;
use super::report::{Certainty, Diagnostic};
use super::schema::Kind;
use super::shape::Shape;
use super::text::{Place, SourceFile};
use super::tree::{Key, Node, Value};
use super::{kdl, parallel, yaml};
use crate::model::{FileEntry, FileKind, FileTree, Location, Notice};
use std::sync::Arc;

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
                    let content = self.content(source, &keys, habitual, is_settings, Some(&tree));
                    if let Some(content) = content {
                        self.checked(source, content, |_, _, _| tree);
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
                    let content = self.content(source, &keys, habitual, is_settings, draft.as_deref());
                    if let Some(content) = content {
                        self.checked(source, content, |kind, shape, mistakes| {
                            document.tree(source, kind.shapes(), shape, mistakes)
                        });
                    }
                }
            },
        }
        Read::Done
    }

    /// What a file is; `None` when it is left alone or was reported.
    fn content(
        &mut self,
        source: &Arc<SourceFile>,
        keys: &[Key],
        habitual: bool,
        is_settings: bool,
        tree: Option<&Node>,
    ) -> Option<Content> {
        if is_settings {
            return Some(Content::Settings);
        }
        match classify(source, keys, habitual, tree) {
            Class::Manifest(content) => Some(content),
            Class::Unsupported => {
                let text = "nodes and clusters are not yet supported: the file was checked for its syntax only";
                self.notice(source.path(), text);
                None
            }
            Class::Foreign => None,
            Class::Mistake(mistake) => {
                self.mistakes.push(mistake);
                None
            }
        }
    }

    /// Checks a file of known kind and keeps it when it has no mistake.
    fn checked(
        &mut self,
        source: &Arc<SourceFile>,
        content: Content,
        tree: impl FnOnce(Kind, &'static Shape, &mut Vec<Diagnostic>) -> Arc<Node>,
    ) {
        let (kind, shape) = content.schema();
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
