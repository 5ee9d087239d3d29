//! Source texts and places in them.

use crate::model::Location;
use std::fmt;
use std::sync::Arc;

/// A range of bytes in a source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// The text of one file, with an index of its lines.
pub struct SourceFile {
    path: Arc<str>,
    text: Arc<str>,
    /// Byte at which each line starts.
    lines: Vec<usize>,
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SourceFile").field(&self.path).finish()
    }
}

impl SourceFile {
    /// Indexes a text.
    pub fn new(path: &str, text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self { path: path.into(), text: text.into(), lines }
    }

    /// The path from the root of the config repo.
    pub fn path(&self) -> &Arc<str> {
        &self.path
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line (from 0) that holds a byte, and the byte at which it starts.
    pub(super) fn line(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset).saturating_sub(1);
        (line, self.lines.get(line).copied().unwrap_or(0))
    }

    /// The byte at which a line (from 0) starts.
    pub(super) fn line_start(&self, line: usize) -> usize {
        self.lines.get(line).copied().unwrap_or(self.text.len())
    }

    /// The byte after the end of the line (from 0), without its line break.
    pub(super) fn line_end(&self, line: usize) -> usize {
        let end = self.lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let start = self.lines.get(line).copied().unwrap_or(0);
        if end > start && self.text.as_bytes().get(end - 1) == Some(&b'\r') { end - 1 } else { end }
    }

    /// How many lines there are.
    pub(super) fn line_count(&self) -> usize {
        self.lines.len()
    }

    /// Line and column (in characters) of a byte.
    pub fn location(&self, offset: usize) -> Location {
        let offset = floor(&self.text, offset);
        let (line, start) = self.line(offset);
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count());
        let one_based = |number: usize| u32::try_from(number + 1).unwrap_or(u32::MAX);
        Location { file: Arc::clone(&self.path), line: one_based(line), column: one_based(column) }
    }

    /// From a place to the end of its line.
    pub(super) fn rest_of_line(&self, at: &Location) -> Span {
        let index = |number: u32| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let (start, end) = (self.line_start(index(at.line)), self.line_end(index(at.line)));
        let line = self.text.get(start..end).unwrap_or_default();
        let before = line.char_indices().nth(index(at.column)).map_or(line.len(), |(byte, _)| byte);
        Span { start: start + before, end }
    }

    /// The part of a span on its first line, on character boundaries, at least one character where there is one.
    pub fn clip(&self, span: Span) -> Span {
        let start = floor(&self.text, span.start);
        let (line, _) = self.line(start);
        let line_end = self.line_end(line).max(start);
        let end = floor(&self.text, span.end).clamp(start, line_end);
        let text = self.text.get(start..end).unwrap_or_default().trim_end();
        if text.is_empty() {
            let width = self.text.get(start..line_end).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
            return Span { start, end: start + width };
        }
        Span { start, end: start + text.len() }
    }
}

/// The nearest character boundary at or before `offset`.
pub(super) fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// A span in a file.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub source: Arc<SourceFile>,
    /// Where in it.
    pub span: Span,
}

impl Place {
    /// Line and column of its start.
    pub fn location(&self) -> Location {
        self.source.location(self.span.start)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.location();
        write!(f, "{}:{}:{}", at.file, at.line, at.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = SourceFile::new("a.yaml", "é: 1\r\nüü: x\n");
        let at = source.location(source.text().find('x').unwrap());
        assert_eq!((at.line, at.column), (2, 5));
        assert_eq!(source.clip(Span { start: 0, end: 100 }), Span { start: 0, end: 5 });
        assert_eq!(source.location(usize::MAX).line, 3);
        let rest = source.rest_of_line(&at);
        assert_eq!(&source.text()[rest.start..rest.end], "x");
        assert_eq!(source.rest_of_line(&Location { line: 9, ..at }).start, source.text().len());
    }
}
