//! The settings of a daemon: one file, no part of a config repo. A secret written into it by mistake is not shown.

use super::cursor::Cursor;
use super::raw::daemon::DaemonConfig;
use super::report::{Diagnostic, Report};
use super::resolve::meaning;
use super::text::SourceFile;
use super::tree::Node;
use super::{Kind, conform, kdl, raw, yaml};
use std::ops::Range;
use std::sync::Arc;

/// Keys whose value is a secret. None of them is a key of these settings; people write them all the same.
const SECRET_KEYS: [&str; 5] = ["token", "password", "passphrase", "secret", "pass"];

/// What to do instead.
const KEEP_OUT: &str = "a secret does not belong in this file; name the environment variable that contains it (`token-env=…`, `passphrase-env=…`) or its file (`token-file=…`)";

/// Reads the settings of a daemon. `path_name` is used in messages, and its ending tells the format (`.kdl`, else YAML).
///
/// # Errors
/// The report of all mistakes. It shows no secret.
pub fn daemon_config(path_name: &str, text: &str) -> Result<DaemonConfig, Report> {
    let source = Arc::new(SourceFile::new(path_name, text));
    let mut mistakes = Vec::new();
    let config = read(&source, &mut mistakes);
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(Report::new(masked(mistakes, &source))),
    }
}

fn read(source: &Arc<SourceFile>, mistakes: &mut Vec<Diagnostic>) -> Option<DaemonConfig> {
    let shapes = Kind::Daemon.shapes();
    let read = if source.path().ends_with(".kdl") {
        kdl::parse(source).map(|document| Some(document.tree(source, shapes, shapes.root(), mistakes)))
    } else {
        yaml::parse(source)
    };
    let tree = match read {
        Ok(Some(tree)) => tree,
        Ok(None) => {
            let mistake = Diagnostic::of_file("empty-file", source.path(), "this file is empty");
            mistakes.push(mistake.help("write at least `repo \"…\"`"));
            return None;
        }
        Err(found) => {
            mistakes.extend(found);
            return None;
        }
    };
    let conformed = conform::conform(source, shapes, shapes.root(), &tree, mistakes);
    check(source, &tree, mistakes);
    match conformed.json {
        Some(json) if mistakes.is_empty() => {
            raw::typed(json, source, tree.span).map_err(|mistake| mistakes.push(*mistake)).ok()
        }
        _ => None,
    }
}

/// What the schema cannot say.
fn check(source: &Arc<SourceFile>, tree: &Node, mistakes: &mut Vec<Diagnostic>) {
    let repo = Cursor::new(source, tree).key("repo");
    if repo.has("branch") && repo.has("tag") {
        let mistake = meaning("branch-and-tag", &repo.name("tag").place(), "`branch` and `tag` are both given");
        let help =
            "a daemon follows only one of them: remove `branch` to follow the tag, or `tag` to follow the branch";
        mistakes.push(mistake.help(help).also(repo.name("branch").place(), "the branch"));
    }
    let https = repo.key("https");
    if https.has("token_env") && https.has("token_file") {
        let place = https.name("token_file").place();
        let mistake = meaning("two-tokens", &place, "`token-env` and `token-file` are both given");
        mistakes.push(
            mistake.help("keep the one that contains the token").also(https.name("token_env").place(), "the other"),
        );
    }
    let url = repo.key("url");
    if url.text().is_some_and(|url| user_info(url).any(|info| url.get(info).is_some_and(|info| info.contains(':')))) {
        let mistake = meaning("secret-in-address", &url.place(), "the address of the repo contains a password");
        mistakes.push(mistake.label("contains a password").help(format!("remove it from the address: {KEEP_OUT}")));
    }
}

/// The mistakes without the secrets of the file, neither in their words nor in the lines that they show.
fn masked(mut mistakes: Vec<Diagnostic>, source: &Arc<SourceFile>) -> Vec<Diagnostic> {
    let text = source.text();
    let secrets: Vec<Range<usize>> = values(text).chain(user_info(text)).collect();
    if secrets.is_empty() {
        return mistakes;
    }
    let mut bytes = text.as_bytes().to_vec();
    for range in &secrets {
        // One for each byte, so that every place stays where it was.
        bytes.get_mut(range.clone()).unwrap_or_default().fill(b'*');
    }
    let shown = Arc::new(SourceFile::new(source.path(), &String::from_utf8_lossy(&bytes)));
    let words: Vec<&str> =
        secrets.iter().filter_map(|range| text.get(range.clone())).filter(|word| word.len() > 3).collect();
    let clean = |text: &mut String| words.iter().for_each(|word| *text = text.replace(word, "***"));
    for mistake in &mut mistakes {
        let key = text.get(mistake.span.start..mistake.span.end).unwrap_or_default();
        if mistake.code == "unknown-key" && SECRET_KEYS.contains(&key) {
            mistake.label = "not allowed here".to_owned();
            mistake.help = Some(KEEP_OUT.to_owned());
        }
        clean(&mut mistake.message);
        clean(&mut mistake.label);
        mistake.help.iter_mut().for_each(clean);
        if mistake.source.is_some() {
            mistake.source = Some(Arc::clone(&shown));
        }
        if let Some((place, text)) = &mut mistake.also {
            place.source = Arc::clone(&shown);
            clean(text);
        }
    }
    mistakes
}

/// Where the values of secret keys stand: `token="…"`, `token: …`, `token "…"`.
fn values(text: &str) -> impl Iterator<Item = Range<usize>> {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    SECRET_KEYS.iter().flat_map(move |key| {
        text.match_indices(key).filter_map(move |(at, _)| {
            let (before, after) = (text.get(..at)?, text.get(at + key.len()..)?);
            if before.ends_with(word) || after.starts_with(word) {
                return None;
            }
            let value = after.trim_start_matches(['"', '\'']).trim_start_matches([' ', '\t', '=', ':']);
            let start = text.len() - value.len();
            let hashes = value.len() - value.trim_start_matches('#').len();
            let inner = value.trim_start_matches('#');
            let quote = inner.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (start, length) = match quote {
                Some(quote) => {
                    let inner = inner.get(1..)?;
                    (start + hashes + 1, inner.find(quote).or_else(|| inner.find('\n')).unwrap_or(inner.len()))
                }
                None => (
                    start,
                    value.find(|c: char| c.is_whitespace() || matches!(c, '}' | ',' | ';')).unwrap_or(value.len()),
                ),
            };
            (length > 0 && start > at).then_some(start..start + length)
        })
    })
}

/// What stands between `://` and `@`, when it has a password.
fn user_info(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, _)| {
        let rest = text.get(at + 3..)?;
        let end = rest.find(|c: char| matches!(c, '/' | '"' | '\'') || c.is_whitespace()).unwrap_or(rest.len());
        let info = rest.get(..end)?.rfind('@')?;
        rest.get(..info)?.contains(':').then_some(at + 3..at + 3 + info)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Style;

    /// Everything that a person or a program gets to see of a report.
    fn seen(name: &str, text: &str) -> String {
        let report = daemon_config(name, text).unwrap_err();
        let style = Style { colour: false, unicode: true, width: 120 };
        format!("{report}\n{}\n{}", report.render(style), report.to_json())
    }

    #[test]
    fn a_secret_in_the_settings_is_refused_and_not_shown() {
        for (name, text) in [
            ("d.kdl", "repo \"https://h/a.git\" {\n    https token=\"hunter2-sesame\"\n}\n"),
            ("d.kdl", "repo \"https://h/a.git\" {\n    https {\n        token hunter2-sesame\n    }\n}\n"),
            ("d.kdl", "repo \"https://h/a.git\" {\n    https token=#\"hunter2-sesame\"#\n}\n"),
            ("d.kdl", "repo \"https://h/a.git\" { ssh passphrase=\"hunter2-sesame\"; }\n"),
            ("d.kdl", "repo \"https://ada:hunter2-sesame@h/a.git\"\n"),
            ("d.kdl", "repo \"https://ada:hunter2-sesame@h/a.git\" brnch=\"x\"\n"),
            ("d.yaml", "repo:\n  url: https://h/a.git\n  https: {token: hunter2-sesame}\n"),
            ("d.yaml", "repo:\n  url: https://h/a.git\n  https:\n    password: 'hunter2-sesame'\n"),
            ("d.yaml", "repo: {url: \"https://ada:hunter2-sesame@h/a.git\", branch: [}\n"),
        ] {
            let seen = seen(name, text);
            assert!(!seen.contains("hunter2"), "{text}: {seen}");
        }
        let text = "repo \"https://h/a.git\" {\n    https token=\"hunter2-sesame\"\n}\n";
        let seen = seen("d.kdl", text);
        assert!(seen.contains("d.kdl:2:11") && seen.contains("token-file"), "{seen}");
        assert!(!seen.contains("rename"), "the name of a variable is no place for the token: {seen}");
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        let seen =
            seen("d.kdl", "repo \"https://git@h/a.git\" {\n    https token-env=\"MY_TOKEN\" usrname=\"ada\"\n}\n");
        assert!(seen.contains("MY_TOKEN") && seen.contains("usrname"), "{seen}");
    }

    #[test]
    fn two_wishes_that_exclude_each_other_are_a_mistake() {
        let both = seen("d.kdl", "repo \"/r\" branch=\"main\" tag=\"v1\"\n");
        assert!(both.contains("[branch-and-tag] d.kdl:1:25"), "{both}");
        let both = seen("d.yaml", "repo:\n  url: /r\n  https:\n    token_env: A\n    token_file: /b\n");
        assert!(both.contains("[two-tokens] d.yaml:5:5"), "{both}");
        assert!(daemon_config("d.kdl", "repo \"/r\" tag=\"v1\"\n").is_ok());
    }
}
