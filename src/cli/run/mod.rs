//! `setpoint run`: asks the daemon for a run, or runs a schedule here; `run show` shows a run that took place.

mod args;
mod asked;
mod dry;
mod foreground;
mod picture;
mod record;
mod schedule;
mod shown;

pub(super) use args::RunArgs;

use super::exit::{Exit, Failure};
use super::session::Session;
use std::sync::Arc;

pub(super) async fn run(session: &Session, args: &RunArgs) -> Result<Exit, Failure> {
    match (args.what.as_str(), &args.id) {
        ("show", Some(id)) => return shown::show(session, args, id).await,
        ("show", None) => return Err(Failure::Usage("`run show` wants the id of a run".to_owned())),
        (_, Some(id)) => return Err(Failure::Usage(format!("`{id}` is one argument too many"))),
        (_, None) => {}
    }
    if args.may_be_asked()
        && let Some(exit) = asked::run(session, args, &args.what).await?
    {
        return Ok(exit);
    }
    let (schedule, placed) = schedule::schedule(session, args).await?;
    let schedule = Arc::new(schedule);
    let infeasible = schedule::is_infeasible(session, &schedule);
    if args.dry_run {
        dry::plan(session, args, &schedule, &placed)?;
        return Ok(if infeasible { Exit::Failed } else { Exit::Ok });
    }
    if infeasible {
        return Err(Failure::new(format!(
            "`{}` cannot hold its times, and its `feasibility` is `error`",
            schedule.name
        ))
        .hint("change the times, or write `feasibility: warn`"));
    }
    foreground::run(session, args, &schedule, placed).await
}
