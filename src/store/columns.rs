//! Values as they stand in columns: closed sets as the words that they are in JSON, numbers within SQLite's.

use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The word of a variant without content.
pub(super) fn word<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    match to_json(value)? {
        Value::String(word) => Ok(word),
        other => Err(rusqlite::Error::ToSqlConversionFailure(format!("`{other}` is not a word").into())),
    }
}

/// The variant of a word.
pub(super) fn from_word<T: DeserializeOwned>(word: String, column: usize) -> rusqlite::Result<T> {
    from_json(Value::String(word), column)
}

/// A value as JSON.
pub(super) fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<Value> {
    serde_json::to_value(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// A value out of JSON; `column` is named in the error.
pub(super) fn from_json<T: DeserializeOwned>(value: Value, column: usize) -> rusqlite::Result<T> {
    serde_json::from_value(value).map_err(|error| unreadable(column, error))
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
