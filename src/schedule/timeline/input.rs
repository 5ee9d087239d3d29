//! What comes in.

use super::Timeline;
use super::signal::{Attempt, Cause, Effect, Input, RunVerdict, Seen, Verdict};
use super::state::{Phase, Why};

impl Timeline {
    /// Takes an input.
    pub(super) fn input(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Tick => {}
            Input::Cancel => self.abort(RunVerdict::Cancelled, effects),
            Input::Started(attempt) => {
                if let Some(task) = self.current(attempt)
                    && matches!(self.states[task].phase, Phase::Armed | Phase::Disarming | Phase::Starting)
                {
                    self.runs(task);
                }
            }
            Input::Disarmed(attempt) => {
                if let Some(task) = self.current(attempt)
                    && matches!(self.states[task].phase, Phase::Armed | Phase::Disarming)
                {
                    self.disarmed(task, effects);
                }
            }
            Input::Refused(attempt) => {
                let Some(task) = self.current(attempt) else { return };
                match self.states[task].phase {
                    // Not sent ahead after all: it starts at its instant like any other.
                    Phase::Armed if self.now < self.states[task].due => self.disarmed(task, effects),
                    Phase::Disarming => self.disarmed(task, effects),
                    Phase::Armed | Phase::Starting => self.failed(task, Verdict::Failed(Cause::Refused), effects),
                    Phase::Stopping(why) => self.stopped(task, why, None, effects),
                    _ => {}
                }
            }
            Input::Unclear(attempt) => {
                if let Some(task) = self.current(attempt)
                    && matches!(self.states[task].phase, Phase::Armed | Phase::Starting)
                {
                    self.stop(task, Why::Cause(Cause::Unacknowledged), effects);
                }
            }
            Input::Ended(attempt, end) => {
                let Some(task) = self.current(attempt) else { return };
                match self.states[task].phase {
                    Phase::Stopping(why) | Phase::Killing(why) => self.stopped(task, why, Some(end), effects),
                    phase if phase.in_flight() => self.ended(task, end, effects),
                    _ => {}
                }
            }
            Input::Seen(attempt, seen) => {
                let Some(task) = self.current(attempt) else { return };
                match (seen, self.states[task].phase) {
                    (Seen::Running, Phase::Running) => {
                        self.states[task].enter(Phase::Running);
                        self.bound_phase(task, self.terms[task].lease);
                    }
                    (Seen::NotRunning, Phase::Running) => {
                        self.states[task].enter(Phase::Vanished);
                        self.bound_phase(task, self.poll_pause(task));
                    }
                    _ => {}
                }
            }
            Input::Stopped(attempt) => {
                let Some(task) = self.current(attempt) else { return };
                if let Phase::Stopping(why) | Phase::Killing(why) = self.states[task].phase {
                    self.stopped(task, why, None, effects);
                }
            }
        }
    }

    /// The task of an attempt that is in flight.
    pub(super) fn current(&self, attempt: Attempt) -> Option<usize> {
        let task = attempt.task.at();
        let state = self.states.get(task)?;
        (state.phase.in_flight() && state.attempt(task) == attempt).then_some(task)
    }
}
