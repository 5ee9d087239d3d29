//! Nodes → tree, by the shapes of their keys.

use super::entries::Entries;
use crate::manifest::report::{Certainty, Diagnostic};
use crate::manifest::shape::{Object, Shape, Shapes};
use crate::manifest::text::{Place, SourceFile, Span};
use crate::manifest::tree::{Key, Node, Value};
use ::kdl::{KdlDocument, KdlEntry, KdlNode, KdlValue};
use std::sync::Arc;

/// The parts of a node; a part may be taken off for a key.
#[derive(Clone)]
pub(super) struct Parts<'k> {
    pub(super) arguments: Vec<&'k KdlEntry>,
    pub(super) properties: Vec<&'k KdlEntry>,
    pub(super) children: Option<&'k [KdlNode]>,
    pub(super) span: Span,
}

impl<'k> Parts<'k> {
    fn of(node: &'k KdlNode) -> Self {
        let (properties, arguments) = node.entries().iter().partition(|entry| entry.name().is_some());
        let span = Span { start: name_span(node).start, end: node.span().offset() + node.span().len() };
        Self { arguments, properties, children: node.children().map(KdlDocument::nodes), span }
    }

    /// Whether there are only arguments.
    fn plain(&self) -> bool {
        self.properties.is_empty() && self.children.is_none()
    }

    /// The rest after the first argument, and that argument.
    fn split_first(&self) -> Option<(&'k KdlEntry, Self)> {
        let (first, rest) = self.arguments.split_first()?;
        Some((first, Self { arguments: rest.to_vec(), ..self.clone() }))
    }
}

/// The forms of a shape by what they look like.
#[derive(Clone, Copy, Default)]
pub(super) struct Forms<'s> {
    scalar: bool,
    list: Option<&'s Shape>,
    map: Option<&'s Shape>,
    pub(super) object: Option<&'s Object>,
}

pub(super) struct Reader<'a, 's> {
    pub(super) source: &'a Arc<SourceFile>,
    pub(super) shapes: &'s Shapes,
    pub(super) mistakes: &'a mut Vec<Diagnostic>,
}

impl<'s> Reader<'_, 's> {
    pub(super) fn forms(&self, shape: &'s Shape) -> Forms<'s> {
        let mut forms = Forms::default();
        for form in self.shapes.forms(shape) {
            match form {
                Shape::List(item) => forms.list = Some(item),
                Shape::Map(value) => forms.map = Some(value),
                Shape::Object(object) => forms.object = Some(object),
                _ => forms.scalar = true,
            }
        }
        forms
    }

    fn mistake(&mut self, code: &'static str, span: Span, message: String, help: &str) {
        let place = Place { source: Arc::clone(self.source), span };
        self.mistakes.push(Diagnostic::new(code, Certainty::Format, &place, message).help(help));
    }

    /// Adds an entry to a map; a key that is given twice and cannot be joined is a mistake.
    fn add(&mut self, entries: &mut Entries, key: Key, node: Node, collects: bool) {
        let (text, span) = (Arc::clone(&key.text), key.span);
        let Err(first) = entries.add(key, node, collects) else { return };
        let place = |span| Place { source: Arc::clone(self.source), span };
        let mistake =
            Diagnostic::new("duplicate-key", Certainty::Syntax, &place(span), format!("`{text}` is given twice"));
        let mistake = mistake.label("again here").help("keep one of the two").also(place(first), "first here");
        self.mistakes.push(mistake);
    }

    fn scalar(&mut self, entry: &KdlEntry) -> Node {
        let span = self.value_span(entry);
        if let Some(ty) = entry.ty() {
            let message = format!("the type annotation `({})` has no meaning here", ty.value());
            self.mistake("unknown-tag", span, message, "remove it: the type of a value follows from its key");
        }
        match entry.value() {
            KdlValue::String(text) => Node::scalar(text, true, span),
            KdlValue::Bool(value) => Node::scalar(if *value { "true" } else { "false" }, false, span),
            KdlValue::Null => Node::new(Value::Null, span),
            // As written, so that `1.10` stays what it is.
            value => match entry.format() {
                Some(format) => Node::scalar(&format.value_repr, false, span),
                None => Node::scalar(&value.to_string(), false, span),
            },
        }
    }

    /// The bytes of the value alone: the parser's span takes the space before and the name of a property with it.
    fn value_span(&self, entry: &KdlEntry) -> Span {
        let (start, end) = (entry.span().offset(), entry.span().offset() + entry.span().len());
        let written = entry.format().map_or("", |format| format.value_repr.as_str());
        let text = self.source.text().get(start..end).unwrap_or_default();
        match text.rfind(written) {
            Some(at) if !written.is_empty() => Span { start: start + at, end: start + at + written.len() },
            _ => Span { start: start + text.len() - text.trim_start().len(), end },
        }
    }

    /// The value that a node stands for.
    fn value(&mut self, parts: &Parts<'_>, shape: &'s Shape, name: &str) -> Node {
        if self.shapes.forms(shape).iter().any(|form| matches!(form, Shape::Free)) {
            return self.free(parts);
        }
        let forms = self.forms(shape);
        if parts.plain() {
            return self.arguments(parts, forms, name);
        }
        let children = parts.children.unwrap_or_default();
        let bare = parts.arguments.is_empty() && parts.properties.is_empty();
        let is_item = |child: &KdlNode| child.name().value() == "-" || plural_of(&snake(child.name().value()), name);
        if let Some(item) = forms.list {
            let nested = bare && !children.is_empty() && children.iter().all(is_item);
            let dashes = nested && children.iter().all(|child| child.name().value() == "-");
            if dashes || (nested && forms.object.is_none() && forms.map.is_none()) {
                let items = children.iter().map(|child| Arc::new(self.value(&Parts::of(child), item, name))).collect();
                return Node::new(Value::Seq(items), parts.span);
            }
            if forms.object.is_none() && forms.map.is_none() {
                let item = self.value(parts, item, name);
                return Node::new(Value::Seq(vec![Arc::new(item)]), parts.span);
            }
        }
        match (forms.object, forms.map) {
            (Some(object), _) => self.object(parts, object),
            (None, Some(value)) => self.map(parts, value),
            // The schema wants a single value: the check of the shape says so.
            (None, None) => self.map(parts, &Shape::Text),
        }
    }

    fn arguments(&mut self, parts: &Parts<'_>, forms: Forms<'s>, name: &str) -> Node {
        let named = |reader: &mut Self, entry: &KdlEntry, shape: &'s Shape| {
            let parts = Parts { arguments: vec![entry], properties: Vec::new(), children: None, span: parts.span };
            reader.value(&parts, shape, name)
        };
        match (parts.arguments.as_slice(), forms) {
            ([], _) => Node::new(Value::Null, parts.span),
            ([one], Forms { scalar: false, list: None, object: Some(object), .. }) if object.argument.is_some() => {
                let _ = one;
                self.object(parts, object)
            }
            ([one], Forms { scalar: false, list: Some(item), .. }) => {
                let item = named(self, one, item);
                Node::new(Value::Seq(vec![Arc::new(item)]), parts.span)
            }
            ([one], _) => self.scalar(one),
            (several, Forms { list: Some(item), .. }) => {
                let items = several.iter().map(|entry| Arc::new(named(self, entry, item))).collect();
                Node::new(Value::Seq(items), parts.span)
            }
            (several, _) => {
                let items = several.iter().map(|entry| Arc::new(self.scalar(entry))).collect();
                Node::new(Value::Seq(items), parts.span)
            }
        }
    }

    /// A map with free keys: properties and children, their names as they are.
    pub(super) fn map(&mut self, parts: &Parts<'_>, shape: &'s Shape) -> Node {
        let mut entries = Entries::default();
        if let Some((first, rest)) = parts.split_first() {
            // `ulimit "nofile" 65536`: the key, then its value.
            let key = Key { text: entry_text(first).into(), span: self.value_span(first) };
            let node = self.value(&rest, shape, "");
            self.add(&mut entries, key, node, false);
            return Node::new(entries.into_value(), parts.span);
        }
        for property in &parts.properties {
            let key = property_key(property);
            let node = self.scalar(property);
            self.add(&mut entries, key, node, false);
        }
        for child in parts.children.unwrap_or_default() {
            let key = Key { text: child.name().value().into(), span: name_span(child) };
            let node = self.value(&Parts::of(child), shape, "");
            self.add(&mut entries, key, node, false);
        }
        Node::new(entries.into_value(), parts.span)
    }

    /// Anything: an argument is a value, several are a list, children called `-` are the items of one, and other children
    /// and properties are the entries of a map.
    fn free(&mut self, parts: &Parts<'_>) -> Node {
        let children = parts.children.unwrap_or_default();
        let dashes = !children.is_empty() && children.iter().all(|child| child.name().value() == "-");
        match parts.arguments.as_slice() {
            [one] if parts.plain() => self.scalar(one),
            [] if dashes && parts.properties.is_empty() => {
                let items = children.iter().map(|child| Arc::new(self.free(&Parts::of(child)))).collect();
                Node::new(Value::Seq(items), parts.span)
            }
            several if parts.plain() => {
                let items = several.iter().map(|entry| Arc::new(self.scalar(entry))).collect();
                Node::new(if several.is_empty() { Value::Null } else { Value::Seq(items) }, parts.span)
            }
            arguments => {
                if let Some(first) = arguments.first() {
                    let message = "this node has both arguments and properties or children".to_owned();
                    let help = "write a list (only arguments) or a map (only properties and children)";
                    self.mistake("extra-argument", self.value_span(first), message, help);
                }
                let mut entries = Entries::default();
                for property in &parts.properties {
                    let node = self.scalar(property);
                    self.add(&mut entries, property_key(property), node, false);
                }
                for child in children {
                    let node = self.free(&Parts::of(child));
                    self.add(
                        &mut entries,
                        Key { text: child.name().value().into(), span: name_span(child) },
                        node,
                        false,
                    );
                }
                Node::new(entries.into_value(), parts.span)
            }
        }
    }

    /// A map with known keys.
    pub(super) fn object(&mut self, parts: &Parts<'_>, object: &'s Object) -> Node {
        let mut entries = Entries::default();
        match (parts.arguments.as_slice(), &object.argument) {
            ([], _) => {}
            ([first, extra @ ..], Some(name)) => {
                let node = self.scalar(first);
                self.add(&mut entries, Key { text: name.as_str().into(), span: node.span }, node, false);
                if let Some(extra) = extra.first() {
                    let span = self.value_span(extra);
                    let message =
                        format!("a second argument: the first is `{name}`, and there is no key for a second one");
                    self.mistake("extra-argument", span, message, "write `key=value`, or a child node");
                }
            }
            ([first, ..], None) => {
                let span = self.value_span(first);
                let message = "this node takes no argument".to_owned();
                self.mistake("extra-argument", span, message, "write `key=value`, or a child node");
            }
        }
        for property in &parts.properties {
            let key = property_key(property);
            let key = Key { text: snake(&key.text).into(), ..key };
            let node = self.scalar(property);
            self.add(&mut entries, key, node, false);
        }
        for child in parts.children.unwrap_or_default() {
            self.child(child, object, &mut entries);
        }
        Node::new(entries.into_value(), parts.span)
    }

    fn child(&mut self, child: &KdlNode, object: &'s Object, entries: &mut Entries) {
        if let Some(ty) = child.ty() {
            let message = format!("the type annotation `({})` has no meaning here", ty.value());
            self.mistake("unknown-tag", name_span(child), message, "remove it");
        }
        let parts = Parts::of(child);
        let name = snake(child.name().value());
        let span = name_span(child);
        if let Some((canonical, shape)) = object.property(&name) {
            let node = self.value(&parts, shape, canonical);
            let collects = self.forms(shape).list.is_some();
            self.add(entries, Key { text: name.into(), span }, node, collects);
            return;
        }
        let Some((plural, shape)) = object.properties.iter().find(|(plural, _)| plural_of(&name, plural)) else {
            // The check of the shape names the unknown key.
            let text = child.name().value();
            self.add(entries, Key { text: text.into(), span }, Node::new(Value::Null, parts.span), true);
            return;
        };
        let forms = self.forms(shape);
        let node = match (forms.list, forms.map) {
            (Some(item), None) => {
                let item = self.value(&parts, item, "");
                Node::new(Value::Seq(vec![Arc::new(item)]), parts.span)
            }
            (Some(item), Some(_)) if parts.plain() && parts.arguments.len() == 1 => {
                let item = self.value(&parts, item, "");
                Node::new(Value::Seq(vec![Arc::new(item)]), parts.span)
            }
            (_, Some(value)) => self.map(&parts, value),
            (None, None) => self.value(&parts, shape, plural),
        };
        self.add(entries, Key { text: plural.as_str().into(), span }, node, true);
    }
}

/// `kebab-case` as the keys have it.
pub(super) fn snake(name: &str) -> String {
    name.replace('-', "_")
}

/// Whether `plural` is the plural of `name`.
fn plural_of(name: &str, plural: &str) -> bool {
    plural.strip_suffix('s').is_some_and(|stem| stem == name)
        || plural.strip_suffix("ies").is_some_and(|stem| name.strip_suffix('y') == Some(stem))
}

pub(super) fn name_span(node: &KdlNode) -> Span {
    let span = node.name().span();
    Span { start: span.offset(), end: span.offset() + span.len() }
}

fn property_key(entry: &KdlEntry) -> Key {
    let (text, span) =
        entry.name().map_or((String::new(), entry.span()), |name| (name.value().to_owned(), name.span()));
    Key { text: text.into(), span: Span { start: span.offset(), end: span.offset() + span.len() } }
}

fn entry_text(entry: &KdlEntry) -> String {
    entry.value().as_string().map_or_else(|| entry.value().to_string(), str::to_owned)
}
