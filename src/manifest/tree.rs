//! The tree that YAML and KDL are read into: texts, lists and maps with their places, and no types yet.
//!
//! Aliases share their node. Each node knows how large it is when written out in full, so that a bomb of aliases is
//! refused by adding numbers, without expanding anything.

use super::text::Span;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Nesting above this is refused, before anything recurses over it.
pub const DEPTH_LIMIT: usize = 64;
/// Nodes that the aliases of one file may stand for.
pub const ALIAS_NODES: u64 = 100_000;
/// Bytes of text that the aliases of one file may stand for.
pub const ALIAS_BYTES: u64 = 8 << 20;

/// A map with more keys is searched by an index.
const SMALL: usize = 16;

/// A value as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A text; what it means is up to the schema.
    Scalar {
        /// The text, without quotes.
        text: Arc<str>,
        /// Whether it was quoted.
        quoted: bool,
    },
    /// A list.
    Seq(Vec<Arc<Node>>),
    /// A map in file order; no key occurs twice.
    Map(Vec<(Key, Arc<Node>)>),
}

/// The key of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// Its text.
    pub text: Arc<str>,
    /// Where it stands.
    pub span: Span,
}

/// How large a node is when written out in full.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weight {
    /// Nodes.
    pub nodes: u64,
    /// Bytes of text.
    pub bytes: u64,
    /// Levels.
    pub depth: usize,
}

impl Weight {
    /// Adds a child.
    pub(super) fn add(&mut self, child: Weight) {
        self.nodes = self.nodes.saturating_add(child.nodes);
        self.bytes = self.bytes.saturating_add(child.bytes);
        self.depth = self.depth.max(child.depth + 1);
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
    /// Its size in full.
    pub weight: Weight,
    /// Positions sorted by key, made for a large map when it is first asked.
    index: OnceLock<Box<[usize]>>,
}

impl Node {
    /// A node with its weight.
    pub fn new(value: Value, span: Span) -> Self {
        let mut weight = Weight { nodes: 1, bytes: 0, depth: 1 };
        match &value {
            Value::Null => {}
            Value::Scalar { text, .. } => weight.bytes = text.len() as u64,
            Value::Seq(items) => items.iter().for_each(|item| weight.add(item.weight)),
            Value::Map(entries) => {
                for (key, node) in entries {
                    weight.bytes = weight.bytes.saturating_add(key.text.len() as u64);
                    weight.add(node.weight);
                }
            }
        }
        Self { value, span, weight, index: OnceLock::new() }
    }

    /// A text.
    pub fn scalar(text: &str, quoted: bool, span: Span) -> Self {
        Self::new(Value::Scalar { text: text.into(), quoted }, span)
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a text",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The entry of a map.
    pub fn get(&self, name: &str) -> Option<&(Key, Arc<Node>)> {
        match &self.value {
            Value::Map(entries) if entries.len() <= SMALL => entries.iter().find(|(key, _)| &*key.text == name),
            Value::Map(entries) => {
                let key = |at: usize| entries.get(at).map_or("", |(key, _)| &*key.text);
                let index = self.index.get_or_init(|| {
                    let mut index: Box<[usize]> = (0..entries.len()).collect();
                    index.sort_unstable_by_key(|at| key(*at));
                    index
                });
                let found = index.binary_search_by(|at| key(*at).cmp(name)).ok()?;
                entries.get(*index.get(found)?)
            }
            _ => None,
        }
    }

    /// The entries of a map; empty for anything else.
    pub fn entries(&self) -> &[(Key, Arc<Node>)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; empty for anything else.
    pub fn items(&self) -> &[Arc<Node>] {
        match &self.value {
            Value::Seq(items) => items,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// The entries of a map while it is read.
#[derive(Debug, Default)]
pub(super) struct Entries {
    list: Vec<(Key, Arc<Node>)>,
    /// Made when there are many.
    positions: HashMap<Arc<str>, usize>,
}

impl Entries {
    /// Where a key stands that is there already.
    pub(super) fn place(&self, key: &str) -> Option<Span> {
        let found = if self.positions.is_empty() {
            self.list.iter().find(|(there, _)| &*there.text == key)
        } else {
            self.positions.get(key).and_then(|at| self.list.get(*at))
        };
        found.map(|(there, _)| there.span)
    }

    /// Adds an entry whose key is not there yet.
    pub(super) fn push(&mut self, key: Key, node: Arc<Node>) {
        if !self.positions.is_empty() {
            self.positions.insert(Arc::clone(&key.text), self.list.len());
        }
        self.list.push((key, node));
        if self.positions.is_empty() && self.list.len() > SMALL {
            let position = |(at, (key, _)): (usize, &(Key, Arc<Node>))| (Arc::clone(&key.text), at);
            self.positions = self.list.iter().enumerate().map(position).collect();
        }
    }

    /// The map.
    pub(super) fn into_value(self) -> Value {
        Value::Map(self.list)
    }
}
