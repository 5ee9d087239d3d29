//! Plans as they were shown to somebody.

use super::{Store, StoreError, time_text};
use crate::model::Timestamp;
use rusqlite::{OptionalExtension, params};

/// Plans that are kept; the oldest go first.
const KEPT: i64 = 200;

impl Store {
    /// Remembers the text of a plan that was shown.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn save_plan(&self, id: &str, text: &str, at: Timestamp) -> Result<(), StoreError> {
        self.with("remember a plan", |db| {
            let write = db.transaction()?;
            write.execute(
                "INSERT INTO plans (id, at, text) VALUES (?1, ?2, ?3)
                 ON CONFLICT (id) DO UPDATE SET at = ?2, text = ?3",
                params![id, time_text(at), text],
            )?;
            write.execute(
                "DELETE FROM plans WHERE id NOT IN (SELECT id FROM plans ORDER BY at DESC LIMIT ?1)",
                params![KEPT],
            )?;
            write.commit()
        })
    }

    /// The text of a plan that was shown.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn plan(&self, id: &str) -> Result<Option<String>, StoreError> {
        self.with("look a plan up", |db| {
            db.query_row("SELECT text FROM plans WHERE id = ?1", params![id], |row| row.get(0)).optional()
        })
    }
}
