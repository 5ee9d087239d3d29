//! The state folder of a daemon: held by one at a time, and checked while it runs. A daemon whose folder was removed would
//! go on with files that no other process sees, and its lock would not exclude a second daemon.

use super::lock::LockFile;
use rustix::fd::OwnedFd;
use rustix::fs::{Access, Mode, OFlags, access, fstat, open};
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A held state folder; given back when it is dropped, and by the kernel when the process dies.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    /// What must stay what it is: the folder and files in it. They are held open, so that no other file can get the inode of
    /// one that was removed; only as paths, because closing a file of SQLite would give its locks back.
    known: Vec<(PathBuf, OwnedFd)>,
    _lock: LockFile,
}

/// The state folder cannot be held, or is no longer the one that was.
#[derive(Debug, thiserror::Error)]
pub enum StateFolderError {
    /// It cannot be made or opened.
    #[error("cannot use the state folder {}; choose another one with `state-dir` or --state-dir", .path.display())]
    Open {
        /// The folder, or the file in it.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another daemon holds it.
    #[error(
        "another daemon works with the state folder {}: {holder}. Two would undo each other's work; stop that one, or give this \
         one another `state-dir`",
        .path.display()
    )]
    Held {
        /// The folder.
        path: PathBuf,
        /// The other daemon's process id, as it wrote it down.
        holder: String,
    },
    /// It was removed or replaced while it was held.
    #[error(
        "{} was removed or replaced while the daemon ran; nothing that it does could be remembered any more",
        .path.display()
    )]
    Lost {
        /// What is no longer there.
        path: PathBuf,
    },
    /// It became unwritable.
    #[error("the state folder {} can no longer be written; nothing that the daemon does could be remembered", .path.display())]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StateFolder {
    /// Takes the folder, making it (0700) when it is missing.
    ///
    /// # Errors
    /// When it cannot be made or written, or another daemon holds it.
    pub fn hold(path: &Path) -> Result<Self, StateFolderError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| StateFolderError::Open { path: path.to_owned(), source })?;
        let lock_path = path.join("daemon.lock");
        let failed = |source| StateFolderError::Open { path: lock_path.clone(), source };
        let mut lock = LockFile::open(&lock_path).map_err(failed)?;
        if !lock.try_lock().map_err(failed)? {
            let holder = lock.holder().map_or_else(|| "an unnamed process".to_owned(), |pid| format!("process {pid}"));
            return Err(StateFolderError::Held { path: path.to_owned(), holder });
        }
        lock.set_holder(&std::process::id().to_string()).map_err(failed)?;
        let mut folder = Self { path: path.to_owned(), known: Vec::new(), _lock: lock };
        folder.watch(path)?;
        folder.watch(&lock_path)?;
        Ok(folder)
    }

    /// Adds a file in it to those that are checked.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn watch(&mut self, file: &Path) -> Result<(), StateFolderError> {
        let failed = |error: rustix::io::Errno| StateFolderError::Open { path: file.to_owned(), source: error.into() };
        let held = open(file, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        self.known.push((file.to_owned(), held));
        Ok(())
    }

    /// Checks that the folder and its files still exist, were not replaced, and can be written.
    ///
    /// # Errors
    /// See [`StateFolderError`].
    pub fn check(&self) -> Result<(), StateFolderError> {
        for (path, known) in &self.known {
            let known = fstat(known)
                .map_err(|error| StateFolderError::Unwritable { path: path.clone(), source: error.into() })?;
            match std::fs::metadata(path) {
                Ok(found) if (found.dev(), found.ino()) == (known.st_dev, known.st_ino) => {}
                Ok(_) => return Err(StateFolderError::Lost { path: path.clone() }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(StateFolderError::Lost { path: path.clone() });
                }
                Err(source) => return Err(StateFolderError::Unwritable { path: path.clone(), source }),
            }
        }
        access(&self.path, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| StateFolderError::Unwritable { path: self.path.clone(), source: error.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_daemon_at_a_time_holds_a_folder() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("state");
        let first = StateFolder::hold(&path).unwrap();
        let error = StateFolder::hold(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())) && error.contains("state-dir"), "{error}");
        drop(first);
        StateFolder::hold(&path).unwrap();
    }

    #[test]
    fn a_folder_that_is_lost_is_noticed() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("state");
        let hold = || {
            let mut folder = StateFolder::hold(&path).unwrap();
            std::fs::write(path.join("db"), "").unwrap();
            folder.watch(&path.join("db")).unwrap();
            folder.check().unwrap();
            folder
        };
        let folder = hold();
        std::fs::remove_file(path.join("db")).unwrap();
        assert!(matches!(folder.check(), Err(StateFolderError::Lost { path: lost }) if lost == path.join("db")));
        std::fs::write(path.join("other"), "").unwrap();
        std::fs::rename(path.join("other"), path.join("db")).unwrap();
        assert!(matches!(folder.check(), Err(StateFolderError::Lost { .. })), "another file of that name is not it");
        drop(folder);

        let folder = hold();
        std::fs::remove_dir_all(&path).unwrap();
        assert!(matches!(folder.check(), Err(StateFolderError::Lost { .. })));
        // The lock went with the folder: another daemon gets a new one, and the first one notices that it is another.
        let second = StateFolder::hold(&path).unwrap();
        std::fs::write(path.join("db"), "").unwrap();
        assert!(matches!(folder.check(), Err(StateFolderError::Lost { path: lost }) if lost == path));
        drop(second);
    }
}
