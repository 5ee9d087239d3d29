//! A look at a KDL text before it is parsed. The parser recurses, and deep nesting would end the process, so braces and
//! nested comments are counted first. The scan knows strings and comments exactly; where a text breaks their rules it is
//! refused here, because what the parser would make of the rest is anyone's guess.

use crate::manifest::text::Span;
use crate::manifest::tree::DEPTH_LIMIT;

/// Why a text is not given to the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Braces or comments nest deeper than [`DEPTH_LIMIT`].
    TooDeep,
    /// A string does not end.
    OpenString,
    /// A comment does not end.
    OpenComment,
    /// A string stands right after or before a word.
    GluedString,
    /// A brace closes nothing.
    ExtraBrace,
}

/// Looks at a text.
///
/// # Errors
/// The first reason not to parse it, and where it is.
pub(super) fn scan(text: &str) -> Result<(), (Refusal, Span)> {
    let mut scan = Scan { text, bytes: text.as_bytes(), at: 0 };
    let mut depth = 0usize;
    while let Some(byte) = scan.bytes.get(scan.at).copied() {
        let here = Span { start: scan.at, end: scan.at + 1 };
        match byte {
            b'{' => {
                depth += 1;
                if depth > DEPTH_LIMIT {
                    return Err((Refusal::TooDeep, here));
                }
                scan.at += 1;
            }
            b'}' => {
                depth = depth.checked_sub(1).ok_or((Refusal::ExtraBrace, here))?;
                scan.at += 1;
            }
            b'/' if scan.looks_at("//") => scan.at = scan.find("\n").unwrap_or(text.len()),
            b'/' if scan.looks_at("/*") => scan.comment()?,
            b'"' => scan.string(0)?,
            b'#' => {
                let hashes = scan.bytes[scan.at..].iter().take_while(|byte| **byte == b'#').count();
                scan.at += hashes;
                if scan.looks_at("\"") {
                    scan.string(hashes)?;
                }
            }
            _ => scan.at += 1,
        }
    }
    Ok(())
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn looks_at(&self, word: &str) -> bool {
        self.bytes[self.at..].starts_with(word.as_bytes())
    }

    /// The next place of a word, from here.
    fn find(&self, word: &str) -> Option<usize> {
        self.text.get(self.at..)?.find(word).map(|offset| self.at + offset)
    }

    fn comment(&mut self) -> Result<(), (Refusal, Span)> {
        let start = Span { start: self.at, end: self.at + 2 };
        let mut depth = 0;
        while self.at < self.bytes.len() {
            if self.looks_at("/*") {
                depth += 1;
                if depth > DEPTH_LIMIT {
                    return Err((Refusal::TooDeep, Span { start: self.at, end: self.at + 2 }));
                }
                self.at += 2;
            } else if self.looks_at("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else {
                self.at += 1;
            }
        }
        Err((Refusal::OpenComment, start))
    }

    /// A string that starts at the quote here, after so many `#`.
    fn string(&mut self, hashes: usize) -> Result<(), (Refusal, Span)> {
        let start = self.at - hashes;
        let opening = Span { start, end: self.at + 1 };
        let glued = |byte: u8| !(byte.is_ascii_whitespace() || b"={}();/\\".contains(&byte) || !byte.is_ascii());
        if start.checked_sub(1).and_then(|before| self.bytes.get(before)).is_some_and(|byte| glued(*byte)) {
            return Err((Refusal::GluedString, opening));
        }
        let multi_line = self.looks_at("\"\"\"");
        self.at += if multi_line { 3 } else { 1 };
        let close = format!("{}{}", if multi_line { "\"\"\"" } else { "\"" }, "#".repeat(hashes));
        loop {
            match self.bytes.get(self.at) {
                None => return Err((Refusal::OpenString, opening)),
                Some(b'"') if self.looks_at(&close) => break,
                Some(b'\n') if !multi_line => return Err((Refusal::OpenString, opening)),
                Some(b'\\') if hashes == 0 => self.escape(),
                Some(_) => self.at += 1,
            }
        }
        self.at += close.len();
        if self.bytes.get(self.at).is_some_and(|byte| glued(*byte)) {
            return Err((Refusal::GluedString, opening));
        }
        Ok(())
    }

    /// A backslash takes the next character with it, or all white space up to the next word.
    fn escape(&mut self) {
        self.at += 1;
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(first) if first.is_whitespace() => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                self.at += rest.len() - rest.trim_start().len();
            }
            Some(first) => self.at += first.len_utf8(),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn braces_in_strings_and_comments_do_not_count() {
        let braces = "{".repeat(100);
        for text in [
            format!("a \"{braces}\""),
            format!("a #\"{braces}\"#"),
            format!("a \"\"\"\n{braces}\n\"\"\""),
            format!("// {braces}\na"),
            format!("/* {braces} /* }} */ */ a"),
            "a \"\\\"{\" b=\"\\\\\"\n".to_owned(),
        ] {
            assert_eq!(scan(&text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_hides_depth_is_refused() {
        let refusal = |text: &str| scan(text).map_err(|(refusal, _)| refusal);
        assert_eq!(refusal(&"a {\n".repeat(65)), Err(Refusal::TooDeep));
        assert_eq!(refusal(&"a { // }\n".repeat(65)), Err(Refusal::TooDeep));
        assert_eq!(refusal(&"/*".repeat(65)), Err(Refusal::TooDeep));
        assert_eq!(refusal("a \"b\nc"), Err(Refusal::OpenString));
        assert_eq!(refusal("a b\"c\""), Err(Refusal::GluedString));
        assert_eq!(refusal("a /* b"), Err(Refusal::OpenComment));
        assert_eq!(refusal("a }"), Err(Refusal::ExtraBrace));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a{}\"#/*\\\\\né ]{0,60}") {
            let _ = scan(&text);
        }
    }
}
