//! The entries of a map, joined where one key comes several times.

use super::reader::Reader;
use crate::manifest::report::{Certainty, Diagnostic};
use crate::manifest::text::Place;
use crate::manifest::tree::{Key, Node, Value};
use std::sync::Arc;

/// The entries of a map while it is collected.
#[derive(Default)]
pub(super) struct Entries(pub(super) Vec<(Key, Arc<Node>)>);

impl Entries {
    /// Adds an entry; one that comes again is joined with the first where `collects`, and a mistake otherwise.
    pub(super) fn add(&mut self, reader: &mut Reader<'_, '_>, key: Key, node: Node, collects: bool) {
        let Some((first, there)) = self.0.iter_mut().find(|(own, _)| own.text == key.text) else {
            self.0.push((key, Arc::new(node)));
            return;
        };
        let joined = if collects { join(there, &node) } else { None };
        match joined {
            Some(joined) => *there = Arc::new(joined),
            None => {
                let place = |span| Place { source: Arc::clone(reader.source), span };
                let message = format!("`{}` is given twice", key.text);
                reader.mistakes.push(
                    Diagnostic::new("duplicate-key", Certainty::Syntax, &place(key.span), message)
                        .label("again here")
                        .help("keep one of the two")
                        .also(place(first.span), "first here"),
                );
            }
        }
    }
}

/// Two values of one key as one; `None` when they cannot be joined.
fn join(first: &Node, second: &Node) -> Option<Node> {
    let items = |node: &Node| match &node.value {
        Value::Seq(items) => Some(items.clone()),
        Value::Scalar { .. } => Some(vec![Arc::new(node.clone())]),
        _ => None,
    };
    let value = match (&first.value, &second.value) {
        (Value::Null, Value::Null) => Value::Null,
        (Value::Map(a), Value::Map(b)) => {
            if b.iter().any(|(key, _)| a.iter().any(|(own, _)| own.text == key.text)) {
                return None;
            }
            Value::Map(a.iter().chain(b).cloned().collect())
        }
        // `network "a"` beside `network "b" { … }`: a name alone is an entry without settings.
        (Value::Map(_), Value::Seq(_)) | (Value::Seq(_), Value::Map(_)) => {
            let named = |node: &Node| match &node.value {
                Value::Seq(items) => items
                    .iter()
                    .map(|item| {
                        let key = Key { text: item.text()?.into(), span: item.span };
                        Some((key, Arc::new(Node::new(Value::Null, item.span))))
                    })
                    .collect::<Option<Vec<_>>>(),
                _ => Some(node.entries().to_vec()),
            };
            let mut all = named(first)?;
            all.extend(named(second)?);
            Value::Map(all)
        }
        _ => {
            let mut all = items(first)?;
            all.extend(items(second)?);
            Value::Seq(all)
        }
    };
    Some(Node::new(value, first.span))
}
