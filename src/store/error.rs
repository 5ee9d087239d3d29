//! What can go wrong with the file, and what to do about it.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its folder, or a file in it, cannot be made.
    #[error("cannot make or write {}; choose another state folder with `state-dir` or --state-dir", .path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It cannot be opened.
    #[error("cannot open {}; its folder must be writable for this user", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It is damaged. It is never made anew by itself.
    #[error(
        "the store {} is damaged. Move it and its -wal and -shm files aside and start again: containers keep running and \
         are recognised by installation id {}; lost are the event history, runs, \
         quarantine and suspended deployments",
        .path.display(), .installation.as_deref().unwrap_or("(unreadable: see the label dev.setpoint.owner)")
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The installation id, as kept in the file beside it.
        installation: Option<String>,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// It lost all that it held.
    #[error(
        "the store {} is empty, although installation {installation} used it: something emptied it. Put a backup back, or remove it \
         to start with a new one: containers keep running and are recognised; lost are the event history, runs, quarantine and \
         suspended deployments",
        .path.display()
    )]
    Emptied {
        /// The file.
        path: PathBuf,
        /// The installation id, as kept in the file beside it.
        installation: String,
    },
    /// A newer version of this program wrote it.
    #[error("{} was written by a newer version (schema {found}, this one knows {known}); use that version", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// Another process wrote for too long.
    #[error("the store {} is in use by another process; could not {what}", .path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// There is no space for what is to be written.
    #[error(
        "the file system of {} is full: could not {what}. Free space there: until then nothing is changed on this host, and what \
         runs goes on",
        .path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A value means nothing to this version. It is never taken for another one.
    #[error(
        "the store {} holds {source}, which this version does not know; use the version that wrote it, or mend the value",
        .path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Table, column and value.
        source: UnknownValue,
    },
    /// Another operation failed.
    #[error("the store {} could not {what}", .path.display())]
    Query {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Why.
        source: rusqlite::Error,
    },
    /// An environment of that name belongs to another repo.
    #[error(
        "environment `{environment}` of this host was last applied from {other}, not from {repo}{}; applying would treat the \
         containers of one as removed by the other. Give this repo its own name: write `environment \"<name>\"` into its \
         setpoint.kdl. If it takes the place of the other, because that moved, say so: `setpoint apply --adopt`, or \
         `repo … adopt=#true` in daemon.kdl",
        if *.same_history { ", which has the same first commit (a fork, or another address of the same repo)" } else { "" }
    )]
    EnvironmentTaken {
        /// Name of the environment.
        environment: String,
        /// The repo that wants it.
        repo: String,
        /// The repo that has it.
        other: String,
        /// Whether both go back to one commit.
        same_history: bool,
    },
    /// What was written may not be on the disk.
    #[error("{} cannot be brought onto the disk", .path.display())]
    Flush {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The id of the installation cannot be kept beside the database.
    #[error("cannot read or write {}", .path.display())]
    Installation {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Whether there is no space for what is to be written.
    pub fn is_full(&self) -> bool {
        let full = |source: &std::io::Error| matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        match self {
            Self::Full { .. } => true,
            Self::Folder { source, .. } | Self::Flush { source, .. } | Self::Installation { source, .. } => {
                full(source)
            }
            _ => false,
        }
    }

    /// Whether the file system takes no writes at all.
    pub fn is_read_only(&self) -> bool {
        match self {
            Self::Open { source, .. } => source.sqlite_error_code() == Some(ErrorCode::ReadOnly),
            Self::Folder { source, .. } | Self::Flush { source, .. } | Self::Installation { source, .. } => {
                source.kind() == ErrorKind::ReadOnlyFilesystem
            }
            _ => false,
        }
    }
}

/// A value that means nothing to this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` in {table}.{column}")]
pub struct UnknownValue {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: String,
    /// What stands there.
    pub value: String,
}

/// Sorts an error of SQLite by what the user can do about it.
pub(super) fn at(path: &Path, what: &'static str, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    if let rusqlite::Error::FromSqlConversionFailure(.., inner) = &source
        && let Some(unknown) = inner.downcast_ref::<UnknownValue>()
    {
        return StoreError::Unknown { path, source: unknown.clone() };
    }
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            let installation = super::installation::kept_installation(&path);
            StoreError::Damaged { path, installation, source }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path, what, source },
        Some(ErrorCode::DiskFull) => StoreError::Full { path, what, source },
        // The only file that SQLite makes larger before it is written is the index of its log.
        Some(ErrorCode::SystemIoFailure) if extended(&source) == Some(SQLITE_IOERR_SHMSIZE) => {
            StoreError::Full { path, what, source }
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            StoreError::Open { path, source }
        }
        _ => StoreError::Query { path, what, source },
    }
}

/// The code of SQLite that says most.
fn extended(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::ffi::{Error, SQLITE_FULL, SQLITE_IOERR_READ, SQLITE_READONLY};

    #[test]
    fn a_full_and_a_read_only_file_system_are_told_apart_from_the_rest() {
        let told =
            |code| at(Path::new("/s/setpoint.db"), "record", rusqlite::Error::SqliteFailure(Error::new(code), None));
        for code in [SQLITE_FULL, SQLITE_IOERR_SHMSIZE] {
            let full = told(code);
            assert!(full.is_full() && !full.is_read_only(), "{full:?}");
            assert!(full.to_string().contains("the file system of /s/setpoint.db is full"), "{full}");
            assert!(full.to_string().contains("Free space there"), "{full}");
        }
        assert!(told(SQLITE_READONLY).is_read_only() && !told(SQLITE_READONLY).is_full());
        let other = told(SQLITE_IOERR_READ);
        assert!(!other.is_full() && !other.is_read_only(), "{other:?}");
        let of_kind = |kind: ErrorKind| StoreError::Flush { path: "/s".into(), source: kind.into() };
        assert!(of_kind(ErrorKind::StorageFull).is_full() && of_kind(ErrorKind::QuotaExceeded).is_full());
        assert!(of_kind(ErrorKind::ReadOnlyFilesystem).is_read_only());
        assert!(
            !of_kind(ErrorKind::PermissionDenied).is_full() && !of_kind(ErrorKind::PermissionDenied).is_read_only()
        );
    }
}
