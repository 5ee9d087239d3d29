//! Builder files: images to build, tag and push.

use super::build_context::BuildRequest;
use super::image::split_tag;
use super::{Resolver, stem};
use crate::manifest::cursor::Cursor;
use crate::manifest::raw::builder::{Builder, BuilderImage};
use crate::model::{BuildFile, BuildImage, BuildSettings, Registry};
use std::collections::BTreeMap;

/// Resolves a builder file.
pub(crate) fn builder(cx: &mut Resolver<'_>, raw: Builder, at: Cursor<'_>) -> BuildFile {
    if raw.gitlab.is_some() && raw.registry.is_some() {
        let help = "keep one of the two: a builder file pushes to one registry";
        cx.mistake("two-registries", at.name("registry"), "`gitlab` and `registry` are both given", help);
    }
    let registry = match (raw.gitlab, raw.registry) {
        (Some(gitlab), _) if gitlab.enabled != Some(false) => cx.gitlab(&gitlab, at.key("gitlab")),
        (_, Some(registry)) => Some(cx.registry(registry, at.key("registry"))),
        _ => None,
    };
    let mut images: Vec<BuildImage> = Vec::new();
    for (index, image) in raw.images.into_iter().enumerate() {
        let at = at.key("images").item(index);
        let Some(image) = cx.builder_image(image, registry.as_ref(), at) else { continue };
        if images.iter().any(|other| other.build.friendly() == image.build.friendly()) {
            let message = format!("the image `{}` is built twice", image.build.friendly());
            cx.mistake("duplicate-image", at, message, "give one of the two another name or tag");
        }
        images.push(image);
    }
    let settings = raw.settings.unwrap_or_default();
    let push_after_build = settings.push_after_build.unwrap_or(true);
    if registry.is_none() && settings.push_after_build == Some(true) {
        let help = "add `registry: {address: …}`, or set `push_after_build: false`";
        cx.mistake(
            "missing-registry",
            at.key("settings").key("push_after_build"),
            "there is no registry to push to",
            help,
        );
    }
    BuildFile {
        name: raw.name.map_or_else(|| stem(at.source().path()).to_owned(), |name| name.0),
        description: raw.description.map(|text| text.0),
        at: at.location(),
        settings: BuildSettings {
            parallel: settings.parallel.unwrap_or(false),
            push_after_build: push_after_build && registry.is_some(),
            cleanup_after_push: settings.cleanup_after_push.unwrap_or(false),
        },
        registry,
        images,
    }
}

impl Resolver<'_> {
    fn builder_image(&mut self, raw: BuilderImage, registry: Option<&Registry>, at: Cursor<'_>) -> Option<BuildImage> {
        // The parser of image names adds `:latest`; a tag of its own is given only where the text has one.
        let name_key = if at.has("name") { "name" } else { "image_name" };
        let (repository, name_tag) = split_tag(&raw.name.0);
        let in_name =
            at.key(name_key).text().is_some_and(|text| text.rsplit('/').next().is_some_and(|part| part.contains(':')));
        if in_name && raw.tag.is_some() {
            let help = "keep the tag in one place";
            self.mistake(
                "two-tags",
                at.key(name_key),
                format!("`{}` contains a tag, and `tag` is another one", raw.name.0),
                help,
            );
        }
        let mut args = BTreeMap::new();
        for (name, value, _) in self.pairs(raw.build_args, at.key("build_args")) {
            args.insert(name, value);
        }
        let context_key = if at.has("context") { "context" } else { "build_context" };
        let build = self.build(BuildRequest {
            repository,
            tag: raw.tag.map_or(name_tag, |tag| tag.0),
            context: raw.context.map_or_else(|| ".".to_owned(), |context| context.0),
            dockerfile: raw.dockerfile.map(|path| path.0),
            args,
            target: raw.target.map(|stage| stage.0),
            no_cache: raw.no_cache.unwrap_or(false),
            context_at: at.key(context_key),
            dockerfile_at: at.key("dockerfile"),
        })?;
        let push_reference = registry.map(|registry| {
            let project = registry.project.as_deref().filter(|project| !project.is_empty());
            let prefix =
                project.map_or_else(|| registry.address.clone(), |project| format!("{}/{project}", registry.address));
            format!("{prefix}/{}", build.friendly())
        });
        Some(BuildImage { build, push_reference, at: at.location() })
    }
}
