//! The JSON Schema of each kind of file, generated from the types in `raw`.

use super::raw::{
    builder::BuilderFile, daemon::DaemonConfig, deployment::DeploymentFile, schedule::ScheduleFile,
    settings::SettingsFile,
};
use super::shape::Shapes;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::Value;
use std::fmt;
use std::sync::OnceLock;

/// A kind of file with a schema of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// What runs.
    Deployment,
    /// When it runs.
    Schedule,
    /// Images to build and push.
    Builder,
    /// The policy of a config repo.
    Settings,
    /// The settings of a daemon.
    Daemon,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Deployment, Self::Schedule, Self::Builder, Self::Settings, Self::Daemon];

    /// The name as it stands in `schema/<name>.schema.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Schedule => "schedule",
            Self::Builder => "builder",
            Self::Settings => "settings",
            Self::Daemon => "daemon",
        }
    }

    /// The shapes that files of this kind are checked with.
    pub(super) fn shapes(self) -> &'static Shapes {
        // One by one: most repos have files of few kinds.
        static SHAPES: [OnceLock<Shapes>; 5] = [const { OnceLock::new() }; 5];
        SHAPES[self as usize].get_or_init(|| Shapes::new(&generated(self)))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The JSON Schema (2020-12) of a kind of file, for editors and for `schema/`.
pub fn schema(kind: Kind) -> Value {
    let mut schema = generated(kind);
    match kind {
        Kind::Deployment => fragments(&mut schema, "Deployment"),
        Kind::Schedule => fragments(&mut schema, "Schedule"),
        Kind::Builder | Kind::Settings | Kind::Daemon => {}
    }
    schema
}

/// Lets the keys below the root key stand without it as well.
fn fragments(schema: &mut Value, name: &str) {
    let file_name = format!("{name}File");
    let Some(root) = schema.as_object_mut() else { return };
    let keys = ["additionalProperties", "properties", "required", "type"];
    let file: serde_json::Map<String, Value> =
        keys.into_iter().filter_map(|key| Some((key.to_owned(), root.remove(key)?))).collect();
    if let Some(defs) = root.get_mut("$defs").and_then(Value::as_object_mut) {
        defs.insert(file_name.clone(), file.into());
    }
    let forms = [file_name.as_str(), name].map(|name| serde_json::json!({ "$ref": format!("#/$defs/{name}") }));
    root.insert("anyOf".to_owned(), forms.to_vec().into());
}

/// The schema as the types give it.
fn generated(kind: Kind) -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(Aliases);
    let generator = settings.into_generator();
    let schema = match kind {
        Kind::Deployment => generator.into_root_schema_for::<DeploymentFile>(),
        Kind::Schedule => generator.into_root_schema_for::<ScheduleFile>(),
        Kind::Builder => generator.into_root_schema_for::<BuilderFile>(),
        Kind::Settings => generator.into_root_schema_for::<SettingsFile>(),
        Kind::Daemon => generator.into_root_schema_for::<DaemonConfig>(),
    };
    schema.to_value()
}

/// Lists the other spellings of a key beside it, so that an editor accepts them.
#[derive(Clone, Debug)]
struct Aliases;

impl Transform for Aliases {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        transform_subschemas(self, schema);
        let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
        let mut added = Vec::new();
        for (name, property) in properties.iter() {
            for alias in property.get("x-aliases").and_then(Value::as_array).into_iter().flatten() {
                let Some(alias) = alias.as_str() else { continue };
                let mut copy = property.clone();
                if let Some(copy) = copy.as_object_mut() {
                    copy.remove("x-aliases");
                    copy.insert("description".to_owned(), format!("The same as `{name}`.").into());
                    copy.insert("deprecated".to_owned(), true.into());
                }
                added.push((alias.to_owned(), copy));
            }
        }
        properties.extend(added);
    }
}
