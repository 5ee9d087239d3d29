//! A run in the terminal on record: in the ledger and among the runs, as a daemon's are.

use crate::cli::args::EnvironmentArgs;
use crate::cli::session::Session;
use crate::model::{CommitId, RunId, Schedule, Timestamp};
use crate::process::error::chain;
use crate::process::{boot, clock};
use crate::runs::runs_kept;
use crate::schedule::RunVerdict;
use crate::store::{DueKey, FireOutcome, Ledger, RunStart, StoreError};

/// What stands for the commit of a run that follows none.
const REVISION: &str = "file";

/// Where a run is written down.
#[derive(Clone, Debug)]
pub(super) struct Book {
    pub(super) ledger: Ledger,
    pub(super) run: RunId,
}

impl Book {
    /// Prepares a run in the store. Without one the run takes place all the same, and says so.
    pub(super) fn open(session: &Session, args: &EnvironmentArgs, schedule: &Schedule, run: &RunId) -> Option<Self> {
        let prepared = session.ledger(args).map_err(|failure| failure.text().to_owned()).and_then(|ledger| {
            let book = Self { ledger, run: run.clone() };
            book.prepare(schedule, clock::now()).map(|()| book).map_err(|error| chain(&error))
        });
        match prepared {
            Ok(book) => Some(book),
            Err(why) => {
                session.printer.note(&format!("note: this run is not on record: {why}"));
                None
            }
        }
    }

    fn prepare(&self, schedule: &Schedule, now: Timestamp) -> Result<(), StoreError> {
        let due = DueKey::Manual(self.run.clone());
        self.ledger.fire(&schedule.name, &due, FireOutcome::Started, Some(&self.run), now)?;
        self.ledger.prepare_run(&RunStart {
            id: self.run.clone(),
            schedule: schedule.name.clone(),
            due,
            revision: CommitId::new(REVISION),
            strict: schedule.strict,
            planned_at: now,
            boot: boot::id().to_owned(),
            process: Some(std::process::id()),
        })
    }

    /// It begins now.
    pub(super) fn begin(&self, session: &Session, at: Timestamp) {
        reported(session, self.ledger.begin_run(&self.run, at));
    }

    /// It is over.
    pub(super) fn end(&self, session: &Session, schedule: &Schedule, verdict: RunVerdict, notes: &[String]) {
        let note = (!notes.is_empty()).then(|| notes.join("; "));
        reported(session, self.ledger.end_run(&self.run, verdict, note.as_deref(), clock::now()).map(drop));
        reported(session, self.ledger.prune_runs(&schedule.name, runs_kept(schedule)).map(drop));
    }
}

fn reported(session: &Session, result: Result<(), StoreError>) {
    if let Err(error) = result {
        session.printer.note(&format!("note: not all of this run is on record: {}", chain(&error)));
    }
}
