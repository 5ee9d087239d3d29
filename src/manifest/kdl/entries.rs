//! The entries of a map, joined where one key comes several times.

use crate::manifest::text::Span;
use crate::manifest::tree::{Key, Node, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The entries of a map while it is collected.
#[derive(Default)]
pub(super) struct Entries {
    list: Vec<(Key, Node)>,
    /// Where a key is in the list.
    index: HashMap<Arc<str>, usize>,
    /// The keys within a value that is a map, by the position of that value.
    inner: HashSet<(usize, Arc<str>)>,
}

impl Entries {
    /// The entries in file order.
    pub(super) fn into_value(self) -> Value {
        Value::Map(self.list.into_iter().map(|(key, node)| (key, Arc::new(node))).collect())
    }

    /// Adds an entry; one that comes again is joined with the first where `collects`.
    ///
    /// # Errors
    /// The place of the first when the two cannot be joined.
    pub(super) fn add(&mut self, key: Key, node: Node, collects: bool) -> Result<(), Span> {
        let Some(at) = self.index.get(&key.text).copied() else {
            let at = self.list.len();
            self.inner.extend(node.entries().iter().map(|(key, _)| (at, Arc::clone(&key.text))));
            self.index.insert(Arc::clone(&key.text), at);
            self.list.push((key, node));
            return Ok(());
        };
        if collects && self.join(at, node) {
            return Ok(());
        }
        Err(self.list.get(at).map_or(key.span, |(first, _)| first.span))
    }

    /// Joins a value with the one that is there; false when they cannot be.
    fn join(&mut self, at: usize, node: Node) -> bool {
        let Some((_, there)) = self.list.get_mut(at) else { return false };
        let weight = node.weight;
        match (&mut there.value, node.value) {
            (Value::Null, Value::Null) => {}
            (Value::Map(entries), Value::Map(new)) => {
                if new.iter().any(|(key, _)| self.inner.contains(&(at, Arc::clone(&key.text)))) {
                    return false;
                }
                self.inner.extend(new.iter().map(|(key, _)| (at, Arc::clone(&key.text))));
                entries.extend(new);
            }
            // `network "a"` beside `network "b" { … }`: a name alone is an entry without settings.
            (Value::Map(_), Value::Seq(items)) => {
                let Some(named) = named(&items) else { return false };
                return self.join(at, Node::new(Value::Map(named), node.span));
            }
            (Value::Seq(items), new @ Value::Map(_)) => {
                let Some(named) = named(items) else { return false };
                self.inner.extend(named.iter().map(|(key, _)| (at, Arc::clone(&key.text))));
                there.value = Value::Map(named);
                return self.join(at, Node::new(new, node.span));
            }
            (Value::Seq(items), Value::Seq(new)) => items.extend(new),
            (Value::Seq(items), new @ Value::Scalar { .. }) => items.push(Arc::new(Node::new(new, node.span))),
            (first @ Value::Scalar { .. }, new @ (Value::Seq(_) | Value::Scalar { .. })) => {
                let first = Node::new(std::mem::replace(first, Value::Null), there.span);
                there.value = Value::Seq(vec![Arc::new(first)]);
                return self.join(at, Node::new(new, node.span));
            }
            _ => return false,
        }
        there.weight.add(weight);
        true
    }
}

/// Texts as keys without value; `None` when one is no text.
fn named(items: &[Arc<Node>]) -> Option<Vec<(Key, Arc<Node>)>> {
    let entry = |item: &Arc<Node>| {
        let key = Key { text: item.text()?.into(), span: item.span };
        Some((key, Arc::new(Node::new(Value::Null, item.span))))
    };
    items.iter().map(entry).collect()
}
