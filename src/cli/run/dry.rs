//! `setpoint run --dry-run`: what a schedule plans.

use super::args::RunArgs;
use super::picture::picture;
use crate::api::dto::{self, DryRun, Occurrence};
use crate::cli::exit::Failure;
use crate::cli::session::Session;
use crate::cli::timeline::{WIDTH, name};
use crate::model::Schedule;
use crate::schedule::{Placed, Record, chart, expected, gantt, short_time};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a schedule plans.
pub(super) fn plan(session: &Session, args: &RunArgs, schedule: &Schedule, placed: &Placed) -> Result<(), Failure> {
    picture(args, schedule, None)?;
    let record = expected(schedule);
    if let Some(speed) = args.speed.filter(|speed| speed.is_finite() && *speed > 0.0) {
        play(session, schedule, &record, speed);
    }
    if session.printer.json {
        return session.printer.data(&DryRun {
            version: 1,
            schedule: dto::Schedule::new(schedule.clone(), placed),
            tasks: Occurrence::all(schedule, &record, &BTreeMap::new()),
        });
    }
    session.printer.out(&gantt::text(&chart(schedule, None, "planned"), WIDTH))
}

/// Plays a record in its own time, `speed` times as fast.
fn play(session: &Session, schedule: &Schedule, record: &Record, speed: f64) {
    let mut events: Vec<(Duration, String)> = Vec::new();
    for row in record.rows() {
        let name = name(schedule, row);
        for one in &row.tries {
            events.push((one.sent, format!("{name} starts")));
            events.extend(one.ended.map(|ended| (ended, format!("{name} ends"))));
        }
    }
    events.sort();
    let mut last = Duration::ZERO;
    for (at, text) in events {
        let pause = Duration::try_from_secs_f64(at.saturating_sub(last).as_secs_f64() / speed);
        std::thread::sleep(pause.unwrap_or(Duration::MAX));
        last = at;
        session.printer.note(&format!("{:>12}  {text}", short_time(at)));
    }
}
