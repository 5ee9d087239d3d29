//! KDL → [`Node`], led by the shapes of the file's kind, so that both formats give the same tree.
//!
//! A node is a key, with `-` for `_`. One argument is a text, several are a list, properties and children are a map;
//! children called `-` are the items of a list. An argument beside properties or children is the key that the object
//! names (`x-kdl-argument`), or the key of the entry where a map has free keys. A singular node (`service "api" { … }`)
//! is one item of its plural.

mod entries;
mod reader;
mod scan;

use self::reader::{Parts, Reader, name_span, snake};
use self::scan::{Refusal, scan};
use super::report::{Certainty, Diagnostic};
use super::shape::{Shape, Shapes};
use super::text::{Place, SourceFile, Span};
use super::tree::{DEPTH_LIMIT, Key, Node};
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
    let mistake = |code, span, message: String| {
        let place = Place { source: Arc::clone(source), span };
        Diagnostic::new(code, Certainty::Syntax, &place, message)
    };
    if let Err((refusal, span)) = scan(source.text()) {
        let (code, message, help) = match refusal {
            Refusal::TooDeep => (
                "too-deep",
                format!("this is nested more than {DEPTH_LIMIT} levels deep"),
                "no key needs that; look for a missing `}`",
            ),
            Refusal::OpenString => {
                ("kdl-syntax", "this text is not closed".to_owned(), "close the quotes on the same line")
            }
            Refusal::OpenComment => ("kdl-syntax", "this comment is not closed".to_owned(), "close it with `*/`"),
            Refusal::GluedString => (
                "kdl-syntax",
                "a quoted text is directly next to a word".to_owned(),
                "put a space between them, or the whole word in quotes",
            ),
            Refusal::ExtraBrace => {
                ("kdl-syntax", "this `}` closes nothing".to_owned(), "remove it, or add the `{` that it belongs to")
            }
        };
        return Err(vec![mistake(code, span, message).help(help)]);
    }
    match KdlDocument::parse_v2(source.text()) {
        Ok(document) => Ok(Document(document)),
        Err(error) => {
            let mut mistakes: Vec<Diagnostic> = error
                .diagnostics
                .iter()
                .map(|found| {
                    let span = Span { start: found.span.offset(), end: found.span.offset() + found.span.len() };
                    let message = found.message.as_deref().unwrap_or("this is not allowed here");
                    let label = found.label.clone().unwrap_or_else(|| "not valid here".to_owned());
                    let help = if message.contains("closing '}'") {
                        "add the missing `}`"
                    } else {
                        "write `key \"value\"` or `key { … }`; true, false and null are `#true`, `#false` and `#null`"
                    };
                    let help = found.help.clone().unwrap_or_else(|| help.to_owned());
                    let message = format!("this is not valid KDL: {}", lower_first(message));
                    mistake("kdl-syntax", span, message).label(label).help(help)
                })
                .collect();
            // The parser goes on after a mistake, and says the same again in other words.
            mistakes.sort_by_key(|mistake| mistake.location.line);
            mistakes.dedup_by_key(|mistake| mistake.location.line);
            Err(mistakes)
        }
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
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
