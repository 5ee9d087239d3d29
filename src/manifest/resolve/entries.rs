//! Maps and lists of `NAME=value`, each entry with its place.

use super::Resolver;
use crate::manifest::cursor::Cursor;
use crate::manifest::raw::text::{Command, Pairs};

/// One name, its value, and where it is written.
pub(super) type Entry<'a> = (String, String, Cursor<'a>);

impl Resolver<'_> {
    /// The entries of a map or list at `at`.
    pub(crate) fn pairs<'a>(&mut self, pairs: Option<Pairs>, at: Cursor<'a>) -> Vec<Entry<'a>> {
        match pairs {
            None => Vec::new(),
            Some(Pairs::Map(map)) => {
                map.into_iter().map(|(name, value)| (name.clone(), value.0, at.key(&name))).collect()
            }
            Some(Pairs::List(list)) => {
                let mut entries: Vec<Entry<'a>> = Vec::new();
                for (index, text) in list.into_iter().enumerate() {
                    let at = at.item(index);
                    match text.0.split_once('=') {
                        Some((name, _)) if entries.iter().any(|(there, ..)| there == name) => {
                            self.mistake(
                                "duplicate-key",
                                at,
                                format!("`{name}` is given twice"),
                                "keep one of the two",
                            );
                        }
                        Some((name, value)) => entries.push((name.to_owned(), value.to_owned(), at)),
                        None => {
                            let help = format!("write `{}=value`; values are not taken from the environment", text.0);
                            self.mistake("missing-value", at, format!("`{}` has no value", text.0), help);
                        }
                    }
                }
                entries
            }
        }
    }

    /// A command as words; a line is split as a shell does.
    pub(crate) fn words(&mut self, command: Command, at: Cursor<'_>) -> Vec<String> {
        match command {
            Command::Words(words) => words.into_iter().map(|word| word.0).collect(),
            Command::Line(line) => shlex::split(&line.0).unwrap_or_else(|| {
                let help = "close the quotes, or write the words as a list";
                self.mistake("open-quotes", at, "the quotes of this line do not close".to_owned(), help);
                Vec::new()
            }),
        }
    }

    /// The lines of an env file: `NAME=value`, `export` before it and quotes around the value allowed, `#` comments, also behind
    /// a value that stands without quotes.
    pub(crate) fn env_file(&mut self, text: &str, path: &str, at: Cursor<'_>) -> Vec<(String, String)> {
        let mut entries = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let line = line.strip_prefix("export ").map_or(line, str::trim_start);
            match line.split_once('=') {
                Some((name, value)) if is_env_name(name.trim()) => {
                    entries.push((name.trim().to_owned(), unquote(without_comment(value.trim())).to_owned()));
                }
                _ => {
                    let message = format!("{path}:{}:1: this line is not `NAME=value`", number + 1);
                    self.mistake("bad-env-file", at, message, "write `NAME=value`, or `#` before a comment");
                }
            }
        }
        entries
    }
}

/// Whether this can be the name of an environment variable.
pub(super) fn is_env_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !name.contains(char::is_whitespace)
}

/// A value without what follows ` #`. In quotes, that is part of the value, and a comment may follow the closing one.
fn without_comment(value: &str) -> &str {
    let quoted = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let from = quoted.and_then(|quote| value.get(1..)?.rfind(quote)).map_or(0, |end| end + 2);
    let (kept, rest) = value.split_at(from.min(value.len()));
    if rest.starts_with('#') && kept.is_empty() {
        return "";
    }
    match rest.find(" #").or_else(|| rest.find("\t#")) {
        Some(at) => value.get(..kept.len() + at).unwrap_or(value).trim_end(),
        None => value,
    }
}

fn unquote(value: &str) -> &str {
    let inner = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

/// What of a line only a shell would understand, if there is something: outside of quotes, and `$` in double ones too. A line
/// that begins with a shell hands it over in its quotes.
pub(super) fn without_shell(line: &str) -> Option<&'static str> {
    let (mut quote, mut letters) = (None, line.chars().peekable());
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied();
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), close) if open == close => quote = None,
            (None | Some('"'), '\\') => drop(letters.next()),
            (None | Some('"'), '$') if next.is_some_and(|next| next.is_alphanumeric() || "_{(".contains(next)) => {
                return Some("$");
            }
            (None | Some('"'), '`') => return Some("`"),
            (None, '|') => return Some("|"),
            (None, '>') => return Some(">"),
            (None, '&') if next == Some('&') => return Some("&&"),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_shell_understands_is_seen_outside_of_quotes() {
        for (line, expected) in [
            ("echo $HOME > f && x", Some("$")),
            ("echo \"${HOME}\"", Some("$")),
            ("a | b", Some("|")),
            ("a >> b", Some(">")),
            ("a && b", Some("&&")),
            ("echo `date`", Some("`")),
            ("sh -c 'echo $HOME | wc > f && x'", None),
            ("grep 'a|b' --sum=5$", None),
            ("grep \"a|b\" cost=\\$5 it\\'s R&D", None),
        ] {
            assert_eq!(without_shell(line), expected, "{line}");
        }
    }
}
