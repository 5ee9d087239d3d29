//! Paths that a file gives into the config repo: they must exist, stay inside and lead to plain files.

use super::Resolver;
use crate::manifest::cursor::Cursor;
use crate::manifest::suggest::nearest;
use crate::model::{FileEntry, FileKind, FileTree};

/// Mistakes for which suggestions are looked up: each compares all candidates, and nobody reads more of them.
pub(in crate::manifest) const SUGGESTED: usize = 100;

impl<'t> Resolver<'t> {
    /// Normalises a path; `None` (and a mistake) when it leaves the repo. The root is `""`.
    pub(crate) fn inside(&mut self, text: &str, at: Cursor<'_>) -> Option<String> {
        if text.starts_with('/') {
            let help = format!("write it from the root of the repo: `{}`", text.trim_start_matches('/'));
            self.mistake("path-outside", at, format!("`{text}` is an absolute path, not one in the repo"), help);
            return None;
        }
        let mut parts: Vec<&str> = Vec::new();
        for part in text.split('/').filter(|part| !matches!(*part, "" | ".")) {
            match part {
                ".." if parts.pop().is_none() => {
                    let help =
                        "paths count from the root of the config folder and cannot leave it; commit the file inside";
                    self.mistake("path-outside", at, format!("`{text}` leads out of the repo"), help);
                    return None;
                }
                ".." => {}
                part => parts.push(part),
            }
        }
        Some(parts.join("/"))
    }

    /// A file of the repo with its content. `what` names its use in messages.
    pub(crate) fn file(&mut self, text: &str, what: &str, at: Cursor<'_>) -> Option<(String, &'t FileEntry)> {
        let path = self.inside(text, at)?;
        let tree: &'t FileTree = self.tree;
        let Some(entry) = tree.get(&path) else {
            self.missing(&path, what, at);
            return None;
        };
        match entry.kind {
            FileKind::Regular | FileKind::Executable => {}
            FileKind::Symlink => {
                let message = format!("the {what} `{path}` is a symbolic link");
                self.mistake("symlink", at, message, "commit the file itself: links are not followed");
                return None;
            }
            FileKind::Submodule => {
                let message = format!("the {what} `{path}` is a submodule, whose files are not read");
                self.mistake("submodule", at, message, "commit the file into this repo");
                return None;
            }
        }
        if entry.content.is_none() {
            let message = format!("the {what} `{path}` is too large ({} bytes)", entry.size);
            let help = format!("keep it below {} bytes, or mount it from a volume", FileTree::CONTENT_LIMIT);
            self.mistake("too-large", at, message, help);
            return None;
        }
        if entry.is_lfs_pointer() {
            let message = format!("the {what} `{path}` is a Git LFS pointer; the file itself is not in this repo");
            self.mistake("lfs-pointer", at, message, "commit the file itself (`git lfs untrack`, then add it again)");
            return None;
        }
        Some((path, entry))
    }

    /// Reports a path that is not there: why, and what is near.
    pub(crate) fn missing(&mut self, path: &str, what: &str, at: Cursor<'_>) {
        let ancestors = path.match_indices('/').map(|(end, _)| &path[..end]);
        let link = ancestors.into_iter().find(|folder| self.tree.get(folder).is_some());
        if let Some(link) = link {
            let message = format!("the {what} `{path}` is inside `{link}`, which is a link or a submodule");
            self.mistake("symlink", at, message, "links and submodules are not followed: commit the folder itself");
            return;
        }
        let message = format!("the {what} `{path}` does not exist in the repo");
        if !path.is_empty() && self.tree.below(path).next().is_some() {
            self.mistake("not-a-file", at, format!("the {what} `{path}` is a folder"), "name a file in it");
            return;
        }
        // A revision full of mistakes has one cause, and each suggestion looks at every file.
        let candidates = self.tree.files.keys().map(String::as_str).take(if self.mistakes.len() < SUGGESTED {
            usize::MAX
        } else {
            0
        });
        let help = match nearest(path, candidates) {
            Some(near) => format!("did you mean `{near}`? Paths count from the root of the config folder"),
            None => "commit it, or correct the path; paths count from the root of the config folder".to_owned(),
        };
        self.mistake("missing-file", at, message, help);
    }
}
