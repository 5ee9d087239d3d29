//! Checked files → [`Desired`]: defaults filled in, names normalised, and for every field the place that sets it.

mod build_context;
mod builder;
mod container;
mod deployment;
mod entries;
mod health;
mod image;
mod limits;
pub(super) mod paths;
mod schedule;
mod servers;
mod service;
mod settings;
mod storage;
mod target;
mod task;
mod timeline;

pub(super) use builder::builder;
pub(super) use deployment::{Resolved, deployment};
pub(super) use schedule::schedule;
pub(super) use servers::Servers;
pub(super) use service::Draft;
pub(super) use settings::settings;

use super::cursor::Cursor;
use super::report::{Certainty, Diagnostic};
use super::text::Place;
use crate::model::{FileTree, Notice};
use std::collections::BTreeSet;

/// What every step of the resolution needs, and what it finds.
pub(super) struct Resolver<'a> {
    /// The files of the revision.
    pub tree: &'a FileTree,
    /// The mistakes so far.
    pub mistakes: Vec<Diagnostic>,
    /// The remarks so far.
    pub notices: Vec<Notice>,
    /// Paths of the env files that were read.
    pub env_files: BTreeSet<String>,
}

impl Resolver<'_> {
    /// Adds a mistake in the meaning of a file.
    pub(super) fn mistake(
        &mut self,
        code: &'static str,
        at: Cursor<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(meaning(code, &at.place(), message).help(help));
    }

    /// Adds a mistake.
    pub(super) fn add(&mut self, mistake: Diagnostic) {
        self.mistakes.push(mistake);
    }

    /// Adds a remark.
    pub(super) fn notice(&mut self, at: Cursor<'_>, text: impl Into<String>) {
        self.notices.push(Notice { at: at.location(), text: text.into() });
    }
}

/// A mistake in the meaning of a file.
pub(super) fn meaning(code: &'static str, place: &Place, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(code, Certainty::Meaning, place, message)
}

/// The identifier of a display name: lower case, everything that cannot stand in a name as `-`.
pub(super) fn identifier(title: &str) -> String {
    let mut id = String::new();
    for letter in title.trim().chars() {
        match letter {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '.' => id.push(letter.to_ascii_lowercase()),
            _ if id.ends_with('-') => {}
            _ => id.push('-'),
        }
    }
    let trimmed = id.trim_start_matches(['-', '.', '_']).trim_end_matches('-');
    trimmed.chars().take(128).collect()
}

/// The name of a file without folder and ending.
pub(super) fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    #[test]
    fn identifiers_follow_from_titles() {
        assert_eq!(super::identifier("gRPC Orchestrator  Deployment!"), "grpc-orchestrator-deployment");
        assert_eq!(super::identifier("_shop.eu_1"), "shop.eu_1");
        assert_eq!(super::identifier("…"), "");
        assert_eq!(super::stem("deployments/deployment_config.yaml"), "deployment_config");
    }
}
