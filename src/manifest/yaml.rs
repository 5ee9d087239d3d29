//! YAML → [`Node`]: the events of a YAML 1.2 parser, with every scalar kept as text.

use super::report::{Certainty, Diagnostic};
use super::text::{Place, SourceFile, Span};
use super::tree::{ALIAS_BYTES, ALIAS_NODES, DEPTH_LIMIT, Entries, Key, Node, Value};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Reads one document.
///
/// # Errors
/// All mistakes found up to the first one that makes the rest meaningless. `Ok(None)` is an empty document.
pub fn parse(source: &Arc<SourceFile>) -> Result<Option<Arc<Node>>, Vec<Diagnostic>> {
    let mut builder = Builder {
        source,
        bytes: byte_index(source.text()),
        stack: Vec::new(),
        anchors: HashMap::new(),
        alias_nodes: 0,
        alias_bytes: 0,
        mistakes: Vec::new(),
        root: None,
        documents: 0,
    };
    for event in Parser::new_from_str(source.text()) {
        let result = match event {
            Ok((event, span)) => {
                let span = builder.span(span);
                builder.event(event, span)
            }
            Err(error) => Err(Box::new(builder.syntax(error.marker().index(), error.info()))),
        };
        if let Err(fatal) = result {
            builder.mistakes.push(*fatal);
            return Err(builder.mistakes);
        }
    }
    if builder.mistakes.is_empty() { Ok(builder.root) } else { Err(builder.mistakes) }
}

/// The byte of each character; `None` when the text is ASCII and the two are the same.
fn byte_index(text: &str) -> Option<Vec<usize>> {
    (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect())
}

/// A list or map whose end has not come yet.
enum Open {
    Seq { items: Vec<Arc<Node>>, span: Span, anchor: usize },
    Map { entries: Entries, key: Option<Key>, merges: Vec<Arc<Node>>, span: Span, anchor: usize },
}

/// A mistake after which the rest of the file means nothing.
type Step = Result<(), Box<Diagnostic>>;

struct Builder<'a> {
    source: &'a Arc<SourceFile>,
    bytes: Option<Vec<usize>>,
    stack: Vec<Open>,
    anchors: HashMap<usize, Arc<Node>>,
    alias_nodes: u64,
    alias_bytes: u64,
    mistakes: Vec<Diagnostic>,
    root: Option<Arc<Node>>,
    documents: usize,
}

impl Builder<'_> {
    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.source.text().len()),
            None => character.min(self.source.text().len()),
        }
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let start = self.byte(span.start.index());
        Span { start, end: self.byte(span.end.index()).max(start) }
    }

    fn mistake(&self, code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        let place = Place { source: Arc::clone(self.source), span };
        Diagnostic::new(code, Certainty::Syntax, &place, message)
    }

    fn syntax(&self, character: usize, info: &str) -> Diagnostic {
        let start = self.byte(character);
        if info.contains("recursion limit") {
            return self.too_deep(Span { start, end: start + 1 });
        }
        let (label, help) = explain(info);
        self.mistake("yaml-syntax", Span { start, end: start + 1 }, format!("this is not valid YAML: {info}"))
            .label(label)
            .help(help)
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Step {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Box::new(
                        self.mistake("several-documents", span, "a second document starts here")
                            .help("keep one document per file: move what follows `---` into its own file"),
                    ));
                }
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                let quoted = style != ScalarStyle::Plain || self.tag(tag, span);
                let node = if quoted || !matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
                    Node::scalar(&text, quoted, span)
                } else {
                    Node::new(Value::Null, span)
                };
                self.done(Arc::new(node), anchor, false)
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag, span);
                self.open(Open::Seq { items: Vec::new(), span, anchor }, span)
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag, span);
                let (entries, merges) = (Entries::default(), Vec::new());
                self.open(Open::Map { entries, key: None, merges, span, anchor }, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
        }
    }

    /// Whether the tag makes the value a text. Tags of YAML's own types change nothing else: the schema knows the type.
    fn tag(&mut self, tag: Option<Cow<'_, Tag>>, span: Span) -> bool {
        let Some(tag) = tag else { return false };
        let known = ["str", "int", "float", "bool", "null", "seq", "map"];
        if tag.is_yaml_core_schema() && known.contains(&tag.suffix.as_str()) {
            return tag.suffix == "str";
        }
        let mistake = self
            .mistake("unknown-tag", span, format!("the tag `{tag}` has no meaning here"))
            .help("remove the tag: the type of a value follows from its key");
        self.mistakes.push(mistake);
        false
    }

    fn open(&mut self, open: Open, span: Span) -> Step {
        if self.stack.len() >= DEPTH_LIMIT {
            return Err(Box::new(self.too_deep(span)));
        }
        self.stack.push(open);
        Ok(())
    }

    fn too_deep(&self, span: Span) -> Diagnostic {
        self.mistake("too-deep", span, format!("this is nested more than {DEPTH_LIMIT} levels deep"))
            .help("no key needs that; look for a missing line break or bracket")
    }

    fn close(&mut self, end: Span) -> Step {
        match self.stack.pop() {
            Some(Open::Seq { items, span, anchor }) => {
                let span = Span { start: span.start, end: end.end };
                self.done(Arc::new(Node::new(Value::Seq(items), span)), anchor, false)
            }
            Some(Open::Map { mut entries, merges, span, anchor, .. }) => {
                for (key, node) in merges.iter().flat_map(|merged| merged.entries()) {
                    if entries.place(&key.text).is_none() {
                        entries.push(key.clone(), Arc::clone(node));
                    }
                }
                let span = Span { start: span.start, end: end.end };
                self.done(Arc::new(Node::new(entries.into_value(), span)), anchor, false)
            }
            None => Ok(()),
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Step {
        let Some(target) = self.anchors.get(&anchor).cloned() else {
            return Err(Box::new(
                self.mistake("alias-to-itself", span, "this alias is inside the value that it refers to")
                    .help("write the value out instead"),
            ));
        };
        self.alias_nodes = self.alias_nodes.saturating_add(target.weight.nodes);
        self.alias_bytes = self.alias_bytes.saturating_add(target.weight.bytes);
        if self.alias_nodes > ALIAS_NODES || self.alias_bytes > ALIAS_BYTES {
            return Err(Box::new(
                self.mistake("alias-bomb", span, "the aliases of this file expand to too much")
                    .label("the limit is exceeded here")
                    .help(format!(
                        "the aliases of a file may expand to {ALIAS_NODES} values and {} MiB of text; use fewer, or smaller ones",
                        ALIAS_BYTES >> 20
                    )),
            ));
        }
        if self.stack.len() + target.weight.depth > DEPTH_LIMIT {
            return Err(Box::new(self.too_deep(span)));
        }
        self.done(target, 0, true)
    }

    /// A value is complete: it becomes an item, a key, the value of a key, or the root.
    fn done(&mut self, node: Arc<Node>, anchor: usize, alias: bool) -> Step {
        if anchor != 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Open::Seq { items, .. }) => items.push(node),
            Some(Open::Map { key: slot @ None, .. }) => {
                let text = match &node.value {
                    Value::Scalar { text, .. } => Arc::clone(text),
                    // `null:` and `~:` are odd but plain texts.
                    Value::Null => self.source.text().get(node.span.start..node.span.end).unwrap_or_default().into(),
                    Value::Seq(_) | Value::Map(_) => {
                        let span = if alias { Span::default() } else { node.span };
                        return Err(Box::new(
                            self.mistake(
                                "complex-key",
                                span,
                                format!("a key must be a text, but this is {}", node.kind()),
                            )
                            .help("write `key: value`; a text that starts with `{` or `[` needs quotes"),
                        ));
                    }
                };
                *slot = Some(Key { text, span: node.span });
            }
            Some(Open::Map { entries, key, merges, .. }) => {
                let Some(key) = key.take() else { return Ok(()) };
                if &*key.text == "<<" {
                    let merged: Vec<Arc<Node>> = match &node.value {
                        Value::Seq(items) => items.clone(),
                        _ => vec![node],
                    };
                    if let Some(wrong) = merged.iter().find(|node| !matches!(node.value, Value::Map(_))) {
                        let message = format!("`<<` merges a map, but this is {}", wrong.kind());
                        let mistake = self
                            .mistake("bad-merge", key.span, message)
                            .help("write `<<: *anchor`, where the anchor names a map");
                        self.mistakes.push(mistake);
                    } else {
                        merges.extend(merged);
                    }
                } else if let Some(first) = entries.place(&key.text) {
                    let place = Place { source: Arc::clone(self.source), span: first };
                    let mistake = self
                        .mistake("duplicate-key", key.span, format!("the key `{}` is given twice", key.text))
                        .label("again here")
                        .help("keep one of the two")
                        .also(place, "first here");
                    self.mistakes.push(mistake);
                } else {
                    entries.push(key, node);
                }
            }
        }
        Ok(())
    }
}

/// What the parser's message usually means.
fn explain(info: &str) -> (&'static str, &'static str) {
    let has = |words: &str| info.contains(words);
    if has("tab") {
        ("a tab", "indent with spaces: YAML does not allow tabs")
    } else if has("unknown anchor") || has("anchor") {
        ("no such anchor", "an alias `*name` needs `&name` at a value above it")
    } else if has("quoted scalar") {
        ("the text is not closed", "close the quotes; inside \"…\" write `\\\\` for a backslash, or use '…'")
    } else if has("escape") {
        ("unknown escape", "inside \"…\" write `\\\\` for a backslash, or use '…'")
    } else if has("mapping values are not allowed") || has("simple key") || has("expected ':'") {
        ("unexpected here", "check the indentation, and put a text that contains `: ` in quotes")
    } else if has("flow") || has("','") || has("']'") || has("'}'") {
        ("unexpected here", "check for a missing comma or bracket")
    } else {
        ("unexpected here", "check the indentation and the quotes here and on the line above")
    }
}
