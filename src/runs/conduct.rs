//! Conducts a run that is ready, from its start to its end.

use super::calls_in_flight::CallsInFlight;
use super::error::RunError;
use super::prepare::Ready;
use super::real_time_requests::remark;
use super::run_context::RunContext;
use super::run_handle::RunHandle;
use super::start_time::Planned;
use super::throttled;
use super::timekeeper::TimekeeperEnd;
use crate::model::Timestamp;
use crate::schedule::RunVerdict;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A run that was conducted.
#[derive(Clone, Debug)]
pub struct Conducted {
    /// Its own id.
    pub id: String,
    /// When it began.
    pub started: Timestamp,
    /// How it ended, and how long after its start; `None` when it was aborted. What happened in it was sent as moments.
    pub ended: Option<(Duration, RunVerdict)>,
    /// What was asked of the machine and could not be had, and which task servers could not be reached at the beginning.
    pub remarks: Vec<String>,
}

impl Ready {
    /// Conducts the run; returns when it has ended. Blocks the calling thread.
    ///
    /// # Errors
    /// When one of its threads ended with an error. What fails within the run is in its record.
    pub fn conduct(self, planned: Planned, handle: &RunHandle) -> Result<Conducted, RunError> {
        let Planned(start_time) = planned;
        handle.attach(&self.inbox);
        let calls = CallsInFlight::new(self.id.clone(), self.calls.servers.hosts);
        let shared = Arc::new(RunContext {
            schedule: self.schedule,
            inbox: self.inbox,
            start_time,
            output_limit: self.output_limit,
            calls: Mutex::new(calls),
            details: self.details,
        });
        let routed = self.router.as_ref().map(|router| router.register(Arc::clone(&shared)));
        // A thread that has ended already is found when it is joined.
        let _ = self.calls.begin.send(Arc::clone(&shared));
        let _ = self.timekeeper.begin.send(start_time.monotonic);
        let timekeeper = self.timekeeper.thread.join().map_err(RunError::Timekeeper);
        handle.detach();
        self.calls.thread.join().map_err(RunError::Caller)?;
        drop((routed, self.local, self.latency));
        let TimekeeperEnd { ended, waited } = timekeeper?;
        let mut remarks = self.remarks;
        remarks_of(&shared, &mut remarks);
        remarks.extend(waited.and_then(|waited| throttled::after(self.real_time, waited)));
        Ok(Conducted { id: self.id, started: planned.wall(), ended, remarks })
    }
}

/// Adds what tasks could not have, each thing once.
fn remarks_of(shared: &RunContext, remarks: &mut Vec<String>) {
    for (task, text) in shared.details().remarks() {
        let Some(task) = shared.schedule.tasks.get(task.at()) else { continue };
        let remark = remark(&task.id, &text);
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
}
