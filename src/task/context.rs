//! What a function sees of its task.

use super::cancel::Cancellation;
use super::error::TaskError;
use crate::rt::{Alarm, Monotonic, Wake};
use crate::wire::AttemptKey;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::time::Duration;

/// What a function sees of its task.
#[derive(Debug)]
pub struct TaskContext<'a> {
    pub(super) key: &'a AttemptKey,
    pub(super) parameters: Map<String, Value>,
    pub(super) scheduled: Duration,
    pub(super) deadline: Option<Duration>,
    pub(super) cancel: &'a Cancellation,
    pub(super) alarm: &'a mut Alarm,
}

impl TaskContext<'_> {
    /// What the task is given. Orchestrators add its id as `task_id`, and what it depends on as `dep_output`.
    pub fn parameters(&self) -> &Map<String, Value> {
        &self.parameters
    }

    /// The parameters for good, when the function needs no others.
    pub fn take_parameters(&mut self) -> Map<String, Value> {
        std::mem::take(&mut self.parameters)
    }

    /// A parameter as a type; `None` when there is none of that name. In the older form of the protocol every
    /// parameter is a text: one that is not a value of the type is read as JSON, so that `"10"` is a number too.
    ///
    /// # Errors
    /// When it is not a value of the type.
    pub fn parameter<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, TaskError> {
        let Some(value) = self.parameters.get(name) else { return Ok(None) };
        T::deserialize(value).map(Some).or_else(|fault| {
            let within = value.as_str().and_then(|text| serde_json::from_str(text).ok());
            within.map(Some).ok_or_else(|| TaskError::parameter(name, fault))
        })
    }

    /// The task's id in its schedule.
    pub fn task_id(&self) -> &str {
        self.key.task_id.as_str()
    }

    /// The run; empty from an orchestrator that does not say.
    pub fn run_id(&self) -> &str {
        &self.key.run_id
    }

    /// The occurrence of a periodic task, from 0.
    pub fn occurrence(&self) -> u32 {
        self.key.occurrence
    }

    /// The try, from 1; 0 from an orchestrator that does not say.
    pub fn attempt(&self) -> u32 {
        self.key.attempt
    }

    /// Its due time after the run's start; zero for a sequential task.
    pub fn scheduled(&self) -> Duration {
        self.scheduled
    }

    /// When it must have ended, as the schedule says it; the orchestrator watches over it.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// It was asked to stop. Costs about as much as reading a number.
    pub fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// For other threads of the function, to ask the same.
    pub fn cancellation(&self) -> Cancellation {
        self.cancel.clone()
    }

    /// Waits that long.
    ///
    /// # Errors
    /// [`TaskError::Cancelled`] as soon as the task is asked to stop.
    pub fn wait(&mut self, time: Duration) -> Result<(), TaskError> {
        self.wait_until(Monotonic::now() + time)
    }

    /// Waits until an instant.
    ///
    /// # Errors
    /// [`TaskError::Cancelled`] as soon as the task is asked to stop.
    pub fn wait_until(&mut self, at: Monotonic) -> Result<(), TaskError> {
        while !self.cancelled() {
            // A wake-up that is not a cancellation belonged to an earlier wait.
            if self.alarm.wait_until(at) == Wake::Due {
                return Ok(());
            }
        }
        Err(TaskError::Cancelled)
    }
}
