//! Cancels a run from outside.

use super::timekeeper::Inbox;
use crate::schedule::Input;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cancels a run, also one that is about to begin. Cheap to clone; each run has one of its own.
#[derive(Clone, Debug, Default)]
pub struct RunHandle(Arc<Mutex<HandleState>>);

#[derive(Debug, Default)]
struct HandleState {
    cancelled: bool,
    /// Set from the start of the run to its end.
    inbox: Option<Inbox>,
}

impl RunHandle {
    /// Stops what runs and starts nothing more. Does nothing after the end of the run.
    pub fn cancel(&self) {
        let mut state = self.state();
        state.cancelled = true;
        let inbox = state.inbox.clone();
        drop(state);
        if let Some(inbox) = inbox {
            inbox.send(Input::Cancel);
        }
    }

    pub(super) fn attach(&self, inbox: &Inbox) {
        let mut state = self.state();
        let cancelled = state.cancelled;
        state.inbox = Some(inbox.clone());
        drop(state);
        if cancelled {
            inbox.send(Input::Cancel);
        }
    }

    pub(super) fn detach(&self) {
        self.state().inbox = None;
    }

    fn state(&self) -> MutexGuard<'_, HandleState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
