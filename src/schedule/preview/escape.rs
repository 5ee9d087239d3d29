//! Text from a repo, made harmless for a terminal and for Markdown.

use crate::schedule::gantt;

/// On one line, without characters that control a terminal or turn the direction of writing.
pub(super) fn plain(text: &str) -> String {
    gantt::plain(&text.replace('\n', "⏎"))
}

/// As text within Markdown: it opens no table cell, code, link, tag or emphasis, and mentions nobody and nothing. Not
/// for the start of a line, where other characters have a meaning as well.
pub fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '<' => cell.push_str("&lt;"),
            '>' => cell.push_str("&gt;"),
            '&' => cell.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => cell.extend(['\\', c]),
            // GitHub looks for these after Markdown was read, so that a backslash does not help.
            '@' | '#' => cell.extend([c, '\u{200b}']),
            c => cell.push(c),
        }
    }
    cell.replace("://", ":\u{200b}//").replace("www.", "www\u{200b}.")
}

/// As a line of a code block that three backticks enclose.
pub(super) fn code_line(text: &str) -> String {
    plain(text).replace("```", "'''")
}
