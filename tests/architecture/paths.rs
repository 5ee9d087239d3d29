//! Which paths a Rust file names, and which of its public items have no docs. A scanner of tokens is enough: comments and texts are
//! skipped, `use` trees unfolded.

use std::collections::BTreeSet;
use std::fs;

/// A file of the crate.
pub(crate) struct Source {
    /// Path below `src/`.
    pub(crate) file: String,
    /// Top-level module it belongs to.
    pub(crate) module: String,
    /// The paths it names.
    pub(crate) paths: Vec<Path>,
    /// Whether it is compiled for tests only.
    pub(crate) is_test: bool,
    /// How many lines it has.
    pub(crate) lines: usize,
    /// Its functions: the name of each and how many lines it has.
    pub(crate) functions: Vec<(String, usize)>,
    /// Its public types, functions and other items without docs: the line and name of each.
    pub(crate) undocumented: Vec<(usize, String)>,
    /// Whether it begins with a comment about itself (`//!`).
    pub(crate) says_what_it_is: bool,
}

/// A path with at least two segments, or an imported crate.
pub(crate) struct Path {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    /// The top-level module of this crate that it leads to.
    pub(crate) top_level: Option<String>,
    /// Whether it stands under `#[cfg(test)]`.
    pub(crate) in_test: bool,
    /// Whether it is only handed on: `pub use`.
    pub(crate) handed_on: bool,
}

/// Every file below `root` that was written, not generated.
pub(crate) fn read(root: &str) -> Vec<Source> {
    let mut files = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|end| end == "rs") {
                let file = entry.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push((file, fs::read_to_string(&entry).unwrap()));
            }
        }
    }
    let tests: BTreeSet<String> = files.iter().flat_map(|(file, code)| test_modules(file, code)).collect();
    let is_test =
        |file: &str| tests.iter().any(|test| file == format!("{test}.rs") || file.starts_with(&format!("{test}/")));
    let written = files.iter().filter(|(_, code)| !code.starts_with("// @generated"));
    written.map(|(file, code)| scan(file, code, is_test(file))).collect()
}

/// The modules (`plan/tests`) that `file` declares as `#[cfg(test)] mod tests;`.
fn test_modules(file: &str, code: &str) -> Vec<String> {
    let folder = file.strip_suffix("/mod.rs").or_else(|| file.strip_suffix(".rs")).unwrap_or(file);
    let folder = if matches!(folder, "lib" | "main") { "" } else { folder };
    let declared = code.split("#[cfg(test)]").skip(1).filter_map(|after| {
        let (path, after) = match after.trim_start().strip_prefix("#[path = \"") {
            Some(after) => after.split_once("\"]").map(|(path, after)| (Some(path.trim_end_matches(".rs")), after))?,
            None => (None, after),
        };
        let after = after.trim_start();
        let after = after.strip_prefix("pub(crate) ").or(after.strip_prefix("pub(super) ")).unwrap_or(after);
        let name = after.strip_prefix("mod ")?.split_once([';', ' '])?.0;
        // `#[path]` starts from the folder of the file itself.
        let beside = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        Some(path.map_or_else(|| format!("{folder}/{name}"), |path| format!("{beside}/{path}")))
    });
    declared.map(|path| path.trim_start_matches('/').to_owned()).collect()
}

/// The paths in the text of one file.
pub(crate) fn scan(file: &str, code: &str, is_test: bool) -> Source {
    let module = file.split('/').next().unwrap_or(file).trim_end_matches(".rs").to_owned();
    let depth = file.trim_end_matches("/mod.rs").trim_end_matches(".rs").split('/').count();
    let tokens = tokens(code);
    let (mut found, mut undocumented) = (Vec::new(), Vec::new());
    let (mut at, mut braces, mut test_until) = (0, 0usize, None);
    let text = |index: usize| tokens.get(index).map_or("", |(text, _)| text.as_str());
    while at < tokens.len() {
        if test_until.is_none()
            && ["#", "[", "cfg", "(", "test", ")", "]"].iter().enumerate().all(|(i, t)| text(at + i) == *t)
        {
            test_until = Some(braces);
            at += 7;
        }
        match text(at) {
            "{" => braces += 1,
            "}" | ";" => {
                braces -= usize::from(text(at) == "}" && braces > 0);
                test_until = test_until.filter(|until| braces > *until);
            }
            word if is_word(word) && !matches!(at.checked_sub(1).map(text), Some("::" | "." | "'")) => {
                let line = tokens[at].1;
                if word == "pub" && !is_test && test_until.is_none() {
                    undocumented.extend(without_docs(&tokens, at).map(|name| (line, name)));
                }
                let imported = at.checked_sub(1).map(text) == Some("use");
                let handed_on = imported && matches!(at.checked_sub(2).map(text), Some("pub" | ")"));
                let mut leaves = Vec::new();
                at = unfold(&tokens, at, &mut Vec::new(), &mut leaves);
                for segments in leaves.into_iter().filter(|leaf| imported || leaf.len() > 1) {
                    let top_level = leads_to(&segments, depth);
                    let in_test = is_test || test_until.is_some();
                    found.push(Path { line, segments, top_level, in_test, handed_on });
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    let (lines, functions) = (code.lines().count(), functions(&tokens));
    let says_what_it_is = code.starts_with("//!");
    Source { file: file.to_owned(), module, paths: found, is_test, lines, functions, undocumented, says_what_it_is }
}

/// The name of the item whose `pub` stands at `at`, if it has no docs. Fields are not items, and a module has its docs in its own file.
fn without_docs(tokens: &[(String, usize)], at: usize) -> Option<String> {
    let text = |index: usize| tokens.get(index).map_or("", |(text, _)| text.as_str());
    let is_qualifier = |word: &str| matches!(word, "async" | "unsafe" | "extern" | "const" | "static" | "mut");
    let keyword = (at + 1..tokens.len()).find(|index| !is_qualifier(text(*index)))?;
    let named = match text(keyword) {
        "fn" | "struct" | "enum" | "union" | "trait" | "type" => text(keyword + 1),
        // A constant has no keyword of its own after its qualifiers.
        name if keyword > at + 1 => name,
        _ => return None,
    };
    let mut first = at;
    while first > 0 {
        match text(first - 1) {
            // `$(#[…])*` in a macro passes the docs of its caller on.
            DOC | "*" => return None,
            "]" => first = (0..first).rev().find(|index| text(*index) == "#" && text(index + 1) == "[")?,
            _ => break,
        }
    }
    Some(named.to_owned())
}

/// The name of each function, and how many lines it has.
fn functions(tokens: &[(String, usize)]) -> Vec<(String, usize)> {
    let text = |index: usize| tokens.get(index).map_or("", |(text, _)| text.as_str());
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if text(at) == "fn" && is_word(text(at + 1)) {
            let Some(open) = (at..tokens.len()).find(|index| matches!(text(*index), "{" | ";")) else { continue };
            let (mut depth, mut end) = (0usize, open);
            while text(open) == "{" && end < tokens.len() {
                match text(end) {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                end += 1;
            }
            let last = tokens.get(end).map_or(tokens[open].1, |(_, line)| *line);
            found.push((text(at + 1).to_owned(), last + 1 - tokens[at].1));
        }
    }
    found
}

/// The top-level module that a path into this crate leads to; `super` is counted up to the root.
fn leads_to(segments: &[String], depth: usize) -> Option<String> {
    let ups = segments.iter().take_while(|segment| *segment == "super").count();
    match segments.first()?.as_str() {
        "crate" | "setpoint" => segments.get(1).cloned(),
        "super" if ups >= depth => segments.get(ups).cloned(),
        _ => None,
    }
}

/// Reads `a::b::{c, d::*}` from `at` on, and returns the place after it.
fn unfold(tokens: &[(String, usize)], mut at: usize, prefix: &mut Vec<String>, leaves: &mut Vec<Vec<String>>) -> usize {
    let text = |index: usize| tokens.get(index).map_or("", |(text, _)| text.as_str());
    let length = prefix.len();
    prefix.push(text(at).to_owned());
    at += 1;
    while text(at) == "::" {
        at += 1;
        if text(at) == "{" {
            at += 1;
            while !matches!(text(at), "}" | "") {
                at = unfold(tokens, at, prefix, leaves);
                while !matches!(text(at), "," | "}" | "") {
                    at += 1; // `as name`
                }
                at += usize::from(text(at) == ",");
            }
            prefix.truncate(length);
            return at + 1;
        }
        if !is_word(text(at)) && text(at) != "*" {
            break; // `::<T>`
        }
        prefix.push(text(at).to_owned());
        at += 1;
    }
    leaves.push(prefix.clone());
    prefix.truncate(length);
    at
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The token of a line of docs.
const DOC: &str = "///";

/// Words, `::`, single signs and [`DOC`] with their lines; other comments, texts, characters and numbers are left out.
fn tokens(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut rest = code;
    let line = |rest: &str| 1 + code[..code.len() - rest.len()].matches('\n').count();
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = if rest.starts_with("//") {
            if rest.starts_with("///") {
                found.push((DOC.to_owned(), line(rest)));
            }
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = quoted(rest) {
            length
        } else if word > 0 {
            if !first.is_numeric() {
                found.push((rest[..word].to_owned(), line(rest)));
            }
            word
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                found.push((rest[..length].to_owned(), line(rest)));
            }
            length
        };
        rest = &rest[length..];
    }
    found
}

fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    loop {
        match (text.get(at..at + 2), text[at..].chars().next()) {
            (Some("/*"), _) => (at, depth) = (at + 2, depth + 1),
            (Some("*/"), _) => (at, depth) = (at + 2, depth - 1),
            (_, Some(other)) => at += other.len_utf8(),
            (_, None) => return at,
        }
        if depth == 0 {
            return at;
        }
    }
}

/// The length of a text or character literal that `text` starts with.
fn quoted(text: &str) -> Option<usize> {
    let raw =
        ["br", "cr", "r"].iter().find_map(|mark| text.strip_prefix(mark)).filter(|rest| rest.starts_with(['"', '#']));
    if let Some(rest) = raw {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        let open = text.len() - rest.len() + hashes;
        let end = format!("\"{}", "#".repeat(hashes));
        return rest[hashes..]
            .starts_with('"')
            .then(|| text[open + 1..].find(&end).map_or(text.len(), |found| open + 1 + found + end.len()));
    }
    let start = usize::from(text.starts_with("b\"") || text.starts_with("c\"") || text.starts_with("b'"));
    let quote = text[start..].chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let mut signs = text[start + 1..].char_indices();
    let mut count = 0;
    while let Some((at, sign)) = signs.next() {
        match sign {
            '\\' => drop(signs.next()),
            sign if sign == quote => return Some(start + at + 2),
            // A lifetime: `'a` is not closed after one sign.
            _ if quote == '\'' && count >= 1 => return None,
            _ => {}
        }
        count += 1;
        if quote == '\'' && count > 1 && sign != '\\' {
            return None;
        }
    }
    None
}
