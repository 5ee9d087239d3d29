//! KDL → [`Node`], led by the shapes of the file's kind, so that both formats give the same tree.
//!
//! A node is a key, with `-` for `_`. One argument is a text, several are a list, properties and children are a map;
//! children called `-` are the items of a list. An argument beside properties or children is the key that the object
//! names (`x-kdl-argument`), or the key of the entry where a map has free keys. A singular node (`service "api" { … }`)
//! is one item of its plural.

mod entries;
mod reader;
mod scan;
mod syntax;

use self::reader::{Parts, Reader, name_span, snake};
use self::scan::scan;
use super::report::Diagnostic;
use super::shape::{Shape, Shapes};
use super::text::{SourceFile, Span};
use super::tree::{Key, Node};
use ::kdl::KdlDocument;
use std::sync::Arc;

/// A parsed document.
#[derive(Debug)]
pub struct Document(KdlDocument);

/// Parses a text.
///
/// # Errors
/// What is not KDL.
pub fn parse(source: &Arc<SourceFile>) -> Result<Document, Vec<Diagnostic>> {
    if let Err((refusal, span)) = scan(source.text()) {
        return Err(vec![syntax::refused(source, refusal, span)]);
    }
    KdlDocument::parse_v2(source.text()).map(Document).map_err(|error| syntax::not_kdl(source, &error))
}

impl Document {
    /// The names of its nodes as keys, with their places.
    pub fn root_keys(&self) -> Vec<Key> {
        self.0
            .nodes()
            .iter()
            .map(|node| Key { text: snake(node.name().value()).into(), span: name_span(node) })
            .collect()
    }

    /// Whether there is no node at all.
    pub fn is_empty(&self) -> bool {
        self.0.nodes().is_empty()
    }

    /// The tree of the document.
    pub fn tree(
        &self,
        source: &Arc<SourceFile>,
        shapes: &Shapes,
        shape: &Shape,
        mistakes: &mut Vec<Diagnostic>,
    ) -> Arc<Node> {
        let mut reader = Reader { source, shapes, mistakes };
        let nodes = self.0.nodes();
        let span = Span { start: nodes.first().map_or(0, |node| name_span(node).start), end: source.text().len() };
        let parts = Parts { arguments: Vec::new(), properties: Vec::new(), children: Some(nodes), span };
        let object = reader.forms(shape).object;
        Arc::new(match object {
            Some(object) => reader.object(&parts, object),
            None => reader.map(&parts, &Shape::Text),
        })
    }
}
