//! From a name to a commit.

use super::SourceError;
use super::tree::corrupt;
use crate::model::{CommitId, Revision, Timestamp};
use git2::{Commit, Error, ErrorCode, Oid, Repository};

/// The commit that is followed, and the short name of the branch or tag.
pub(super) fn followed<'repo>(
    repo: &'repo Repository,
    reference: Option<&str>,
    place: &str,
) -> Result<(Commit<'repo>, String), SourceError> {
    let Some(name) = reference else { return head(repo, place) };
    let mut candidates =
        vec![format!("refs/heads/{name}"), format!("refs/tags/{name}"), format!("refs/remotes/{name}")];
    if name.starts_with("refs/") {
        candidates.insert(0, name.to_owned());
    }
    for candidate in &candidates {
        match repo.find_reference(candidate) {
            Ok(found) => {
                let short = String::from_utf8_lossy(found.shorthand_bytes()).into_owned();
                let commit = found.peel_to_commit().map_err(|error| unresolved(repo, name, place, error))?;
                return Ok((commit, short));
            }
            Err(error) if matches!(error.code(), ErrorCode::NotFound | ErrorCode::InvalidSpec) => {}
            Err(error) => return Err(corrupt(place, error)),
        }
    }
    Ok((revision(repo, name, place)?, name.to_owned()))
}

/// The commit that any name git understands stands for, and the name it was reached by.
pub(super) fn named<'repo>(
    repo: &'repo Repository,
    name: &str,
    follow: Option<&str>,
    place: &str,
) -> Result<(Commit<'repo>, String), SourceError> {
    if name == "HEAD" {
        return head(repo, place);
    }
    let Ok(id) = Oid::from_str(name) else { return followed(repo, Some(name), place) };
    if name.len() != 40 {
        return followed(repo, Some(name), place);
    }
    let commit = repo.find_commit(id).map_err(|error| match error.code() {
        ErrorCode::NotFound => missing(repo, name, place),
        _ => corrupt(place, error),
    })?;
    // A full id usually comes from a fetch before: name the branch that led to it, while that is still true.
    let reached = followed(repo, follow, place)
        .ok()
        .filter(|(tip, _)| tip.id() == id || repo.graph_descendant_of(tip.id(), id).unwrap_or(false));
    Ok((commit, reached.map_or_else(|| name.to_owned(), |(_, reference)| reference)))
}

fn head<'repo>(repo: &'repo Repository, place: &str) -> Result<(Commit<'repo>, String), SourceError> {
    match repo.head() {
        Ok(head) => {
            let name = String::from_utf8_lossy(head.shorthand_bytes()).into_owned();
            Ok((head.peel_to_commit().map_err(|error| corrupt(place, error))?, name))
        }
        Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
            let target = repo.find_reference("HEAD").ok().and_then(|head| {
                let target = head.symbolic_target_bytes()?;
                Some(String::from_utf8_lossy(target.strip_prefix(b"refs/heads/").unwrap_or(target)).into_owned())
            });
            Err(missing(repo, target.as_deref().unwrap_or("HEAD"), place))
        }
        Err(error) => Err(corrupt(place, error)),
    }
}

fn revision<'repo>(repo: &'repo Repository, name: &str, place: &str) -> Result<Commit<'repo>, SourceError> {
    let object = repo.revparse_single(name).map_err(|error| unresolved(repo, name, place, error))?;
    object.peel_to_commit().map_err(|error| unresolved(repo, name, place, error))
}

fn unresolved(repo: &Repository, name: &str, place: &str, error: Error) -> SourceError {
    match error.code() {
        ErrorCode::NotFound if repo.find_reference(&format!("refs/heads/{name}")).is_ok() => corrupt(place, error),
        ErrorCode::NotFound | ErrorCode::InvalidSpec | ErrorCode::Ambiguous | ErrorCode::Peel => {
            missing(repo, name, place)
        }
        _ => corrupt(place, error),
    }
}

fn missing(repo: &Repository, name: &str, place: &str) -> SourceError {
    let names = |pattern: &str, prefix: &str| -> Vec<String> {
        let Ok(found) = repo.references_glob(pattern) else { return Vec::new() };
        found
            .filter_map(Result::ok)
            .map(|reference| String::from_utf8_lossy(reference.name_bytes()).into_owned())
            .filter_map(|full| full.strip_prefix(prefix).map(str::to_owned))
            .collect()
    };
    let mut branches = names("refs/heads/*", "refs/heads/");
    branches.sort();
    let all: Vec<String> = branches.iter().cloned().chain(names("refs/tags/*", "refs/tags/")).collect();
    if all.is_empty() && repo.head().is_err() {
        return SourceError::Empty { place: place.to_owned() };
    }
    let mut near: Vec<(f64, String)> = all
        .into_iter()
        .map(|other| (strsim::jaro_winkler(name, &other), other))
        .filter(|(score, _)| *score >= 0.75)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    near.truncate(3);
    branches.truncate(8);
    SourceError::MissingReference {
        place: place.to_owned(),
        reference: name.to_owned(),
        near: near.into_iter().map(|(_, name)| name).collect(),
        branches,
    }
}

/// What the rest of the program knows of a commit.
pub(super) fn describe(commit: &Commit<'_>, reference: String) -> Revision {
    let author = commit.author();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Revision {
        commit: CommitId::new(commit.id().to_string()),
        reference,
        summary: commit.summary_bytes().map(text).unwrap_or_default(),
        author: format!("{} <{}>", text(author.name_bytes()), text(author.email_bytes())),
        time: Timestamp::from_second(commit.time().seconds()).unwrap_or(Timestamp::UNIX_EPOCH),
    }
}
