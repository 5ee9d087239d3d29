//! Opening the file: modes, migrations, and the id of the installation.

use super::StoreError;
use super::error::at;
use super::installation::{installation_file, kept_installation};
use crate::process::clock;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a statement waits while another process writes.
const BUSY: Duration = Duration::from_secs(5);
/// Time between two tries where SQLite does not wait by itself.
const RETRY: Duration = Duration::from_millis(10);

/// Steps from an empty file to the current schema; never change one that was released, append.
pub(super) const MIGRATIONS: &[&str] =
    &[include_str!("schema/001.sql"), include_str!("schema/002.sql"), include_str!("schema/003.sql")];

/// Opens or makes the database in `dir` and brings it to the current schema.
pub(super) fn open(dir: &Path) -> Result<(Connection, PathBuf), StoreError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| StoreError::Folder { path: dir.to_owned(), source })?;
    let path = dir.join("setpoint.db");
    // An empty file is a new one only where no installation was: else what it held was lost, and that is reported.
    if std::fs::metadata(&path).is_ok_and(|found| found.len() == 0)
        && let Some(installation) = kept_installation(&path)
    {
        return Err(StoreError::Emptied { path, installation });
    }
    // SQLite would make the file with the umask; its -wal and -shm files inherit the mode.
    let made = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    made.map_err(|source| StoreError::Folder { path: path.clone(), source })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(&path, flags).map_err(|source| StoreError::Open { path: path.clone(), source })?;
    patiently(|| prepare(&connection)).map_err(|source| at(&path, "open", source))?;
    migrate(&mut connection, &path, MIGRATIONS)?;
    keep_installation(&mut connection, &path)?;
    Ok((connection, path))
}

/// Tries again while another process has the file for itself: SQLite does not ask its busy handler when the journal mode is
/// set, which happens when two processes open a new database at the same time, or one opens it as the last one leaves.
fn patiently(work: impl Fn() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    let begin = clock::monotonic();
    loop {
        match work() {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begin.elapsed() < BUSY => {
                std::thread::sleep(RETRY);
            }
            result => return result,
        }
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // The daemon's memory is counted: half a MiB of pages is plenty for point queries.
    connection.pragma_update(None, "cache_size", -512)?;
    connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
    Ok(())
}

/// Applies what is missing, each migration in its own transaction together with its number.
pub(super) fn migrate(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), StoreError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    let read =
        |connection: &Connection| connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    loop {
        let found = read(connection).map_err(|source| at(path, "read its schema version", source))?;
        if found > known {
            return Err(StoreError::Newer { path: path.to_owned(), found, known });
        }
        let Some(next) = usize::try_from(found).ok().and_then(|index| migrations.get(index)) else { return Ok(()) };
        let step = |connection: &mut Connection| {
            let write = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // Another process may have been faster between the check and the lock.
            if read(&write)? == found {
                write.execute_batch(next)?;
                write.pragma_update(None, "user_version", found + 1)?;
            }
            write.commit()
        };
        step(connection).map_err(|source| at(path, "be brought to the current schema", source))?;
    }
}

/// The installation id out of the database.
pub(super) fn installation(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT value FROM meta WHERE key = 'installation'", [], |row| row.get(0))
}

/// Makes the installation id once. It is also kept in the file `installation` beside the database: without it a daemon
/// whose database was lost would not know its own containers any more.
fn keep_installation(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let beside = installation_file(path);
    let kept = kept_installation(path);
    let insert = |connection: &Connection| {
        let id = kept.clone().unwrap_or_else(random_id);
        connection.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('installation', ?1)", params![id])?;
        installation(connection)
    };
    let id = insert(connection).map_err(|source| at(path, "write its installation id", source))?;
    if kept.as_deref() == Some(id.as_str()) {
        return Ok(());
    }
    let write = || {
        let mut file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
        writeln!(file, "{id}")?;
        file.sync_all()
    };
    write().map_err(|source| StoreError::Installation { path: beside.clone(), source })
}

/// Sixteen hexadecimal digits. Not a secret: it only has to differ from that of other installations.
fn random_id() -> String {
    format!("{:016x}", fastrand::u64(..))
}
