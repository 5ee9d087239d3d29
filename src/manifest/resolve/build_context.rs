//! Build contexts: which files a build sees, and the digest that says whether it must run again.

use super::Resolver;
use crate::manifest::cursor::Cursor;
use crate::model::{ContextFile, FileEntry, FileKind, ImageBuild};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A build as the files ask for it.
pub(crate) struct BuildRequest<'a> {
    /// Repository part of the image's name.
    pub repository: String,
    /// Tag that follows the newest build.
    pub tag: String,
    /// Folder in the repo, as written.
    pub context: String,
    /// The Dockerfile as written; absent is `Dockerfile` in the context.
    pub dockerfile: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Stage to stop at.
    pub target: Option<String>,
    /// Ignore the engine's build cache.
    pub no_cache: bool,
    /// Where the context is written.
    pub context_at: Cursor<'a>,
    /// Where the Dockerfile is written.
    pub dockerfile_at: Cursor<'a>,
}

impl Resolver<'_> {
    /// Finds the files of a build; `None` when something is missing (and reported).
    pub(crate) fn build(&mut self, request: BuildRequest<'_>) -> Option<ImageBuild> {
        let context = self.inside(&request.context, request.context_at)?;
        if self.tree.below(&context).next().is_none() {
            match self.tree.get(&context).map(|entry| entry.kind) {
                Some(FileKind::Symlink) => {
                    let message = format!("the build context `{context}` is a symbolic link");
                    self.mistake(
                        "symlink",
                        request.context_at,
                        message,
                        "name the folder itself: links are not followed",
                    );
                }
                Some(_) => {
                    let message = format!("the build context `{context}` is not a folder");
                    self.mistake(
                        "not-a-folder",
                        request.context_at,
                        message,
                        "name the folder that holds the Dockerfile",
                    );
                }
                None => {
                    let message = format!("the build context `{context}` does not exist in the repo");
                    let help = "commit the folder, or correct the path; paths count from the root of the config folder";
                    self.mistake("missing-context", request.context_at, message, help);
                }
            }
            return None;
        }
        let dockerfile = self.dockerfile(&context, &request)?;
        let files = self.context_files(&context, &dockerfile);
        self.absent_content(&context, &files, request.context_at);
        if context.is_empty() && self.tree.get(".dockerignore").is_none() {
            let text = "the context of this build is the whole repo, so every commit builds it again; exclude files in `.dockerignore`, or use a separate folder";
            self.notice(request.context_at, text);
        }
        let mut build = ImageBuild {
            repository: request.repository,
            tag: request.tag,
            context,
            dockerfile,
            args: request.args,
            target: request.target,
            no_cache: request.no_cache,
            digest: String::new(),
            files: files.into(),
        };
        build.digest = digest(&build);
        Some(build)
    }

    /// The path of the Dockerfile in the repo: within the context as Docker users write it, else from the root as the
    /// existing deployment files do.
    fn dockerfile(&mut self, context: &str, request: &BuildRequest<'_>) -> Option<String> {
        let text = request.dockerfile.as_deref().unwrap_or("Dockerfile");
        let within = if context.is_empty() { text.to_owned() } else { format!("{context}/{text}") };
        let within = self.inside(&within, request.dockerfile_at)?;
        if self.tree.get(&within).is_none() && self.tree.get(text).is_some() {
            return self.file(text, "Dockerfile", request.dockerfile_at).map(|(path, _)| path);
        }
        self.file(&within, "Dockerfile", request.dockerfile_at).map(|(path, _)| path)
    }

    /// Says which files of a context the build does not get, because their content is not in the repo.
    fn absent_content(&mut self, context: &str, files: &[ContextFile], at: Cursor<'_>) {
        let full = |path: &str| if context.is_empty() { path.to_owned() } else { format!("{context}/{path}") };
        let pointers: Vec<&str> = files
            .iter()
            .filter(|file| self.tree.get(&full(&file.path)).is_some_and(FileEntry::is_lfs_pointer))
            .map(|file| file.path.as_str())
            .collect();
        let modules: Vec<String> = self
            .tree
            .below(context)
            .filter(|(_, entry)| entry.kind == FileKind::Submodule)
            .map(|(path, _)| path.to_owned())
            .collect();
        if let Some(first) = pointers.first() {
            let text = format!(
                "{} of the files of this build are Git LFS pointers (`{first}`): their content is not in this repo",
                pointers.len()
            );
            self.notice(at, text);
        }
        if let Some(first) = modules.first() {
            let text = format!("the submodule `{first}` is missing in this build: its files are not in this repo");
            self.notice(at, text);
        }
    }

    fn context_files(&self, context: &str, dockerfile: &str) -> Vec<ContextFile> {
        let prefix = if context.is_empty() { String::new() } else { format!("{context}/") };
        let text = |path: &str| {
            let content = self.tree.get(path)?.content.as_ref()?;
            std::str::from_utf8(content).ok()
        };
        let own = format!("{dockerfile}.dockerignore");
        let rules = Rules::new(text(&own).or_else(|| text(&format!("{prefix}.dockerignore"))).unwrap_or_default());
        let mut files: Vec<ContextFile> = self
            .tree
            .below(context)
            .filter(|(path, entry)| {
                entry.kind != FileKind::Submodule && (*path == dockerfile || !rules.ignores(&path[prefix.len()..]))
            })
            .map(|(path, entry)| ContextFile {
                path: path[prefix.len()..].to_owned(),
                oid: entry.oid.clone(),
                kind: entry.kind,
                size: entry.size,
            })
            .collect();
        if !dockerfile.starts_with(&prefix)
            && let Some(entry) = self.tree.get(dockerfile)
        {
            files.push(ContextFile {
                path: dockerfile.to_owned(),
                oid: entry.oid.clone(),
                kind: entry.kind,
                size: entry.size,
            });
            files.sort_by(|a, b| a.path.cmp(&b.path));
        }
        files
    }
}

/// The rules of a `.dockerignore`, in order: the last one that matches a path or a folder above it decides.
struct Rules(Vec<(bool, Gitignore)>);

impl Rules {
    /// Reads the rules. Docker anchors every pattern at the root of the context, which a leading `/` says to the matcher
    /// of gitignore patterns; one matcher for each rule keeps Docker's order, where git would look at folders first.
    fn new(text: &str) -> Self {
        let rules = text.trim_start_matches('\u{feff}').lines().filter_map(|line| {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                return None;
            }
            let (keep, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern.trim()),
                None => (false, line),
            };
            let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
            if parts.is_empty() {
                return None;
            }
            let mut builder = GitignoreBuilder::new("");
            builder.add_line(None, &format!("/{}", parts.join("/"))).ok()?;
            Some((keep, builder.build().ok()?))
        });
        Self(rules.collect())
    }

    fn ignores(&self, path: &str) -> bool {
        let matching = self.0.iter().rev().find(|(_, rule)| rule.matched_path_or_any_parents(path, false).is_ignore());
        matching.is_some_and(|(keep, _)| !keep)
    }
}

/// A digest over everything that a build depends on; each part is preceded by its length, so that no two lists of parts
/// give the same bytes.
fn digest(build: &ImageBuild) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    // The place of the Dockerfile in the context, not in the repo: moving a context changes nothing.
    let within = build.dockerfile.strip_prefix(&format!("{}/", build.context)).unwrap_or(&build.dockerfile);
    part(within);
    part(build.target.as_deref().unwrap_or_default());
    part(if build.no_cache { "no-cache" } else { "" });
    for (name, value) in &build.args {
        part("arg");
        part(name);
        part(value);
    }
    for file in build.files.iter() {
        part(match file.kind {
            FileKind::Regular => "file",
            FileKind::Executable => "executable",
            FileKind::Symlink | FileKind::Submodule => "link",
        });
        part(&file.path);
        part(&file.oid);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::Rules;

    #[test]
    fn dockerignore_follows_docker() {
        let rules = Rules::new("# comment\n*.log\n/docs\n!docs/README.md\n**/tmp\ntarget/\n./secret.txt\na/*/c");
        for ignored in ["x.log", "docs/a", "docs/a/b", "tmp", "a/b/tmp/c", "target/x", "secret.txt", "a/b/c"] {
            assert!(rules.ignores(ignored), "{ignored}");
        }
        for kept in ["logs/x.log", "docs/README.md", "sub/docs/a", "sub/secret.txt", "a/b/d", "tmpx"] {
            assert!(!rules.ignores(kept), "{kept}");
        }
    }

    #[test]
    fn the_last_rule_decides() {
        assert!(Rules::new("!docs/a\ndocs").ignores("docs/a/x"));
        assert!(!Rules::new("docs\n!docs/a").ignores("docs/a/x"));
        assert!(!Rules::new("*\n!src").ignores("src/main.rs"));
        assert!(Rules::new("*\n!src").ignores("other/main.rs"));
    }
}
