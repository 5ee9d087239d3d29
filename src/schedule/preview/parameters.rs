//! The parameters and variables of a task that change, by path.

use super::FieldChange;
use crate::model::{HIDDEN, looks_secret, masked};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What is not the same on both sides. Maps are compared key by key, and lists of one length item by item; anything else
/// is shown whole, as compact JSON.
pub(super) fn differences(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    maps(&mut changes, "parameters", false, old, new);
    changes
}

/// The variables of a program that are not the same on both sides.
pub(super) fn environment(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<FieldChange> {
    let map = |side: &BTreeMap<String, String>| -> Map<String, Value> {
        side.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
    };
    let mut changes = Vec::new();
    maps(&mut changes, "env", false, &map(old), &map(new));
    changes
}

type Side<'a> = &'a Map<String, Value>;

fn maps(changes: &mut Vec<FieldChange>, path: &str, hidden: bool, old: Side<'_>, new: Side<'_>) {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        let hidden = hidden || looks_secret(key);
        values(changes, &format!("{path}.{key}"), hidden, old.get(key), new.get(key));
    }
}

fn values(changes: &mut Vec<FieldChange>, path: &str, hidden: bool, old: Option<&Value>, new: Option<&Value>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => maps(changes, path, hidden, old, new),
        (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                values(changes, &format!("{path}[{index}]"), hidden, Some(old), Some(new));
            }
        }
        _ => {
            let shown = |value: &Value| if hidden { HIDDEN.to_owned() } else { redacted(value).to_string() };
            changes.push(FieldChange::new(path, old.map(shown), new.map(shown)));
        }
    }
}

/// The value without the secrets within it.
fn redacted(value: &Value) -> Value {
    let entry = |(key, value): (&String, &Value)| {
        let value = if looks_secret(key) { Value::from(HIDDEN) } else { redacted(value) };
        (key.clone(), value)
    };
    match value {
        Value::Object(map) => Value::Object(map.iter().map(entry).collect()),
        Value::Array(items) => Value::Array(items.iter().map(redacted).collect()),
        Value::String(text) => Value::from(masked(text)),
        other => other.clone(),
    }
}
