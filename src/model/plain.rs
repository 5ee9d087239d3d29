//! Texts of others, made harmless for a terminal: commit summaries, logs and outputs may hold sequences that move the cursor,
//! hide lines or talk to the terminal.

use std::borrow::Cow;

/// One line without anything that a terminal obeys; what was there is shown.
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(obeyed) { text.chars().map(shown).collect() } else { Cow::Borrowed(text) }
}

/// A text of any number of lines in which a terminal obeys colours (`ESC [ … m`) and nothing else.
pub fn coloured(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| obeyed(c) && !matches!(c, '\n' | '\t')) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = colour(rest) {
            let (sequence, after) = rest.split_at(length);
            out.push_str(sequence);
            rest = after;
            continue;
        }
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let line_end = c == '\r' && after.starts_with('\n');
        out.push(if line_end || matches!(c, '\n' | '\t') { c } else { shown(c) });
        rest = after;
    }
    Cow::Owned(out)
}

/// The length of the colour sequence that a text begins with.
fn colour(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("\u{1b}[")?;
    let length = inner.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    inner.get(length..)?.starts_with('m').then_some(length + 3)
}

/// Control characters, and those that turn the direction of what follows.
fn obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A picture of a control character; of one that has none the mark of what cannot be shown.
fn shown(c: char) -> char {
    match u32::from(c) {
        0x7f => '\u{2421}',
        code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ if obeyed(c) => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        assert_eq!(plain("a\u{1b}]0;title\u{7}b\r\u{9b}2J\u{202e}c"), "a␛]0;title␇b␍\u{fffd}2J\u{fffd}c");
        assert_eq!(plain("two\nlines"), "two␊lines");
        assert!(matches!(plain("Grüße, 日本"), Cow::Borrowed(_)));
    }

    #[test]
    fn colours_are_left_and_nothing_else() {
        let text = "\u{1b}[1;31mred\u{1b}[0m\n\ttab\r\n";
        assert_eq!(coloured(text), text);
        assert_eq!(coloured("\u{1b}[2Jgone\u{1b}[31m!\u{1b}[m\rover"), "␛[2Jgone\u{1b}[31m!\u{1b}[m␍over");
        assert_eq!(coloured("\u{1b}"), "␛");
    }
}
