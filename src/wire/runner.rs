//! Starting ahead of time: what the orchestrator and our own task runner say to each other beyond the task protocol.

use super::notice::TaskResult;
use super::proto;
use super::start::{AttemptKey, Start, StartCall, StartFault};
use crate::model::{TaskId, TaskProtocol, nanos};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// One instant on both clocks of one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// `CLOCK_MONOTONIC`.
    pub monotonic: Duration,
    /// `CLOCK_REALTIME` since 1970.
    pub realtime: Duration,
}

/// The clocks of a runner's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The runner ([`Capabilities::instance`]).
    pub instance: String,
    /// The boot id of its host.
    pub boot_id: String,
    /// What they show.
    pub now: Stamp,
}

/// A start that is sent ahead of its instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// What is started.
    pub start: Start,
    /// The runner whose clock the instant is of ([`Capabilities::instance`]); any other one refuses.
    pub instance: String,
    /// The instant, on the monotonic clock of the runner's host.
    pub release: Duration,
    /// Later than this after the instant it is not started.
    pub late_limit: Duration,
}

/// An [`Arm`] as a runner receives it.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmCall {
    /// What is started.
    pub start: StartCall,
    /// The runner whose clock the instant is of.
    pub instance: String,
    /// The instant, on the monotonic clock of the runner's host.
    pub release: Duration,
    /// Later than this after the instant it is not started.
    pub late_limit: Duration,
}

/// The result of withdrawing an armed task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disarmed {
    /// It will not start.
    Disarmed,
    /// Too late: it has started, and may have ended.
    Started,
    /// No such task is armed there.
    NotArmed,
}

/// The identity of a runner, and what it can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Name of the program.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The kinds of work it can do.
    pub functions: Vec<String>,
    /// The boot id of its host.
    pub boot_id: String,
    /// The forms of parameters and outputs it understands.
    pub protocols: Vec<TaskProtocol>,
    /// Chosen at random at each start of the program; sequence numbers of events count within it.
    pub instance: String,
    /// How many tasks it runs at the same time.
    pub parallel: NonZeroU32,
    /// Which of the real-time settings that were asked about cannot be had there (by their index), and why.
    pub not_applied: Vec<(usize, String)>,
}

/// Which events a watcher knows already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchFrom {
    /// The runner's instance that they are of; empty when none are known.
    pub instance: String,
    /// The last sequence number.
    pub after: u64,
    /// The run whose events are wanted; empty for those of all.
    pub run: String,
}

/// An event that waits for a watcher, and its share of the bytes that may wait.
#[derive(Debug)]
pub struct Waiting {
    /// The event; the watchers of a runner share it.
    pub event: Arc<TaskEvent>,
    /// Given back when it is sent.
    pub room: OwnedSemaphorePermit,
}

/// Something happened to a task at a runner.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskEvent {
    /// The runner's instance.
    pub instance: String,
    /// From 1. A gap is events of other runs, or ones that were forgotten.
    pub sequence: u64,
    /// Which task, run, occurrence and try.
    pub key: AttemptKey,
    /// What.
    pub what: Happened,
}

/// What happened to a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// It runs.
    Started {
        /// Since when.
        start: Stamp,
    },
    /// It ran and has ended.
    Ended(Ended),
    /// It was armed and did not start, being later than its limit.
    Missed {
        /// How late.
        late: Duration,
    },
}

/// A task that has ended, by the clocks of its runner's host.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The result.
    pub result: TaskResult,
    /// When it truly started.
    pub start: Stamp,
    /// When it truly ended.
    pub end: Stamp,
    /// What went wrong; empty when nothing did.
    pub error_message: String,
    /// Its output as JSON text; empty when it gave none.
    pub output_json: String,
    /// CPU time of it and of all that it started, in user mode.
    pub cpu_user: Duration,
    /// The same in kernel mode.
    pub cpu_system: Duration,
    /// The most memory it had resident at any time, in bytes.
    pub memory_peak: u64,
    /// What was asked for and could not be had, though it ran.
    pub remarks: Vec<String>,
    /// The end of what a program wrote to its standard output, when that is not its output.
    pub stdout: String,
    /// The end of what it wrote to its standard error.
    pub stderr: String,
}

/// Why a message of a runner or to it is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunnerFault {
    /// A part is missing that it needs.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// The start in it is not valid.
    #[error(transparent)]
    Start(#[from] StartFault),
}

impl From<Stamp> for proto::Stamp {
    fn from(stamp: Stamp) -> Self {
        Self { monotonic_ns: nanos(stamp.monotonic), realtime_ns: nanos(stamp.realtime) }
    }
}

impl From<proto::Stamp> for Stamp {
    fn from(stamp: proto::Stamp) -> Self {
        Self { monotonic: Duration::from_nanos(stamp.monotonic_ns), realtime: Duration::from_nanos(stamp.realtime_ns) }
    }
}

impl From<&AttemptKey> for proto::AttemptKey {
    fn from(key: &AttemptKey) -> Self {
        Self {
            run_id: key.run_id.clone(),
            task_id: key.task_id.as_str().to_owned(),
            occurrence: key.occurrence,
            attempt: key.attempt,
        }
    }
}

impl From<proto::AttemptKey> for AttemptKey {
    fn from(key: proto::AttemptKey) -> Self {
        Self { run_id: key.run_id, task_id: TaskId::new(key.task_id), occurrence: key.occurrence, attempt: key.attempt }
    }
}

impl Arm {
    pub(super) fn to_wire(&self, protocol: TaskProtocol) -> proto::ArmRequest {
        proto::ArmRequest {
            start: Some(self.start.to_wire(protocol)),
            instance: self.instance.clone(),
            release_ns: nanos(self.release),
            late_limit_ns: nanos(self.late_limit),
        }
    }
}

impl TryFrom<proto::ArmRequest> for ArmCall {
    type Error = RunnerFault;

    fn try_from(request: proto::ArmRequest) -> Result<Self, RunnerFault> {
        if request.instance.is_empty() {
            return Err(RunnerFault::Missing("the runner whose clock its instant is of"));
        }
        Ok(Self {
            start: request.start.ok_or(RunnerFault::Missing("start"))?.try_into()?,
            instance: request.instance,
            release: Duration::from_nanos(request.release_ns),
            late_limit: Duration::from_nanos(request.late_limit_ns),
        })
    }
}

impl ClockReading {
    pub(super) fn into_wire(self) -> proto::ClockResponse {
        proto::ClockResponse { instance: self.instance, boot_id: self.boot_id, now: Some(self.now.into()) }
    }
}

impl TryFrom<proto::ClockResponse> for ClockReading {
    type Error = RunnerFault;

    fn try_from(response: proto::ClockResponse) -> Result<Self, RunnerFault> {
        let now = response.now.ok_or(RunnerFault::Missing("now"))?.into();
        Ok(Self { instance: response.instance, boot_id: response.boot_id, now })
    }
}

impl Capabilities {
    pub(super) fn into_wire(self) -> proto::CapabilitiesResponse {
        let protocols = self.protocols.into_iter().map(|protocol| match protocol {
            TaskProtocol::Json => "json".to_owned(),
            TaskProtocol::Map => "map".to_owned(),
        });
        proto::CapabilitiesResponse {
            name: self.name,
            version: self.version,
            functions: self.functions,
            boot_id: self.boot_id,
            protocols: protocols.collect(),
            instance: self.instance,
            parallel: self.parallel.get(),
            not_applied: self
                .not_applied
                .into_iter()
                .filter_map(|(wish, why)| Some(proto::NotApplied { wish: u32::try_from(wish).ok()?, why }))
                .collect(),
        }
    }

    /// Forms this program does not know are left out: it could not use them.
    pub(super) fn from_wire(response: proto::CapabilitiesResponse) -> Self {
        let protocols = response.protocols.iter().filter_map(|name| match name.as_str() {
            "json" => Some(TaskProtocol::Json),
            "map" => Some(TaskProtocol::Map),
            _ => None,
        });
        Self {
            protocols: protocols.collect(),
            name: response.name,
            version: response.version,
            functions: response.functions,
            boot_id: response.boot_id,
            instance: response.instance,
            parallel: NonZeroU32::new(response.parallel).unwrap_or(NonZeroU32::MIN),
            not_applied: response.not_applied.into_iter().map(|one| (one.wish as usize, one.why)).collect(),
        }
    }
}

impl TaskEvent {
    pub(super) fn into_wire(self) -> proto::TaskEvent {
        use proto::task_event::{self, What};
        let what = match self.what {
            Happened::Started { start } => What::Started(task_event::Started { start: Some(start.into()) }),
            Happened::Missed { late } => What::Missed(task_event::Missed { late_ns: nanos(late) }),
            Happened::Ended(ended) => What::Ended(task_event::Ended {
                result: ended.result.to_wire(),
                start: Some(ended.start.into()),
                end: Some(ended.end.into()),
                error_message: ended.error_message,
                output_json: ended.output_json,
                cpu_user_ns: nanos(ended.cpu_user),
                cpu_system_ns: nanos(ended.cpu_system),
                memory_peak_bytes: ended.memory_peak,
                remarks: ended.remarks,
                stdout: ended.stdout,
                stderr: ended.stderr,
            }),
        };
        proto::TaskEvent {
            instance: self.instance,
            sequence: self.sequence,
            key: Some((&self.key).into()),
            what: Some(what),
        }
    }
}

impl TryFrom<proto::TaskEvent> for TaskEvent {
    type Error = RunnerFault;

    fn try_from(event: proto::TaskEvent) -> Result<Self, RunnerFault> {
        use proto::task_event::What;
        let stamp = |stamp: Option<proto::Stamp>, what| stamp.map(Stamp::from).ok_or(RunnerFault::Missing(what));
        let what = match event.what.ok_or(RunnerFault::Missing("what happened"))? {
            What::Started(started) => Happened::Started { start: stamp(started.start, "start")? },
            What::Missed(missed) => Happened::Missed { late: Duration::from_nanos(missed.late_ns) },
            What::Ended(ended) => Happened::Ended(Ended {
                result: TaskResult::from_wire(ended.result),
                start: stamp(ended.start, "start")?,
                end: stamp(ended.end, "end")?,
                error_message: ended.error_message,
                output_json: ended.output_json,
                cpu_user: Duration::from_nanos(ended.cpu_user_ns),
                cpu_system: Duration::from_nanos(ended.cpu_system_ns),
                memory_peak: ended.memory_peak_bytes,
                remarks: ended.remarks,
                stdout: ended.stdout,
                stderr: ended.stderr,
            }),
        };
        Ok(Self {
            instance: event.instance,
            sequence: event.sequence,
            key: event.key.ok_or(RunnerFault::Missing("key"))?.into(),
            what,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::start::tests::start;

    #[test]
    fn a_start_ahead_that_does_not_say_whose_clock_it_means_is_not_understood() {
        let (release, late_limit) = (Duration::from_secs(3), Duration::from_millis(5));
        let arm = Arm { start: start(), instance: "i".to_owned(), release, late_limit };
        let call = ArmCall::try_from(arm.to_wire(TaskProtocol::Json)).unwrap();
        assert_eq!((call.instance.as_str(), call.release, call.late_limit), ("i", release, late_limit));
        // An orchestrator of an earlier version sent an instant on its own clocks.
        let earlier = proto::ArmRequest { instance: String::new(), release_ns: 0, ..arm.to_wire(TaskProtocol::Json) };
        assert!(matches!(ArmCall::try_from(earlier), Err(RunnerFault::Missing(_))));
    }

    #[test]
    fn events_come_through_whole() {
        let stamp = |n| Stamp { monotonic: Duration::from_nanos(n), realtime: Duration::from_nanos(n + 7) };
        let ended = Ended {
            result: TaskResult::Timeout,
            start: stamp(1),
            end: stamp(2),
            error_message: "late".to_owned(),
            output_json: "[1]".to_owned(),
            cpu_user: Duration::from_nanos(3),
            cpu_system: Duration::from_nanos(4),
            memory_peak: 5,
            remarks: vec!["fifo 80 was not applied".to_owned()],
            stdout: "so far\n".to_owned(),
            stderr: "no paper\n".to_owned(),
        };
        let late = Duration::from_nanos(6);
        for what in [Happened::Started { start: stamp(1) }, Happened::Ended(ended), Happened::Missed { late }] {
            let event = TaskEvent { instance: "i".to_owned(), sequence: 9, key: start().key, what };
            assert_eq!(TaskEvent::try_from(event.clone().into_wire()), Ok(event));
        }
    }
}
