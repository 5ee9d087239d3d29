//! Values as they stand in columns: closed sets as the words that they are in JSON, numbers within SQLite's.

use super::error::UnknownValue;
use crate::model::{CommitId, NodeName, RunId, Timestamp};
use crate::plan::PlanId;
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Ids stand in columns as their texts.
macro_rules! text_columns {
    ($($id:ty),*) => {$(
        impl ToSql for $id {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl FromSql for $id {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str().map(Self::new)
            }
        }
    )*};
}
text_columns!(CommitId, NodeName, PlanId, RunId);

/// The word of a variant without content.
pub(super) fn word<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    match to_json(value)? {
        Value::String(word) => Ok(word),
        other => Err(rusqlite::Error::ToSqlConversionFailure(format!("`{other}` is not a word").into())),
    }
}

/// The variant of a word in a column of `table`.
///
/// # Errors
/// [`UnknownValue`], when there is no such variant: the harmless one would hide that.
pub(super) fn known<T: DeserializeOwned>(row: &Row<'_>, column: usize, table: &'static str) -> rusqlite::Result<T> {
    let value: String = row.get(column)?;
    serde_json::from_value(Value::String(value)).map_err(|_| unknown(row, column, table))
}

/// The same, or `NULL`.
pub(super) fn known_or_null<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
    table: &'static str,
) -> rusqlite::Result<Option<T>> {
    row.get::<_, Option<String>>(column)?.map(|_| known(row, column, table)).transpose()
}

/// The value of a column means nothing to this version.
pub(super) fn unknown(row: &Row<'_>, column: usize, table: &'static str) -> rusqlite::Error {
    let name = row.as_ref().column_name(column).unwrap_or_default().to_owned();
    let value = row.get::<_, Option<String>>(column).ok().flatten().unwrap_or_else(|| "NULL".to_owned());
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(UnknownValue { table, column: name, value }))
}

/// A value as JSON.
pub(super) fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<Value> {
    serde_json::to_value(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// A value out of the text of JSON; `column` is named in the error.
pub(super) fn from_json_text<T: DeserializeOwned>(text: &str, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

/// A number that is not negative. SQLite's integers have a sign; nanoseconds beyond them are three centuries.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A column with a number that is not negative.
pub(super) fn natural(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// The same, or `NULL`.
pub(super) fn natural_or_null(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    row.get::<_, Option<i64>>(column)?.map(|_| natural(row, column)).transpose()
}

fn unreadable(column: usize, error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

/// Text of a time in the database: fixed width, so that its order is the order of time.
pub(super) fn time_text(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// The same with microseconds, where lateness is read from the difference of two times.
pub(super) fn fine_time_text(at: Timestamp) -> String {
    format!("{at:.6}")
}
