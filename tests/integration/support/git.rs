//! Repositories made with git's own program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A temporary folder with a work tree to commit in.
pub(crate) struct Repo {
    pub(crate) folder: TempDir,
}

impl Repo {
    /// An empty repository on branch `main`.
    pub(crate) fn empty() -> Self {
        let repo = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(repo.work()).unwrap();
        repo.git(&["init", "-q", "-b", "main"]);
        repo
    }

    /// A repository with one commit: a deployment, an executable, a link and a file in a folder.
    pub(crate) fn with_files() -> Self {
        let repo = Self::empty();
        repo.write("deployments/shop.yaml", "deployment: {name: shop}\n");
        repo.write("images/api/Dockerfile", "FROM scratch\n");
        repo.write("images/api/run.sh", "#!/bin/sh\n");
        std::fs::set_permissions(
            repo.work().join("images/api/run.sh"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        std::os::unix::fs::symlink("run.sh", repo.work().join("images/api/start")).unwrap();
        repo.commit("first");
        repo
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The path of a bare clone beside the work tree, kept current by [`Repo::push`].
    pub(crate) fn bare(&self) -> PathBuf {
        let bare = self.folder.path().join("infra.git");
        if !bare.exists() {
            run(Command::new("git").args(["clone", "-q", "--bare"]).arg(self.work()).arg(&bare));
            run(Command::new("git").arg("-C").arg(&bare).args(["config", "receive.denyDeleteCurrent", "ignore"]));
            self.git(&["remote", "add", "origin", bare.to_str().unwrap()]);
        }
        bare
    }

    /// Makes the bare clone equal to the work tree's branches and tags, by force.
    pub(crate) fn push(&self) {
        self.git(&[
            "push",
            "-q",
            "--force",
            "--prune",
            "origin",
            "refs/heads/*:refs/heads/*",
            "refs/tags/*:refs/tags/*",
        ]);
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let file = self.work().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    /// Commits everything and returns the id.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run(Command::new("git").arg("-C").arg(self.work()).args(arguments))
    }
}

/// Runs a program to its end with a neutral git identity and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "Ada Admin")
        .env("GIT_AUTHOR_EMAIL", "ada@example.org")
        .env("GIT_COMMITTER_NAME", "Ada Admin")
        .env("GIT_COMMITTER_EMAIL", "ada@example.org")
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// All files below a folder, for a search through their bytes.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}
