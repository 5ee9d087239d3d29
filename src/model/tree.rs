//! The files of one revision, read from git objects without a checkout.

use std::collections::BTreeMap;
use std::sync::Arc;

/// What git stores at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A file that is not executable.
    Regular,
    /// A file with the executable bit.
    Executable,
    /// A symbolic link; its content is the target.
    Symlink,
    /// A commit of another repository.
    Submodule,
}

/// One path of a revision.
#[derive(Clone, Debug)]
pub struct FileEntry {
    /// Git's object id, hexadecimal: equal ids mean equal content.
    pub oid: String,
    /// What it is.
    pub kind: FileKind,
    /// Size in bytes.
    pub size: u64,
    /// The bytes, unless the file is larger than [`FileTree::CONTENT_LIMIT`] or the tree as a whole larger than
    /// [`FileTree::TOTAL_LIMIT`].
    pub content: Option<Arc<[u8]>>,
}

impl FileEntry {
    /// Whether this is the pointer that Git LFS leaves in the place of a file; the file itself is not in the repository.
    pub fn is_lfs_pointer(&self) -> bool {
        let begins = |content: &[u8]| content.starts_with(b"version https://git-lfs.github.com/spec/");
        self.kind != FileKind::Symlink && self.size < 1024 && self.content.as_deref().is_some_and(begins)
    }
}

/// The files of one revision by path (with `/`, relative to the config folder), sorted.
#[derive(Clone, Debug, Default)]
pub struct FileTree {
    /// Path to entry.
    pub files: BTreeMap<String, FileEntry>,
}

impl FileTree {
    /// A file above this many bytes is listed without its content; no manifest or mounted file may be larger.
    pub const CONTENT_LIMIT: u64 = 1 << 20;
    /// All contents together stay below this many bytes; manifests are read first.
    pub const TOTAL_LIMIT: u64 = 64 << 20;

    /// The entry at `path`.
    pub fn get(&self, path: &str) -> Option<&FileEntry> {
        self.files.get(path)
    }

    /// The entries below the folder `path` (`""` or `"."` is the root), with their full paths, sorted.
    pub fn below<'a>(&'a self, path: &str) -> impl Iterator<Item = (&'a str, &'a FileEntry)> {
        let folder = path.trim_start_matches("./").trim_end_matches('/');
        let prefix = if folder.is_empty() || folder == "." { String::new() } else { format!("{folder}/") };
        self.files
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, entry)| (path.as_str(), entry))
    }
}
