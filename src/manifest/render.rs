//! The report as people read it: each mistake with its source line marked.

use super::report::{Diagnostic, Report};
use super::text::{Place, SourceFile, floor};
use crate::model::Location;
use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Severity, SourceCode,
    SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};
use std::fmt::{self, Write as _};

/// How a report is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours.
    pub colour: bool,
    /// With box-drawing characters; otherwise ASCII.
    pub unicode: bool,
    /// Width of the terminal in columns.
    pub width: usize,
}

impl Default for Style {
    fn default() -> Self {
        Self { colour: false, unicode: true, width: 120 }
    }
}

/// Mistakes drawn in full, because nobody scrolls through a thousand drawings.
const SHOWN: usize = 100;
/// Mistakes that follow with a line each; what is beyond that is only counted.
const LISTED: usize = 400;
/// Bytes of a line above which only the part around the mark is shown.
const LINE: usize = 300;
/// Lines between two marks of one picture.
const APART: usize = 4;

impl Report {
    /// Every mistake with file, line, column, the marked source line and the remedy, and the count at the end.
    pub fn render(&self, style: Style) -> String {
        let theme = GraphicalTheme {
            characters: if style.unicode { ThemeCharacters::unicode() } else { ThemeCharacters::ascii() },
            styles: if style.colour { ThemeStyles::ansi() } else { ThemeStyles::none() },
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(style.width)
            .with_links(false)
            .with_context_lines(0)
            .without_syntax_highlighting()
            .with_break_words(false);
        let mut out = String::new();
        for mistake in self.diagnostics.iter().take(SHOWN) {
            if handler.render_report(&mut out, &Drawn(mistake)).is_err() {
                let _ = writeln!(out, "{mistake}");
            }
            out.push('\n');
        }
        if self.len() > SHOWN {
            for mistake in self.diagnostics.iter().skip(SHOWN).take(LISTED) {
                let _ = writeln!(out, "{mistake}");
            }
            if self.len() > SHOWN + LISTED {
                let _ = writeln!(out, "… and {} more", self.len() - SHOWN - LISTED);
            }
            out.push('\n');
        }
        out.push_str(&self.summary());
        out.push('\n');
        out
    }
}

/// A mistake as miette sees it.
#[derive(Debug)]
struct Drawn<'a>(&'a Diagnostic);

impl Drawn<'_> {
    /// Whether a second place can be marked in one picture with the first: a few lines away, and not on a line too long
    /// to show. Two pictures would begin with the one that stands first in the file, which need not be the mistake.
    fn drawable(&self, place: &Place) -> bool {
        let Some(source) = &self.0.source else { return false };
        let line = |offset| {
            let (line, start) = source.line(offset);
            (line, source.line_end(line) - start <= LINE)
        };
        let ((first, first_short), (second, second_short)) = (line(self.0.span.start), line(place.span.start));
        place.source.path() == source.path() && first_short && second_short && first.abs_diff(second) <= APART
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source {
            Some(_) => f.write_str(&self.0.message),
            None => {
                let Location { file, line, column } = &self.0.location;
                write!(f, "{file}:{line}:{column}: {}", self.0.message)
            }
        }
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(format!("error[{}]", self.0.code)))
    }

    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let elsewhere = self.0.also.as_ref().filter(|(place, _)| !self.drawable(place));
        let elsewhere = elsewhere.map(|(place, text)| format!("{place}: {text}"));
        match (&self.0.help, elsewhere) {
            (Some(help), Some(elsewhere)) => Some(Box::new(format!("{help}\n{elsewhere}"))),
            (Some(help), None) => Some(Box::new(help)),
            (None, Some(elsewhere)) => Some(Box::new(elsewhere)),
            (None, None) => None,
        }
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.0.source.as_deref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let _source = self.0.source.as_ref()?;
        let range = |span: super::text::Span| span.start..span.end;
        let first = LabeledSpan::new_primary_with_span(Some(self.0.label.clone()), range(self.0.span));
        let second =
            self.0.also.as_ref().filter(|(place, _)| self.drawable(place)).map(|(place, text)| {
                LabeledSpan::new_with_span(Some(text.clone()), range(place.source.clip(place.span)))
            });
        Some(Box::new(std::iter::once(first).chain(second)))
    }
}

/// Lines by index instead of a scan from the start, and columns in characters instead of bytes.
impl SourceCode for SourceFile {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let end = span.offset() + span.len();
        if end > self.text().len() {
            return Err(MietteError::OutOfBounds);
        }
        let (line, start_of_line) = self.line(span.offset());
        let (last, _) = self.line(end.saturating_sub(1).max(span.offset()));
        let first = line.saturating_sub(before);
        let shown_last = (last + after).min(self.line_count() - 1);
        let mut start = if first == line { start_of_line } else { self.line_start(first) };
        let mut stop = self.line_end(shown_last).max(end);
        if stop - start > LINE && line == last {
            // A long line is shown around the mark only.
            start = floor(self.text(), start.max(span.offset().saturating_sub(LINE / 3)));
            stop = floor(self.text(), stop.min(end + LINE / 3)).max(end);
        }
        // Without context miette asks only for the place to print in the header.
        let column = if before == 0 && after == 0 { (self.location(span.offset()).column - 1) as usize } else { 0 };
        let data = self.text().as_bytes().get(start..stop).ok_or(MietteError::OutOfBounds)?;
        let path = self.path().to_string();
        let span = (start, stop - start).into();
        // miette joins two marks when the second lies at most so many lines below the first.
        let lines = shown_last - first + APART;
        Ok(Box::new(MietteSpanContents::new_named(path, data, span, first, column, lines)))
    }
}
