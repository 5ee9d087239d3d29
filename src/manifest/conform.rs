//! A tree against the shapes of its kind: every mistake, and the value with its texts turned into the right types.
//!
//! What has a mistake is left out, so that the rest of the file can be looked at all the same: an optional key by itself, a
//! required one with the map that needs it.

use super::free::{free, integer};
use super::raw::units;
use super::report::{Certainty, Diagnostic};
use super::shape::{Object, Shape, Shapes};
use super::suggest::{alternatives, nearest};
use super::text::{Place, SourceFile, Span};
use super::tree::{Key, Node, Value};
use serde_json::{Map, Value as Json};
use std::collections::HashSet;
use std::sync::Arc;

/// Mistakes above this number in one file are not collected: they have one cause.
const LIMIT: usize = 1000;

/// What is left of a tree after the check.
#[derive(Debug)]
pub(super) struct Conformed {
    /// The values, typed; `None` when too little is left.
    pub(super) json: Option<Json>,
    /// The places of list items that were left out; see [`prune`].
    pub(super) dropped: HashSet<Span>,
}

/// Checks a tree. The value is complete only when no mistake was added.
pub(super) fn conform(
    source: &Arc<SourceFile>,
    shapes: &Shapes,
    shape: &Shape,
    node: &Node,
    mistakes: &mut Vec<Diagnostic>,
) -> Conformed {
    let mut walk = Walk { source, shapes, mistakes, path: Vec::new(), key: None, dropped: HashSet::new() };
    let json = walk.value(shape, node);
    Conformed { json, dropped: walk.dropped }
}

/// The tree without the list items at these places, so that the numbers of the others are those of the values again.
pub(super) fn prune(node: &Arc<Node>, dropped: &HashSet<Span>) -> Arc<Node> {
    if dropped.is_empty() {
        return Arc::clone(node);
    }
    let value = match &node.value {
        Value::Seq(items) => {
            let kept = items.iter().filter(|item| !dropped.contains(&item.span));
            Value::Seq(kept.map(|item| prune(item, dropped)).collect())
        }
        Value::Map(entries) => {
            Value::Map(entries.iter().map(|(key, node)| (key.clone(), prune(node, dropped))).collect())
        }
        _ => return Arc::clone(node),
    };
    Arc::new(Node::new(value, node.span))
}

/// One step down from the root of a file.
enum Step {
    Key(Arc<str>),
    Item(usize),
}

struct Walk<'a> {
    source: &'a Arc<SourceFile>,
    shapes: &'a Shapes,
    mistakes: &'a mut Vec<Diagnostic>,
    /// The keys and items above, for messages.
    path: Vec<Step>,
    /// The key whose value is looked at: where a missing value is marked.
    key: Option<Span>,
    /// List items that were left out.
    dropped: HashSet<Span>,
}

impl<'a> Walk<'a> {
    fn mistake(&mut self, code: &'static str, span: Span, message: String, label: String, help: String) {
        if self.mistakes.len() < LIMIT {
            let place = Place { source: Arc::clone(self.source), span };
            self.mistakes.push(Diagnostic::new(code, Certainty::Format, &place, message).label(label).help(help));
        }
    }

    /// `ports[2]`: the last key and the items below it.
    fn parent(&self) -> Option<String> {
        let key = self.path.iter().rposition(|step| matches!(step, Step::Key(_))).unwrap_or(0);
        let name = |step: &Step| match step {
            Step::Key(key) => key.to_string(),
            Step::Item(index) => format!("[{index}]"),
        };
        (!self.path.is_empty()).then(|| self.path.iter().skip(key).map(name).collect())
    }

    /// The name of the place, for messages.
    fn here(&self) -> String {
        self.parent().map_or_else(|| "the file".to_owned(), |parent| format!("`{parent}`"))
    }

    fn value(&mut self, shape: &'a Shape, node: &Node) -> Option<Json> {
        let shapes = self.shapes;
        if matches!(node.value, Value::Null) {
            return if shapes.allows_null(shape) { Some(Json::Null) } else { self.null(&shapes.forms(shape), node) };
        }
        let fits = |form: &Shape| match &node.value {
            Value::Null => false,
            Value::Scalar { .. } => is_scalar(form),
            Value::Seq(_) => matches!(form, Shape::List(_)),
            Value::Map(_) => matches!(form, Shape::Map(_) | Shape::Object(_) | Shape::Free),
        };
        let (mut first, mut several) = (None, Vec::new());
        shapes.each_form(shape, &mut |form| match first {
            _ if !fits(form) => {}
            None => first = Some(form),
            Some(_) => several.push(form),
        });
        let Some(mut last) = first else { return self.wrong_type(&shapes.forms(shape), node) };
        // Several scalar forms: the first that takes the text, and the mistake of the last when none does.
        for next in several {
            let before = self.mistakes.len();
            if let Some(value) = self.form(last, node) {
                return Some(value);
            }
            self.mistakes.truncate(before);
            last = next;
        }
        self.form(last, node)
    }

    fn form(&mut self, form: &'a Shape, node: &Node) -> Option<Json> {
        match (form, &node.value) {
            (Shape::List(item), Value::Seq(items)) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, node) in items.iter().enumerate() {
                    self.path.push(Step::Item(index));
                    match self.value(item, node) {
                        Some(value) => values.push(value),
                        None => {
                            self.dropped.insert(node.span);
                        }
                    }
                    self.path.pop();
                }
                Some(Json::Array(values))
            }
            (Shape::Map(value), Value::Map(entries)) => {
                let mut map = Map::new();
                for (key, node) in entries {
                    if let Some(value) = self.entry(key, value, node) {
                        map.insert(key.text.to_string(), value);
                    }
                }
                Some(Json::Object(map))
            }
            (Shape::Object(object), Value::Map(entries)) => self.object(object, entries, node),
            (Shape::Free, _) => Some(free(node, self.source.path().ends_with(".kdl"))),
            (_, Value::Scalar { text, .. }) => self.scalar(form, text, node.span),
            _ => None,
        }
    }

    /// The value of a key.
    fn entry(&mut self, key: &Key, shape: &'a Shape, node: &Node) -> Option<Json> {
        self.path.push(Step::Key(Arc::clone(&key.text)));
        let above = self.key.replace(key.span);
        let json = self.value(shape, node);
        self.key = above;
        self.path.pop();
        json
    }

    fn object(&mut self, object: &'a Object, entries: &[(Key, Arc<Node>)], node: &Node) -> Option<Json> {
        let mut map = Map::new();
        let mut seen: Vec<&str> = Vec::new();
        for (key, value) in entries {
            let Some((name, shape)) = object.property(&key.text) else {
                self.unknown_key(object, key);
                continue;
            };
            if seen.contains(&name) {
                let same =
                    |other: &&(Key, Arc<Node>)| object.property(&other.0.text).is_some_and(|(own, _)| own == name);
                let first = entries.iter().find(same).map_or(name, |(first, _)| &first.text);
                let help = format!("`{first}` and `{}` mean the same; keep one", key.text);
                let message = format!("`{name}` is given twice");
                self.mistake("duplicate-key", key.span, message, "again here".to_owned(), help);
                continue;
            }
            seen.push(name);
            if let Some(json) = self.entry(key, shape, value) {
                map.insert(name.to_owned(), json);
            }
        }
        for key in &object.required {
            if !seen.contains(&key.as_str()) {
                let what = match self.parent() {
                    Some(parent) => format!("`{parent}` lacks `{key}`"),
                    None => format!("the file lacks `{key}`"),
                };
                let help = format!("add `{key}: …`");
                self.mistake("missing-key", node.span, what, format!("`{key}` is missing here"), help);
            }
        }
        object.required.iter().all(|key| map.contains_key(key)).then_some(Json::Object(map))
    }

    fn unknown_key(&mut self, object: &Object, key: &Key) {
        if self.mistakes.len() >= LIMIT {
            return;
        }
        let place = match self.parent() {
            Some(parent) => format!(" in `{parent}`"),
            None => String::new(),
        };
        let known = object.properties.keys().chain(object.aliases.keys()).map(String::as_str);
        let (label, help) = match nearest(&key.text, known) {
            Some(near) => (format!("did you mean `{near}`?"), format!("rename it to `{near}`, or remove it")),
            None => {
                let names: Vec<&str> = object.properties.keys().map(String::as_str).collect();
                let help = format!("remove it; the keys allowed here are {}", names.join(", "));
                ("not allowed here".to_owned(), help)
            }
        };
        self.mistake("unknown-key", key.span, format!("unknown key `{}`{place}", key.text), label, help);
    }

    fn null(&mut self, forms: &[&Shape], node: &Node) -> Option<Json> {
        let message = format!("{} has no value", self.here());
        let help = match forms {
            [Shape::Text] => "write the text, `\"\"` for the empty one, or remove the key".to_owned(),
            _ => format!("write {}, or remove the key", self.expected(forms)),
        };
        let span = if node.span.start == node.span.end { self.key.unwrap_or(node.span) } else { node.span };
        self.mistake("missing-value", span, message, "a value is missing".to_owned(), help);
        None
    }

    fn wrong_type(&mut self, forms: &[&'a Shape], node: &Node) -> Option<Json> {
        // KDL writes a list of one, and a YAML file may have a text where several could stand.
        if let ([Shape::List(item)], Value::Scalar { .. } | Value::Map(_)) = (forms, &node.value)
            && self.wraps(item, node)
        {
            return self.value(item, node).map(|value| Json::Array(vec![value]));
        }
        let expected = self.expected(forms);
        let message = format!("{} is {}, but {expected} is expected", self.here(), node.kind());
        let label = format!("expected {expected}");
        let help = match (forms.first(), &node.value) {
            (Some(Shape::List(_)), Value::Map(_)) => "write a list: start each item with `- `".to_owned(),
            (Some(Shape::Object(object)), _) => {
                let mut keys: Vec<&str> = object.required.iter().map(String::as_str).collect();
                let rest = object
                    .properties
                    .keys()
                    .map(String::as_str)
                    .filter(|key| !object.required.iter().any(|r| r == key));
                keys.extend(rest.take(6 - keys.len().min(6)));
                format!("write a map with keys such as {}", alternatives(keys))
            }
            _ => format!("write {expected}"),
        };
        self.mistake("wrong-type", node.span, message, label, help);
        None
    }

    /// Whether a single value may stand for a list of one: only texts, and only where they are unmistakable.
    fn wraps(&self, item: &Shape, node: &Node) -> bool {
        let scalar = matches!(node.value, Value::Scalar { .. });
        scalar && self.shapes.forms(item).iter().any(|form| is_scalar(form))
    }

    fn scalar(&mut self, form: &Shape, text: &Arc<str>, span: Span) -> Option<Json> {
        let raw: &str = text;
        match form {
            Shape::Text => Some(Json::String(raw.to_owned())),
            Shape::Unit(unit) => {
                if let Err(error) = units::check(unit, raw) {
                    self.mistake(
                        "wrong-form",
                        span,
                        format!("{}: {}", self.here(), error.message),
                        "here".to_owned(),
                        error.help,
                    );
                    return None;
                }
                Some(Json::String(raw.to_owned()))
            }
            Shape::Words(words) => {
                // YAML's `false` for `no` and the like are words too.
                if let Some(word) = words.iter().find(|word| word.eq_ignore_ascii_case(raw)) {
                    return Some(Json::String(word.clone()));
                }
                let label = match nearest(raw, words.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "not one of the allowed words".to_owned(),
                };
                let help = format!("write {}", alternatives(words.iter().map(String::as_str)));
                self.mistake("unknown-value", span, format!("`{raw}` is not a value of {}", self.here()), label, help);
                None
            }
            Shape::Integer(low, high) => match integer(raw) {
                Some(number) if (*low..=*high).contains(&number) => {
                    i64::try_from(number).map(Json::from).or_else(|_| u64::try_from(number).map(Json::from)).ok()
                }
                Some(number) => {
                    let message = format!("{}: {number} is out of bounds", self.here());
                    let help = format!("write a number from {low} to {high}");
                    self.mistake("out-of-bounds", span, message, "out of bounds".to_owned(), help);
                    None
                }
                None => {
                    let message = format!("{}: `{raw}` is not a whole number", self.here());
                    self.mistake(
                        "wrong-type",
                        span,
                        message,
                        "expected a whole number".to_owned(),
                        "write digits only".to_owned(),
                    );
                    None
                }
            },
            Shape::Bool => match raw.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => Some(Json::Bool(true)),
                "false" | "no" | "off" | "n" => Some(Json::Bool(false)),
                _ => {
                    let message = format!("{}: `{raw}` is neither true nor false", self.here());
                    self.mistake(
                        "wrong-type",
                        span,
                        message,
                        "expected true or false".to_owned(),
                        "write `true` or `false`".to_owned(),
                    );
                    None
                }
            },
            _ => None,
        }
    }

    /// What the forms are, in words.
    fn expected(&self, forms: &[&Shape]) -> String {
        let mut words: Vec<&str> = Vec::new();
        for form in forms {
            let word = match form {
                Shape::Bool => "true or false",
                Shape::Integer(..) => "a whole number",
                Shape::Words(_) => "a word",
                Shape::Text | Shape::Unit(_) => "a text",
                Shape::List(_) => "a list",
                Shape::Map(_) | Shape::Object(_) | Shape::Free => "a map",
                Shape::Ref(_) | Shape::Any(_) | Shape::Null => continue,
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.join(" or ")
    }
}

fn is_scalar(form: &Shape) -> bool {
    matches!(form, Shape::Words(_) | Shape::Unit(_) | Shape::Text | Shape::Integer(..) | Shape::Bool)
}
