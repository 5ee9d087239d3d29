//! The JSON Schema of a file kind in the form that files are checked with.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// The schema of one kind of file.
#[derive(Debug)]
pub struct Shapes {
    defs: Vec<Shape>,
    root: Shape,
}

/// What may stand at a place.
#[derive(Debug)]
pub enum Shape {
    /// A named definition.
    Ref(usize),
    /// One of several forms.
    Any(Vec<Shape>),
    /// One of these words.
    Words(Vec<String>),
    /// A text of this form (`raw::units`).
    Unit(String),
    /// Any text.
    Text,
    /// A whole number within bounds.
    Integer(i128, i128),
    /// `true` or `false`.
    Bool,
    /// A list.
    List(Box<Shape>),
    /// A map with free keys.
    Map(Box<Shape>),
    /// A map with known keys.
    Object(Object),
    /// A map of anything; its values keep the types they are written with.
    Free,
    /// Nothing.
    Null,
}

/// A map with known keys.
#[derive(Debug, Default)]
pub struct Object {
    /// The keys and what stands there.
    pub properties: BTreeMap<String, Shape>,
    /// Other spellings of keys.
    pub aliases: BTreeMap<String, String>,
    /// Keys that must be there.
    pub required: Vec<String>,
    /// The key that the argument of a KDL node gives.
    pub argument: Option<String>,
}

impl Object {
    /// The canonical spelling and shape of a key.
    pub fn property<'a>(&'a self, key: &str) -> Option<(&'a str, &'a Shape)> {
        let key = self.aliases.get(key).map_or(key, String::as_str);
        self.properties.get_key_value(key).map(|(key, shape)| (key.as_str(), shape))
    }
}

impl Shapes {
    /// Translates a schema that `schemars` generated.
    pub fn new(schema: &Value) -> Self {
        let empty = Map::new();
        let defs = schema.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
        let index: HashMap<&str, usize> = defs.keys().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        Self { defs: defs.values().map(|def| shape(def, &index)).collect(), root: shape(schema, &index) }
    }

    /// What the file as a whole is.
    pub fn root(&self) -> &Shape {
        self.resolve(&self.root)
    }

    /// The definition behind references.
    pub fn resolve<'a>(&'a self, shape: &'a Shape) -> &'a Shape {
        let mut shape = shape;
        // A chain of references is as long as the definitions at most.
        for _ in 0..=self.defs.len() {
            match shape {
                Shape::Ref(at) => match self.defs.get(*at) {
                    Some(next) => shape = next,
                    None => return shape,
                },
                _ => return shape,
            }
        }
        shape
    }

    /// The forms that a shape allows, references and nesting resolved, without [`Shape::Null`].
    pub fn forms<'a>(&'a self, shape: &'a Shape) -> Vec<&'a Shape> {
        let mut forms = Vec::new();
        self.each_form(shape, &mut |form| forms.push(form));
        forms
    }

    /// Sees every form that a shape allows, in their order.
    pub fn each_form<'a>(&'a self, shape: &'a Shape, see: &mut impl FnMut(&'a Shape)) {
        match self.resolve(shape) {
            Shape::Any(forms) => forms.iter().for_each(|form| self.each_form(form, see)),
            Shape::Null => {}
            form => see(form),
        }
    }

    /// Whether nothing may stand there.
    pub fn allows_null(&self, shape: &Shape) -> bool {
        match self.resolve(shape) {
            Shape::Any(forms) => forms.iter().any(|form| self.allows_null(form)),
            form => matches!(form, Shape::Null),
        }
    }
}

fn shape(schema: &Value, index: &HashMap<&str, usize>) -> Shape {
    let Some(map) = schema.as_object() else { return Shape::Text };
    if let Some(name) = map.get("$ref").and_then(Value::as_str)
        && let Some(at) = name.strip_prefix("#/$defs/").and_then(|name| index.get(name))
    {
        return Shape::Ref(*at);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(forms) = map.get(key).and_then(Value::as_array) {
            let consts: Vec<String> =
                forms.iter().filter_map(|form| form.get("const")?.as_str()).map(str::to_owned).collect();
            if consts.len() == forms.len() {
                return Shape::Words(consts);
            }
            return Shape::Any(forms.iter().map(|form| shape(form, index)).collect());
        }
    }
    let types: Vec<&str> = match map.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let form = form(map, &types, index);
    if types.contains(&"null") && !matches!(form, Shape::Null) { Shape::Any(vec![form, Shape::Null]) } else { form }
}

fn form(map: &Map<String, Value>, types: &[&str], index: &HashMap<&str, usize>) -> Shape {
    if map.contains_key("x-free") {
        return Shape::Free;
    }
    if let Some(unit) = map.get("x-unit").and_then(Value::as_str) {
        return Shape::Unit(unit.to_owned());
    }
    if let Some(words) = map.get("enum").and_then(Value::as_array) {
        return Shape::Words(words.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    if let Some(word) = map.get("const").and_then(Value::as_str) {
        return Shape::Words(vec![word.to_owned()]);
    }
    let bound = |key: &str, default: i128| {
        map.get(key)
            .and_then(|number| number.as_i64().map(i128::from).or(number.as_f64().map(|n| n as i128)))
            .unwrap_or(default)
    };
    if types.contains(&"object") {
        return object(map, index);
    }
    if types.contains(&"array") {
        return Shape::List(Box::new(map.get("items").map_or(Shape::Text, |items| shape(items, index))));
    }
    if types.contains(&"string") {
        return Shape::Text;
    }
    if types.contains(&"integer") {
        let format = map.get("format").and_then(Value::as_str);
        let (low, high) = match format {
            Some("uint8") => (0, i128::from(u8::MAX)),
            Some("uint16") => (0, i128::from(u16::MAX)),
            Some("uint32") => (0, i128::from(u32::MAX)),
            Some("uint64") => (0, i128::from(u64::MAX)),
            Some("int32") => (i128::from(i32::MIN), i128::from(i32::MAX)),
            _ => (i128::from(i64::MIN), i128::from(i64::MAX)),
        };
        return Shape::Integer(bound("minimum", low).max(low), bound("maximum", high).min(high));
    }
    if types.contains(&"boolean") { Shape::Bool } else { Shape::Null }
}

fn object(map: &Map<String, Value>, index: &HashMap<&str, usize>) -> Shape {
    if let Some(values) = map.get("additionalProperties").filter(|values| values.is_object()) {
        return Shape::Map(Box::new(shape(values, index)));
    }
    let mut object =
        Object { argument: map.get("x-kdl-argument").and_then(Value::as_str).map(str::to_owned), ..Object::default() };
    if let Some(required) = map.get("required").and_then(Value::as_array) {
        object.required = required.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    for (name, property) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
        if property.get("deprecated").is_some() {
            continue;
        }
        for alias in property.get("x-aliases").and_then(Value::as_array).into_iter().flatten() {
            if let Some(alias) = alias.as_str() {
                object.aliases.insert(alias.to_owned(), name.clone());
            }
        }
        object.properties.insert(name.clone(), shape(property, index));
    }
    let default = ["id", "name"].into_iter().find(|key| object.properties.contains_key(*key));
    object.argument = object.argument.or(default.map(str::to_owned));
    Shape::Object(object)
}
