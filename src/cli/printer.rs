//! The one place that prints. Standard output is data; all else goes to standard error.

use super::args::{Color, Global};
use super::exit::Failure;
use crate::manifest::Style;
use crate::model::{Notice, coloured};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// Prints as the global options ask.
#[derive(Clone, Debug)]
pub(super) struct Printer {
    /// JSON instead of text.
    pub(super) json: bool,
}

impl Printer {
    /// Sets colour for the process and takes the format.
    pub(super) fn new(global: &Global) -> Self {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Self { json: global.json }
    }

    /// Data, as it is. A reader that went away (`| head`) is no failure.
    pub(super) fn out(&self, text: &str) -> Result<(), Failure> {
        ignore_broken_pipe(write!(anstream::stdout(), "{}", coloured(text)))
    }

    /// Data, with an end of line.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        ignore_broken_pipe(writeln!(anstream::stdout(), "{}", coloured(text)))
    }

    /// Whether nobody reads standard output any more (`| head` is done): what only prints can end.
    pub(super) fn reader_left(&self) -> bool {
        let stdout = io::stdout();
        let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
    }

    /// Data as JSON, indented for people when it goes to a terminal.
    pub(super) fn data(&self, value: &impl Serialize) -> Result<(), Failure> {
        let text = if io::stdout().is_terminal() {
            serde_json::to_string_pretty(value)?
        } else {
            serde_json::to_string(value)?
        };
        self.line(&text)
    }

    /// A remark for people.
    pub(super) fn note(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{}", coloured(text));
    }

    /// Remarks of the compiler.
    pub(super) fn notices(&self, notices: &[Notice]) {
        for notice in notices {
            self.note(&format!("note: {}: {}", notice.at, notice.text));
        }
    }

    /// A failure, with causes and remedies.
    pub(super) fn failure(&self, failure: &Failure) {
        match failure {
            Failure::Invalid(report) => {
                let _ = write!(anstream::stderr(), "{}", coloured(&report.render(style())));
            }
            Failure::Error { message, hints } => {
                self.note(&format!("{RED}error{RED:#}: {message}"));
                for hint in hints {
                    self.note(&format!("{BOLD}hint{BOLD:#}: {hint}"));
                }
            }
            Failure::Usage(message) => {
                self.note(&format!("{RED}error{RED:#}: {message}\n\nFor more information, try '--help'."));
            }
        }
    }

    /// Asks on the terminal; without one there is nobody to ask.
    pub(super) fn confirm(&self, question: &str) -> Result<bool, Failure> {
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            return Err(Failure::Usage(
                "there is no terminal to ask on; pass `--yes` to go ahead without asking".into(),
            ));
        }
        let _ = write!(anstream::stderr(), "{question} [y/N] ");
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();
const BOLD: anstyle::Style = anstyle::Style::new().bold();

/// How reports of mistakes look on standard error.
fn style() -> Style {
    let terminal = io::stderr().is_terminal();
    Style { colour: terminal, unicode: true, width: 120 }
}

fn ignore_broken_pipe(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
