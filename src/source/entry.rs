//! From listed files to a [`FileTree`]: which contents are kept in memory, in which order.

use super::SourceError;
use crate::model::{FileEntry, FileKind, FileTree};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A repository with more files and folders than this is not a config repo (a few bytes of git can unfold to billions of paths).
pub(super) const MAX_ENTRIES: usize = 100_000;
/// Deeper folders than this are refused for the same reason.
pub(super) const MAX_DEPTH: usize = 64;

/// A file whose content is not read yet.
#[derive(Debug)]
pub(super) struct Listed {
    pub path: String,
    pub oid: git2::Oid,
    pub kind: FileKind,
    pub size: u64,
}

/// Reads the contents that fit, manifests first.
pub(super) fn load(
    mut listed: Vec<Listed>,
    mut read: impl FnMut(&Listed) -> Result<Arc<[u8]>, SourceError>,
) -> Result<FileTree, SourceError> {
    listed.sort_by(|a, b| (!is_manifest(&a.path), &a.path).cmp(&(!is_manifest(&b.path), &b.path)));
    let mut total = 0_u64;
    let mut files = BTreeMap::new();
    for item in listed {
        let fits = item.kind != FileKind::Submodule
            && item.size <= FileTree::CONTENT_LIMIT
            && total.saturating_add(item.size) < FileTree::TOTAL_LIMIT;
        let content = if fits { Some(read(&item)?) } else { None };
        total = total.saturating_add(content.as_ref().map_or(0, |content| content.len() as u64));
        files.insert(item.path, FileEntry { oid: item.oid.to_string(), kind: item.kind, size: item.size, content });
    }
    Ok(FileTree { files })
}

/// Git's file mode as a kind; `None` is a folder or nothing git writes today.
pub(super) fn kind_of(mode: u32) -> Option<FileKind> {
    match mode & 0o170_000 {
        0o100_000 if mode & 0o111 != 0 => Some(FileKind::Executable),
        0o100_000 => Some(FileKind::Regular),
        0o120_000 => Some(FileKind::Symlink),
        0o160_000 => Some(FileKind::Submodule),
        _ => None,
    }
}

fn is_manifest(path: &str) -> bool {
    [".yaml", ".yml", ".kdl"].iter().any(|end| path.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(path: &str, size: u64) -> Listed {
        Listed { path: path.to_owned(), oid: git2::Oid::ZERO_SHA1, kind: FileKind::Regular, size }
    }

    #[test]
    fn manifests_come_first_and_limits_hold() {
        let big = FileTree::CONTENT_LIMIT;
        let mut files: Vec<Listed> = (0..100).map(|n| listed(&format!("a/{n:03}.bin"), big)).collect();
        files.push(listed("z.yaml", big));
        files.push(listed("a/huge.yaml", big + 1));
        let mut order = Vec::new();
        let tree = load(files, |item| {
            order.push(item.path.clone());
            Ok(vec![0; usize::try_from(item.size).unwrap()].into())
        })
        .unwrap();
        assert_eq!(order.first().unwrap(), "z.yaml");
        assert!(tree.get("a/huge.yaml").unwrap().content.is_none());
        let total: usize =
            tree.files.values().filter_map(|file| file.content.as_ref()).map(|content| content.len()).sum();
        assert!((total as u64) < FileTree::TOTAL_LIMIT && total as u64 >= FileTree::TOTAL_LIMIT - 2 * big);
        assert_eq!(tree.files.len(), 102);
    }

    #[test]
    fn modes_have_kinds() {
        assert_eq!(kind_of(0o100_644), Some(FileKind::Regular));
        assert_eq!(kind_of(0o100_664), Some(FileKind::Regular));
        assert_eq!(kind_of(0o100_755), Some(FileKind::Executable));
        assert_eq!(kind_of(0o120_000), Some(FileKind::Symlink));
        assert_eq!(kind_of(0o160_000), Some(FileKind::Submodule));
        assert_eq!(kind_of(0o040_000), None);
    }
}
