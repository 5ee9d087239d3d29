//! Mistakes as data: what is wrong, where, and what to do about it.

use super::text::{Place, SourceFile, Span};
use crate::model::{FileTree, Location};
use std::fmt;
use std::sync::Arc;

/// How sure a mistake is: a text that cannot be read comes before a rule that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// The file as a whole cannot be read.
    File,
    /// The text is not YAML or KDL.
    Syntax,
    /// A key or value does not fit the format.
    Format,
    /// The files contradict each other or themselves.
    Meaning,
}

/// One mistake.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Stable name of the kind of mistake, kebab-case.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where it starts.
    pub location: Location,
    /// The bytes of the file that are marked; empty for a file that could not be read.
    pub span: Span,
    /// What is said at the mark.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
    /// A second place that has to do with it.
    pub also: Option<(Place, String)>,
    /// How sure it is; decides the order.
    pub certainty: Certainty,
    /// The text, for the marked line; absent for a file that could not be read.
    pub(super) source: Option<Arc<SourceFile>>,
}

impl Diagnostic {
    /// A mistake at a place.
    pub fn new(code: &'static str, certainty: Certainty, place: &Place, message: impl Into<String>) -> Self {
        let span = place.source.clip(place.span);
        Self {
            code,
            message: message.into(),
            location: place.source.location(span.start),
            span,
            label: "here".to_owned(),
            help: None,
            also: None,
            certainty,
            source: Some(Arc::clone(&place.source)),
        }
    }

    /// A mistake of a file that cannot be shown.
    pub fn of_file(code: &'static str, path: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            location: Location { file: path.into(), line: 1, column: 1 },
            span: Span::default(),
            label: String::new(),
            help: None,
            also: None,
            certainty: Certainty::File,
            source: None,
        }
    }

    /// A mistake that was found in what a file says, at the line where it is written.
    pub fn of_line(code: &'static str, tree: &FileTree, at: &Location, message: impl Into<String>) -> Self {
        let content = tree.get(&at.file).and_then(|entry| entry.content.as_deref());
        let Some(text) = content.and_then(|content| std::str::from_utf8(content).ok()) else {
            return Self { location: at.clone(), ..Self::of_file(code, &at.file, message) };
        };
        let source = Arc::new(SourceFile::new(&at.file, text));
        let span = source.rest_of_line(at);
        Self::new(code, Certainty::Meaning, &Place { source, span }, message)
    }

    /// Sets what is said at the mark.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Sets the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names a second place.
    #[must_use]
    pub fn also(mut self, place: Place, text: impl Into<String>) -> Self {
        self.also = Some((place, text.into()));
        self
    }
}

/// `error[code] file:line:column: message; help`, on one line.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { file, line, column } = &self.location;
        write!(f, "error[{}] {file}:{line}:{column}: {}", self.code, self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// All mistakes of a revision, most certain first.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The mistakes.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Sorts mistakes: most certain first, then by file and place.
    pub fn new(mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by(|a, b| (a.certainty, &a.location, a.code).cmp(&(b.certainty, &b.location, b.code)));
        diagnostics.dedup_by(|a, b| a.code == b.code && a.location == b.location && a.message == b.message);
        Self { diagnostics }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.diagnostics.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// `3 mistakes in 2 files`.
    pub fn summary(&self) -> String {
        let mut files: Vec<&str> = self.diagnostics.iter().map(|mistake| &*mistake.location.file).collect();
        files.sort_unstable();
        files.dedup();
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (count, files) = (self.len(), files.len());
        format!("{count} mistake{} in {files} file{}", plural(count), plural(files))
    }

    /// The report as a JSON value: `{"count", "diagnostics": [{"code", "message", "file", "line", "column", "span":
    /// {"start", "end"} (bytes), "label", "help", "also": {"file", "line", "column", "text"}}]}`.
    pub fn to_json(&self) -> serde_json::Value {
        let diagnostics: Vec<serde_json::Value> = self
            .diagnostics
            .iter()
            .map(|mistake| {
                let also = mistake.also.as_ref().map(|(place, text)| {
                    let at = place.location();
                    serde_json::json!({ "file": &*at.file, "line": at.line, "column": at.column, "text": text })
                });
                serde_json::json!({
                    "code": mistake.code,
                    "message": mistake.message,
                    "file": &*mistake.location.file,
                    "line": mistake.location.line,
                    "column": mistake.location.column,
                    "span": { "start": mistake.span.start, "end": mistake.span.end },
                    "label": mistake.label,
                    "help": mistake.help,
                    "also": also,
                })
            })
            .collect();
        serde_json::json!({ "count": self.len(), "diagnostics": diagnostics })
    }
}

/// One line per mistake and the count.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.diagnostics {
            writeln!(f, "{mistake}")?;
        }
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Report {}
