//! Values without a schema, such as parameters: each has the type that it is written with.

use super::tree::{Node, Value};
use serde_json::Value as Json;

/// A value with the types that it is written with: a text without quotes is a number, `true`, `false` or nothing when it
/// looks like one (the core schema of YAML 1.2), and a text otherwise. `separators` says that the format has `_` between the digits of
/// a number, as KDL does.
pub(super) fn free(node: &Node, separators: bool) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar { text, quoted: true } => Json::String(text.to_string()),
        Value::Scalar { text, quoted: false } => match &**text {
            "true" | "True" | "TRUE" => Json::Bool(true),
            "false" | "False" | "FALSE" => Json::Bool(false),
            plain => number(plain, separators).unwrap_or_else(|| Json::String(plain.to_owned())),
        },
        Value::Seq(items) => items.iter().map(|item| free(item, separators)).collect(),
        Value::Map(entries) => {
            entries.iter().map(|(key, value)| (key.text.to_string(), free(value, separators))).collect()
        }
    }
}

/// A number without quotes; what JSON has no number for (`.inf`, a version such as `1.2.3`) is none. Neither is what would arrive as
/// another one: a serial number such as `12_34`, and a whole number of more than 64 bits, which only a text holds in full.
fn number(written: &str, separators: bool) -> Option<Json> {
    if written.contains('_') && !separators {
        return None;
    }
    let text = &written.replace('_', "");
    if let Some(whole) = integer(text) {
        return i64::try_from(whole).map(Json::from).or_else(|_| u64::try_from(whole).map(Json::from)).ok();
    }
    let numeric = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'));
    let whole = text.trim_start_matches(['-', '+']).bytes().all(|byte| byte.is_ascii_digit());
    let is_float = numeric && !whole && text.contains(|letter: char| letter.is_ascii_digit());
    let float = text.parse().ok().filter(|_| is_float)?;
    serde_json::Number::from_f64(float).map(Json::Number)
}

/// A whole number as YAML and KDL write it: decimal, `0x`, `0o`, `0b`, with `_` between digits.
pub(super) fn integer(text: &str) -> Option<i128> {
    let text = text.trim().replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let number = match digits.get(..2) {
        Some("0x") => i128::from_str_radix(&digits[2..], 16),
        Some("0o") => i128::from_str_radix(&digits[2..], 8),
        Some("0b") => i128::from_str_radix(&digits[2..], 2),
        _ => digits.parse(),
    };
    number.ok().map(|number: i128| number * sign)
}
