//! What ends a run from outside.

use super::timekeeper::Inbox;
use crate::schedule::Input;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ends a run, also one that is about to begin. Cheap to clone; each run has one of its own.
#[derive(Clone, Debug, Default)]
pub struct Hand(Arc<Mutex<Grip>>);

#[derive(Debug, Default)]
struct Grip {
    cancelled: bool,
    /// There from the begin of the run to its end.
    inbox: Option<Inbox>,
}

impl Hand {
    /// Stops what runs and starts nothing more. Does nothing after the end of the run.
    pub fn cancel(&self) {
        let mut grip = self.grip();
        grip.cancelled = true;
        let inbox = grip.inbox.clone();
        drop(grip);
        if let Some(inbox) = inbox {
            inbox.tell(Input::Cancel);
        }
    }

    pub(super) fn hold(&self, inbox: &Inbox) {
        let mut grip = self.grip();
        let cancelled = grip.cancelled;
        grip.inbox = Some(inbox.clone());
        drop(grip);
        if cancelled {
            inbox.tell(Input::Cancel);
        }
    }

    pub(super) fn let_go(&self) {
        self.grip().inbox = None;
    }

    fn grip(&self) -> MutexGuard<'_, Grip> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
