//! Words for messages: what was probably meant, and what could stand there.

use super::cursor::Cursor;
use super::report::{Certainty, Diagnostic};

/// The word that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase().replace('-', "_")), candidate))
        .filter(|(score, candidate)| {
            *score > 0.82 || strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()) <= 1
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` or `c`.
pub(super) fn alternatives<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// A mistake: a reference to something that does not exist.
pub(super) fn unknown(
    code: &'static str,
    at: Cursor<'_>,
    message: String,
    near: Option<&str>,
    help: &str,
) -> Diagnostic {
    let mistake = Diagnostic::new(code, Certainty::Meaning, &at.place(), message);
    match near {
        Some(near) => mistake.label(format!("did you mean `{near}`?")).help(format!("write `{near}`, or remove it")),
        None => mistake.label("no such name").help(help),
    }
}
