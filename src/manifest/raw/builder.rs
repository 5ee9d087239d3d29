//! A builder file: root key `builder`.

use super::network::{Gitlab, Registry};
use super::text::{Pairs, Text};
use super::units::{ImageName, Tag};
use schemars::JsonSchema;
use serde::Deserialize;

/// A builder file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuilderFile {
    /// The images to build.
    pub builder: Builder,
}

/// Images to build, tag and push.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "name"))]
pub struct Builder {
    /// Name of this set of images; default the file's name.
    pub name: Option<Text>,
    /// Free text.
    pub description: Option<Text>,
    /// The GitLab registry that images are pushed to.
    pub gitlab: Option<Gitlab>,
    /// The registry that images are pushed to.
    pub registry: Option<Registry>,
    /// The images.
    pub images: Vec<BuilderImage>,
    /// How the images are built and pushed.
    pub settings: Option<BuilderSettings>,
}

/// An image to build.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-kdl-argument" = "name"))]
pub struct BuilderImage {
    /// Name of the image, without registry and tag.
    #[schemars(extend("x-aliases" = ["image_name"]))]
    pub name: ImageName,
    /// Tag of the image; default `latest`.
    #[schemars(extend("x-aliases" = ["image_tag"]))]
    pub tag: Option<Tag>,
    /// Path of the Dockerfile; default `Dockerfile` in the context.
    pub dockerfile: Option<Text>,
    /// Folder in this repo; default the root.
    #[schemars(extend("x-aliases" = ["build_context"]))]
    pub context: Option<Text>,
    /// Ignore the engine's build cache.
    pub no_cache: Option<bool>,
    /// Build arguments.
    pub build_args: Option<Pairs>,
    /// Build stage to stop at; default the last.
    pub target: Option<Text>,
}

/// How the images of a builder file are built and pushed.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BuilderSettings {
    /// Build several images at the same time; default false.
    #[schemars(extend("x-aliases" = ["build_parallel"]))]
    pub parallel: Option<bool>,
    /// Push the images after building them; default true.
    pub push_after_build: Option<bool>,
    /// Remove the registry's name for the image after the push; default false.
    #[schemars(extend("x-aliases" = ["cleanup_local_after_push"]))]
    pub cleanup_after_push: Option<bool>,
}
