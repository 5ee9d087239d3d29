//! The picture of a run as a file.

use super::args::RunArgs;
use crate::cli::exit::Failure;
use crate::cli::timeline::Ran;
use crate::model::Schedule;
use crate::schedule::{chart, gantt};
use std::path::Path;
use std::time::Duration;

/// Writes the picture of a run, or of what a schedule plans, to the file that was asked for.
pub(super) fn picture(args: &RunArgs, schedule: &Schedule, run: Option<&Ran>) -> Result<(), Failure> {
    let Some(path) = &args.svg else { return Ok(()) };
    let subtitle = run.map_or_else(|| "planned".to_owned(), |run| format!("run {}, started {}", run.id, run.started));
    let svg = gantt::svg(&chart(schedule, run.map(|run| (&run.record, end(run))), &subtitle));
    write(path, &svg)
}

/// Writes a file.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|error| Failure::new(format!("cannot write {}: {error}", path.display())))
}

fn end(run: &Ran) -> Duration {
    run.record.ended.map_or(Duration::ZERO, |(at, _)| at)
}
