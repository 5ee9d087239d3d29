//! Places by path: where in the tree of a file `services[2].env.LOG_LEVEL` is written.

use super::text::{Place, SourceFile, Span};
use super::tree::{Node, Value};
use crate::model::Location;
use std::sync::Arc;

/// A place in a tree. A step to something that is not written stays at the nearest place that is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    source: &'a Arc<SourceFile>,
    node: Option<&'a Node>,
    span: Span,
}

impl<'a> Cursor<'a> {
    /// The root of a tree.
    pub(super) fn new(source: &'a Arc<SourceFile>, node: &'a Node) -> Self {
        Self { source, node: Some(node), span: node.span }
    }

    /// The value of a key; its place is that of the value on the key's line, else of the key.
    pub(super) fn key(self, name: &str) -> Self {
        match self.node.and_then(|node| node.get(name)) {
            Some((key, node)) => {
                let (source, line) = (self.source, self.source.line(key.span.start));
                let same_line = source.line(node.span.start) == line && !matches!(node.value, Value::Null);
                let span = if same_line { node.span } else { key.span };
                Self { node: Some(node), span, ..self }
            }
            None => Self { node: None, ..self },
        }
    }

    /// The key itself rather than its value.
    pub(super) fn name(self, name: &str) -> Self {
        match self.node.and_then(|node| node.get(name)) {
            Some((key, node)) => Self { node: Some(node), span: key.span, ..self },
            None => Self { node: None, ..self },
        }
    }

    /// Whether the key is written.
    pub(super) fn has(self, name: &str) -> bool {
        self.node.is_some_and(|node| node.get(name).is_some_and(|(_, node)| !matches!(node.value, Value::Null)))
    }

    /// The item of a list; a single value is its own only item.
    pub(super) fn item(self, index: usize) -> Self {
        match self.node {
            Some(Node { value: Value::Seq(items), .. }) => match items.get(index) {
                Some(node) => Self { node: Some(node), span: node.span, ..self },
                None => Self { node: None, ..self },
            },
            _ => self,
        }
    }

    /// The text of a scalar.
    pub(super) fn text(self) -> Option<&'a str> {
        self.node.and_then(Node::text)
    }

    /// The place.
    pub(super) fn place(self) -> Place {
        Place { source: Arc::clone(self.source), span: self.span }
    }

    /// The place as line and column.
    pub(super) fn location(self) -> Location {
        self.source.location(self.span.start)
    }

    /// The file.
    pub(super) fn source(self) -> &'a Arc<SourceFile> {
        self.source
    }
}
