//! Texts that are not KDL, as mistakes of their file.

use super::scan::Refusal;
use crate::manifest::report::{Certainty, Diagnostic};
use crate::manifest::text::{Place, SourceFile, Span};
use crate::manifest::tree::DEPTH_LIMIT;
use ::kdl::KdlError;
use std::sync::Arc;

fn mistake(source: &Arc<SourceFile>, code: &'static str, span: Span, message: String) -> Diagnostic {
    let place = Place { source: Arc::clone(source), span };
    Diagnostic::new(code, Certainty::Syntax, &place, message)
}

/// A text that is refused before it is parsed.
pub(super) fn refused(source: &Arc<SourceFile>, refusal: Refusal, span: Span) -> Diagnostic {
    let (code, message, help) = match refusal {
        Refusal::TooDeep => (
            "too-deep",
            format!("this is nested more than {DEPTH_LIMIT} levels deep"),
            "no key needs that; look for a missing `}`",
        ),
        Refusal::OpenString => {
            ("kdl-syntax", "this text is not closed".to_owned(), "close the quotes on the same line")
        }
        Refusal::OpenComment => ("kdl-syntax", "this comment is not closed".to_owned(), "close it with `*/`"),
        Refusal::GluedString => (
            "kdl-syntax",
            "a quoted text is directly next to a word".to_owned(),
            "put a space between them, or the whole word in quotes",
        ),
        Refusal::ExtraBrace => {
            ("kdl-syntax", "this `}` closes nothing".to_owned(), "remove it, or add the `{` that it belongs to")
        }
    };
    mistake(source, code, span, message).help(help)
}

/// What the parser found.
pub(super) fn not_kdl(source: &Arc<SourceFile>, error: &KdlError) -> Vec<Diagnostic> {
    let mut mistakes: Vec<Diagnostic> = error
        .diagnostics
        .iter()
        .map(|found| {
            let span = Span { start: found.span.offset(), end: found.span.offset() + found.span.len() };
            let message = found.message.as_deref().unwrap_or("this is not allowed here");
            let label = found.label.clone().unwrap_or_else(|| "not valid here".to_owned());
            let help = if message.contains("closing '}'") {
                "add the missing `}`"
            } else {
                "write `key \"value\"` or `key { … }`; true, false and null are `#true`, `#false` and `#null`"
            };
            let help = found.help.clone().unwrap_or_else(|| help.to_owned());
            let message = format!("this is not valid KDL: {}", lower_first(message));
            mistake(source, "kdl-syntax", span, message).label(label).help(help)
        })
        .collect();
    // The parser continues after a mistake, and reports the same again in other words.
    mistakes.sort_by_key(|mistake| mistake.location.line);
    mistakes.dedup_by_key(|mistake| mistake.location.line);
    mistakes
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
