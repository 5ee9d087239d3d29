//! Values that travel as one JSON text or as map entries, by the protocol of their task.

use super::raw::MapEntry;
use crate::model::TaskProtocol;
use bytes::Bytes;
use prost::Message;
use serde_json::{Map, Value};

/// A value as it came, not yet understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload(Vec<Bytes>);

/// Why a value that came cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OutputFault {
    /// It does not fit.
    #[error("{bytes} bytes are more than the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most that is taken.
        limit: usize,
    },
    /// The protocol is `json`, and this is something else.
    #[error("it is not JSON; a task server of the older form needs `protocol: map`")]
    NotJson(#[source] serde_json::Error),
    /// The protocol is `map`, and this is something else.
    #[error("it is not a map of texts; a task server of the newer form needs `protocol: json`")]
    NotMapEntry(#[source] prost::DecodeError),
}

impl Payload {
    /// A value in the form of `protocol`. In the older form an object becomes its entries, scalars plainly and what is
    /// nested as JSON text; what is not an object becomes the one entry `value`.
    pub fn encode(value: &Value, protocol: TaskProtocol) -> Self {
        match (protocol, value) {
            (TaskProtocol::Json, value) => Self(vec![value.to_string().into()]),
            (TaskProtocol::Map, Value::Object(object)) => Self::entries(object),
            (TaskProtocol::Map, value) => Self(vec![entry("value", value)]),
        }
    }

    /// An object in the form of `protocol`; see [`Payload::encode`].
    pub fn encode_object(object: &Map<String, Value>, protocol: TaskProtocol) -> Self {
        match protocol {
            // Writing a map with text keys into a string cannot fail; were it to, nothing is sent rather than half.
            TaskProtocol::Json => Self(serde_json::to_vec(object).map(Bytes::from).into_iter().collect()),
            TaskProtocol::Map => Self::entries(object),
        }
    }

    /// What it says in `protocol`: any JSON value, or an object of texts. `None` when nothing came.
    ///
    /// # Errors
    /// When it is larger than `limit` bytes or not of that form.
    pub fn decode(&self, protocol: TaskProtocol, limit: usize) -> Result<Option<Value>, OutputFault> {
        let bytes = self.bytes();
        if bytes > limit {
            return Err(OutputFault::TooLarge { bytes, limit });
        }
        match protocol {
            // A field that is not repeated and comes twice: the last one counts (proto3).
            TaskProtocol::Json => match self.0.last() {
                Some(text) if !text.is_empty() => serde_json::from_slice(text).map(Some).map_err(OutputFault::NotJson),
                _ => Ok(None),
            },
            TaskProtocol::Map if self.0.is_empty() => Ok(None),
            TaskProtocol::Map => {
                let entries = self.0.iter().map(|entry| {
                    let MapEntry { key, value } = MapEntry::decode(entry.clone()).map_err(OutputFault::NotMapEntry)?;
                    Ok((key, Value::String(value)))
                });
                entries.collect::<Result<_, _>>().map(|object| Some(Value::Object(object)))
            }
        }
    }

    /// Its size, in bytes as it came.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    pub(super) fn from_wire(fields: Vec<Bytes>) -> Self {
        Self(fields)
    }

    pub(super) fn into_wire(self) -> Vec<Bytes> {
        self.0
    }

    fn entries(object: &Map<String, Value>) -> Self {
        Self(object.iter().map(|(key, value)| entry(key, value)).collect())
    }
}

fn entry(key: &str, value: &Value) -> Bytes {
    let value = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    MapEntry { key: key.to_owned(), value }.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection;
    use proptest::prelude::*;
    use serde_json::json;

    const LIMIT: usize = 1 << 20;

    #[test]
    fn in_the_older_form_nested_values_are_json_texts_and_scalars_plain() {
        let value = json!({"n": 1, "f": 2.5, "b": true, "s": "plain", "o": {"a": [1]}, "l": [1, "x"], "z": null});
        let there = Payload::encode(&value, TaskProtocol::Map).decode(TaskProtocol::Map, LIMIT).unwrap();
        let texts =
            json!({"n": "1", "f": "2.5", "b": "true", "s": "plain", "o": "{\"a\":[1]}", "l": "[1,\"x\"]", "z": "null"});
        assert_eq!(there, Some(texts));
    }

    #[test]
    fn nothing_is_no_value_in_both_forms() {
        assert_eq!(Payload::default().decode(TaskProtocol::Json, LIMIT).unwrap(), None);
        assert_eq!(Payload::default().decode(TaskProtocol::Map, LIMIT).unwrap(), None);
        assert_eq!(Payload(vec![Bytes::new()]).decode(TaskProtocol::Json, LIMIT).unwrap(), None);
    }

    #[test]
    fn the_wrong_form_is_a_fault_that_names_the_right_one() {
        let map = Payload::encode(&json!({"a": "b"}), TaskProtocol::Map);
        let fault = map.decode(TaskProtocol::Json, LIMIT).unwrap_err();
        assert!(matches!(fault, OutputFault::NotJson(_)) && fault.to_string().contains("protocol: map"), "{fault}");
        let text = Payload::encode(&json!({"a": "b"}), TaskProtocol::Json);
        let fault = text.decode(TaskProtocol::Map, LIMIT).unwrap_err();
        assert!(
            matches!(fault, OutputFault::NotMapEntry(_)) && fault.to_string().contains("protocol: json"),
            "{fault}"
        );
    }

    #[test]
    fn a_value_over_the_limit_is_not_read() {
        let payload = Payload::encode(&json!("12345678"), TaskProtocol::Json);
        assert!(payload.decode(TaskProtocol::Json, 10).is_ok(), "eight letters and two quotes fit in ten bytes");
        assert!(matches!(payload.decode(TaskProtocol::Json, 9), Err(OutputFault::TooLarge { bytes: 10, limit: 9 })));
    }

    proptest! {
        #[test]
        fn bytes_from_outside_never_panic(fields in collection::vec(collection::vec(any::<u8>(), 0..64), 0..4)) {
            let payload = Payload(fields.into_iter().map(Bytes::from).collect());
            let _ = (payload.decode(TaskProtocol::Json, 100), payload.decode(TaskProtocol::Map, 100));
        }

        #[test]
        fn texts_survive_both_forms(key in "\\PC*", text in "\\PC*") {
            let value = json!({key: text});
            for protocol in [TaskProtocol::Json, TaskProtocol::Map] {
                let there = Payload::encode(&value, protocol).decode(protocol, LIMIT);
                prop_assert_eq!(there.unwrap(), Some(value.clone()));
            }
        }
    }
}
