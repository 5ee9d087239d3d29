//! Where an image comes from.

use super::Resolver;
use super::build_context::BuildRequest;
use super::service::Draft;
use crate::manifest::raw::service::{Build, BuildSpec, PullPolicy as RawPolicy};
use crate::manifest::raw::units::ImageName;
use crate::model::{FieldKind, Image, PullPolicy};

/// The repository and tag of a reference.
pub(super) fn split_tag(reference: &str) -> (String, String) {
    let plain = reference.split('@').next().unwrap_or(reference);
    match plain.rfind(':').filter(|at| !plain[*at..].contains('/')) {
        Some(at) => (plain[..at].to_owned(), plain[at + 1..].to_owned()),
        None => (plain.to_owned(), "latest".to_owned()),
    }
}

/// The model's word for when an image is pulled.
pub(super) fn policy(policy: Option<RawPolicy>) -> PullPolicy {
    match policy {
        None | Some(RawPolicy::Missing) => PullPolicy::Missing,
        Some(RawPolicy::Always) => PullPolicy::Always,
        Some(RawPolicy::Never) => PullPolicy::Never,
    }
}

impl Resolver<'_> {
    /// The image of a service: pulled, or built when it has `build`.
    pub(crate) fn image(
        &mut self,
        draft: &mut Draft<'_>,
        deployment: &str,
        image: Option<ImageName>,
        build: Option<Build>,
        pull: Option<RawPolicy>,
    ) {
        let at = draft.at;
        let Some(build) = build else {
            let Some(image) = image else {
                let help = "add `image: name:tag`, or `build: folder`";
                self.mistake("missing-image", at.key("id"), format!("`{}` has no image", draft.id), help);
                return;
            };
            draft.set(FieldKind::Image, at.key("image"));
            draft.image = Image::Pull { reference: image.0, policy: policy(pull), also_tag: None };
            draft.spec.image = draft.image.reference();
            return;
        };
        if pull.is_some() {
            let help = "remove `pull_policy`, or remove `build` to pull the image";
            self.mistake("no-effect", at.name("pull_policy"), "an image that is built cannot be pulled", help);
        }
        draft.set(FieldKind::Image, at.key("build"));
        let spec = match build {
            Build::Context(context) => BuildSpec { context: Some(context), ..BuildSpec::default() },
            Build::Full(spec) => spec,
        };
        let (repository, image_tag) = match &image {
            Some(image) => split_tag(&image.0),
            None => {
                (format!("{}/{}", repository_part(deployment), repository_part(draft.id.as_str())), "latest".to_owned())
            }
        };
        let build_at = at.key("build");
        let mut args = std::collections::BTreeMap::new();
        for (name, value, _) in self.pairs(spec.args, build_at.key("args")) {
            args.insert(name, value);
        }
        let request = BuildRequest {
            repository,
            tag: spec.tag.map_or(image_tag, |tag| tag.0),
            context: spec.context.map_or_else(|| ".".to_owned(), |context| context.0),
            dockerfile: spec.dockerfile.map(|path| path.0),
            args,
            target: spec.target.map(|stage| stage.0),
            no_cache: spec.no_cache.unwrap_or(false),
            context_at: build_at.key("context"),
            dockerfile_at: build_at.key("dockerfile"),
        };
        if let Some(build) = self.build(request) {
            draft.image = Image::Build(build);
            draft.spec.image = draft.image.reference();
        }
    }
}

/// A name as a part of a repository may be: lower case, and `.`, `_`, `__` or dashes only between letters and digits.
/// Source: the grammar of references (`distribution/reference`).
fn repository_part(name: &str) -> String {
    let mut part = String::new();
    let mut between = String::new();
    for letter in name.to_lowercase().chars() {
        if letter.is_ascii_alphanumeric() {
            let separates = matches!(between.as_str(), "." | "_" | "__") || between.bytes().all(|byte| byte == b'-');
            if !part.is_empty() {
                part.push_str(if separates { &between } else { "-" });
            }
            between.clear();
            part.push(letter);
        } else {
            between.push(letter);
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::repository_part;

    #[test]
    fn a_repository_is_named_by_any_service() {
        for (name, part) in
            [("Api-", "api"), ("a..b", "a-b"), ("a--b", "a--b"), ("a__b", "a__b"), ("a_.b", "a-b"), ("7", "7")]
        {
            assert_eq!(repository_part(name), part);
        }
    }
}
