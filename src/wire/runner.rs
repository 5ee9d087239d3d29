//! Starting ahead of time: what the orchestrator and our own task runner say to each other beyond the task protocol.

use super::notice::TaskResult;
use super::proto;
use super::start::{AttemptKey, Start, StartCall, StartFault};
use crate::model::{TaskId, TaskProtocol, nanos};
use std::num::NonZeroU32;
use std::time::Duration;

/// Two hosts' clocks that differ from each other by the same amount, give or take this, are one host's: two readings in
/// a row are taken at slightly different times, and NTP moves one clock slowly against the other.
const SAME_CLOCKS: Duration = Duration::from_millis(5);

/// One instant on both clocks of one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// `CLOCK_MONOTONIC`.
    pub monotonic: Duration,
    /// `CLOCK_REALTIME` since 1970.
    pub realtime: Duration,
}

/// A start that is sent ahead of its instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// What is started.
    pub start: Start,
    /// The instant, on the orchestrator's clocks: both follow from one reading of the two.
    pub release: Stamp,
    /// The boot id of the orchestrator's host.
    pub boot_id: String,
    /// Later than this after the instant it is not started.
    pub late_limit: Duration,
}

/// An [`Arm`] as a runner receives it.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmCall {
    /// What is started.
    pub start: StartCall,
    /// The instant, on the orchestrator's clocks.
    pub release: Stamp,
    /// The boot id of the orchestrator's host.
    pub boot_id: String,
    /// Later than this after the instant it is not started.
    pub late_limit: Duration,
}

/// The clock by which an armed task starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReleaseClock {
    /// The monotonic clock: both are on one host.
    Monotonic,
    /// The wall clock, as far as the two hosts keep theirs in step.
    Realtime,
}

impl ArmCall {
    /// The clock that counts, given the boot id and one reading of both clocks here. The boot id alone does not do:
    /// virtual machines restored from one snapshot share it, and a time namespace shifts the monotonic clock of a
    /// container.
    pub fn clock(&self, boot_id: &str, here: Stamp) -> ReleaseClock {
        let apart = |stamp: Stamp| stamp.realtime.as_nanos().cast_signed() - stamp.monotonic.as_nanos().cast_signed();
        let shift = (apart(self.release) - apart(here)).unsigned_abs();
        if !boot_id.is_empty() && self.boot_id == boot_id && shift <= SAME_CLOCKS.as_nanos() {
            ReleaseClock::Monotonic
        } else {
            ReleaseClock::Realtime
        }
    }
}

/// What became of taking back an armed task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disarmed {
    /// It will not start.
    Disarmed,
    /// Too late: it has started, and may have ended.
    Started,
    /// No such task is armed there.
    NotArmed,
}

/// Who a runner is and what it can do.
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
    /// Chosen anew at each start of the program; sequence numbers of events count within it.
    pub instance: String,
    /// How many tasks it runs at once.
    pub parallel: NonZeroU32,
    /// Which of the real-time settings that were asked about cannot be had there (by their places), and why.
    pub not_applied: Vec<(usize, String)>,
}

/// Which events a watcher knows already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchFrom {
    /// The runner's instance that they are of; empty when none are known.
    pub instance: String,
    /// The last sequence number.
    pub after: u64,
}

/// Something happened to a task at a runner.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskEvent {
    /// The runner's instance.
    pub instance: String,
    /// From 1, without gaps; a gap means that events were forgotten.
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
    /// It ran and is over.
    Ended(Ended),
    /// It was armed and did not start, being later than its limit.
    Missed {
        /// How late.
        late: Duration,
    },
}

/// A task that is over, by the clocks of its runner's host.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// How.
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
    /// The most memory it had resident at once, in bytes.
    pub memory_peak: u64,
    /// What was asked for and not had, though it ran.
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
    /// The start in it is none.
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
            boot_id: self.boot_id.clone(),
            release_monotonic_ns: nanos(self.release.monotonic),
            release_realtime_ns: nanos(self.release.realtime),
            late_limit_ns: nanos(self.late_limit),
        }
    }
}

impl TryFrom<proto::ArmRequest> for ArmCall {
    type Error = RunnerFault;

    fn try_from(request: proto::ArmRequest) -> Result<Self, RunnerFault> {
        Ok(Self {
            start: request.start.ok_or(RunnerFault::Missing("start"))?.try_into()?,
            release: Stamp {
                monotonic: Duration::from_nanos(request.release_monotonic_ns),
                realtime: Duration::from_nanos(request.release_realtime_ns),
            },
            boot_id: request.boot_id,
            late_limit: Duration::from_nanos(request.late_limit_ns),
        })
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

    fn call(boot_id: &str, monotonic: u64, realtime: u64) -> ArmCall {
        let release = Stamp { monotonic: Duration::from_millis(monotonic), realtime: Duration::from_millis(realtime) };
        let arm = Arm { start: start(), release, boot_id: boot_id.to_owned(), late_limit: Duration::from_millis(5) };
        arm.to_wire(TaskProtocol::Json).try_into().unwrap()
    }

    #[test]
    fn the_monotonic_clock_counts_only_on_one_host_with_one_pair_of_clocks() {
        let here = Stamp { monotonic: Duration::from_secs(1), realtime: Duration::from_secs(901) };
        assert_eq!(call("boot", 3_000, 903_000).clock("boot", here), ReleaseClock::Monotonic);
        assert_eq!(call("boot", 3_000, 903_004).clock("boot", here), ReleaseClock::Monotonic, "slewed a little");
        assert_eq!(call("other", 3_000, 903_000).clock("boot", here), ReleaseClock::Realtime, "another host");
        assert_eq!(call("boot", 3_000, 913_000).clock("boot", here), ReleaseClock::Realtime, "a shifted clock");
        assert_eq!(call("", 3_000, 903_000).clock("", here), ReleaseClock::Realtime, "no boot id is not the same one");
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
