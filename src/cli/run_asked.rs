//! `setpoint run NAME` where a daemon runs: the daemon is asked for the run, and its end is waited for.

use super::exit::{Exit, Failure};
use super::run::RunArgs;
use super::session::Session;
use crate::api::{Client, ClientError};
use crate::model::ScheduleName;
use crate::process::error::chain;
use crate::process::shutdown::Signals;
use crate::store::{DueKey, RunRecord, RunState};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two looks at a run that goes on.
const LOOK: Duration = Duration::from_millis(300);
/// Among so many runs of its schedule it is looked for.
const AMONG: usize = 200;

/// Asks the daemon for a run; `None` when there is no daemon, or it does not know the schedule.
pub(super) async fn run(session: &Session, args: &RunArgs, name: &str) -> Result<Option<Exit>, Failure> {
    let client = Client::new(&session.socket());
    let schedule = ScheduleName::new(name);
    let asked = match client.run(&schedule).await {
        Ok(asked) => asked,
        Err(ClientError::NotRunning { .. } | ClientError::Connect { .. }) => return Ok(None),
        Err(ClientError::Refused { status: 404, .. }) => {
            session.printer.note(&format!("note: the daemon has no schedule `{name}` in force; it runs here instead"));
            return Ok(None);
        }
        Err(error) => return Err(failure(&error)),
    };
    let waits = asked.run.as_ref().map_or_else(|| "waits for an earlier run".to_owned(), |id| format!("is run {id}"));
    session.printer.note(&format!("the daemon was asked: `{name}` {waits}"));
    // Ends the wait, not the run.
    let stop = CancellationToken::new();
    let signals = Signals::catch()?.drive(stop.clone());
    let ended = ended(&client, &schedule, &asked.due);
    tokio::pin!(signals, ended);
    // Every arm may be dropped while it waits.
    let record = tokio::select! {
        record = &mut ended => record.map_err(|error| failure(&error))?,
        never = &mut signals => match never {},
        () = stop.cancelled() => {
            session.printer.note("the daemon goes on with the run; `setpoint runs` lists it");
            return Ok(Some(Exit::Failed));
        }
    };
    super::runs::print(session, args, &record).await.map(Some)
}

/// The run of a request, when it is over.
async fn ended(client: &Client, schedule: &ScheduleName, due: &DueKey) -> Result<RunRecord, ClientError> {
    loop {
        let runs = client.runs(schedule, AMONG).await?;
        let over = runs.into_iter().find(|run| run.due == *due && run.state != RunState::Running);
        if let Some(run) = over {
            return client.run_record(&run.id).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn failure(error: &ClientError) -> Failure {
    let failure = Failure::new(chain(error));
    match error {
        ClientError::Refused { problem, .. } => match &problem.hint {
            Some(hint) => failure.hint(hint.clone()),
            None => failure,
        },
        _ => failure,
    }
}
