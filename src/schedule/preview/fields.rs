//! The fields of schedules and tasks as short texts: what is compared, and what people read.

use crate::model::{
    Deadline, DeadlineFrom, FeasibilityPolicy, Missed, Need, On, OnDeadline, Overlap, RealTime, Release, RtPolicy,
    Schedule, Start, Target, Task, TaskId, TaskProtocol,
};
use crate::schedule::Placed;
use crate::schedule::gantt::cut;
use crate::schedule::units::exact;
use std::collections::BTreeSet;

/// Characters of a value; more are cut.
const LENGTH: usize = 60;
/// Of a value that is cut at its front as well, so many characters stay before the first difference.
const CONTEXT: usize = 20;

/// One field that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name; of a parameter the path to it, as in `parameters.gain.x`.
    pub field: String,
    /// The value before; `None` when it was not set.
    pub old: Option<String>,
    /// The value after; `None` when it is not set.
    pub new: Option<String>,
}

impl FieldChange {
    /// Cuts what is too long. Two long values begin shortly before they differ, so that the difference is seen.
    pub(super) fn new(field: impl Into<String>, old: Option<String>, new: Option<String>) -> Self {
        let long = [&old, &new].into_iter().flatten().any(|text| text.chars().count() > LENGTH);
        let same = match (&old, &new) {
            (Some(old), Some(new)) if long => old.chars().zip(new.chars()).take_while(|(old, new)| old == new).count(),
            _ => 0,
        };
        let excerpt = |text: String| match same {
            same if same + CONTEXT <= LENGTH => cut(&text, LENGTH),
            same => cut(&format!("…{}", text.chars().skip(same - CONTEXT).collect::<String>()), LENGTH),
        };
        Self { field: field.into(), old: old.map(excerpt), new: new.map(excerpt) }
    }
}

/// A field's name and its value; `None` when it is not set.
pub(super) type Field = (&'static str, Option<String>);

/// The fields that are not the same on both sides; a side that is not there has none.
pub(super) fn differences<const N: usize>(old: Option<[Field; N]>, new: Option<[Field; N]>) -> Vec<FieldChange> {
    let Some(names) = new.as_ref().or(old.as_ref()).map(|side| side.each_ref().map(|(name, _)| *name)) else {
        return Vec::new();
    };
    let values = |side: Option<[Field; N]>| side.map_or([const { None }; N], |side| side.map(|(_, value)| value));
    let pairs = values(old).into_iter().zip(values(new));
    let different = names.into_iter().zip(pairs).filter(|(_, (old, new))| old != new);
    different.map(|(name, (old, new))| FieldChange::new(name, old, new)).collect()
}

/// A schedule without its tasks. It is taken apart, so that a new field cannot be forgotten.
pub(super) fn schedule(schedule: &Schedule) -> [Field; 8] {
    let Schedule { name: _, title, description, at: _, start, missed, overlap, jitter, strict, feasibility, tasks: _ } =
        schedule;
    let missed = match missed {
        Missed::Skip => "skip".to_owned(),
        Missed::RunOnce => "run once".to_owned(),
        Missed::RunAll(most) => format!("run all, at most {most}"),
    };
    let overlap = match overlap {
        Overlap::Skip => "skip",
        Overlap::Queue => "queue",
        Overlap::Replace => "replace",
        Overlap::Allow => "allow",
    };
    let feasibility = match feasibility {
        FeasibilityPolicy::Error => "error",
        FeasibilityPolicy::Warn => "warn",
        FeasibilityPolicy::Off => "off",
    };
    [
        ("start", Some(start_text(start))),
        ("missed", Some(missed)),
        ("overlap", Some(overlap.to_owned())),
        ("jitter", (!jitter.is_zero()).then(|| exact(*jitter))),
        ("strict", flag(*strict)),
        ("feasibility", Some(feasibility.to_owned())),
        ("title", Some(title.clone())),
        ("description", description.clone()),
    ]
}

/// The order of the tasks that stay: of two that are due at once with the same priority the first one goes first.
pub(super) fn order(old: &[Task], new: &[Task]) -> Option<FieldChange> {
    let known = |tasks: &[Task]| tasks.iter().map(|task| task.id.clone()).collect::<BTreeSet<TaskId>>();
    let (before, after) = (known(old), known(new));
    let ids = |tasks: &[Task]| {
        let stay = tasks.iter().map(|task| &task.id).filter(|id| before.contains(*id) && after.contains(*id));
        stay.map(TaskId::as_str).collect::<Vec<_>>().join(", ")
    };
    let (old, new) = (ids(old), ids(new));
    (old != new).then(|| FieldChange::new("order", Some(old), Some(new)))
}

/// When a task is released.
pub(super) fn timing(task: &Task) -> [Field; 4] {
    let (at, repeat) = match task.release {
        Release::Timed { at, repeat } => (exact(at), repeat),
        Release::Sequential => ("sequential".to_owned(), None),
    };
    [
        ("scheduled-time", Some(at)),
        ("period", repeat.map(|repeat| exact(repeat.period))),
        ("count", repeat.map(|repeat| repeat.count.to_string())),
        ("needs", needs_text(&task.needs)),
    ]
}

/// A task without its timing, parameters and variables. It is taken apart, so that a new field cannot be forgotten.
pub(super) fn settings(task: &Task, placed: &Placed) -> [Field; 16] {
    let Task {
        id: _,
        at: _,
        release: _,
        needs: _,
        parameters: _,
        environment: _,
        target,
        protocol,
        deadline,
        timeout,
        start_timeout,
        lease,
        grace,
        estimate,
        priority,
        max_retries,
        retry_delay,
        critical,
        real_time: RealTime { policy, cpu },
    } = task;
    let (target, port, address) = match target {
        Target::Address(address) => (address.to_string(), None, None),
        Target::Service(named) => {
            let address = placed.address(target).map(|address| address.to_string());
            (named.service.to_string(), Some(named.port.to_string()), address)
        }
        // As a list, so that spaces in its words are seen.
        Target::Command(words) => (serde_json::to_string(words).unwrap_or_default(), None, None),
    };
    let protocol = match protocol {
        TaskProtocol::Json => "json",
        TaskProtocol::Map => "map",
    };
    [
        ("target", Some(target)),
        ("port", port),
        ("address", address),
        ("estimate", estimate.map(exact)),
        ("deadline", deadline.map(deadline_text)),
        ("timeout", Some(exact(*timeout))),
        ("start-timeout", Some(exact(*start_timeout))),
        ("lease", Some(exact(*lease))),
        ("grace", Some(exact(*grace))),
        ("priority", Some(priority.to_string())),
        ("retries", Some(max_retries.to_string())),
        ("retry-delay", Some(exact(*retry_delay))),
        ("critical", flag(*critical)),
        ("real-time", policy_text(*policy)),
        ("cpu", cpu.map(|cpu| cpu.to_string())),
        ("protocol", Some(protocol.to_owned())),
    ]
}

fn flag(set: bool) -> Option<String> {
    set.then(|| "yes".to_owned())
}

fn start_text(start: &Start) -> String {
    match start {
        Start::OnCommit => "on commit".to_owned(),
        Start::Manual => "by hand".to_owned(),
        Start::At(at) => format!("at {at}"),
        Start::Cron(cadence) => format!("cron {cadence}"),
    }
}

/// By name, since their order means nothing.
fn needs_text(needs: &[Need]) -> Option<String> {
    let mut sorted: Vec<&Need> = needs.iter().collect();
    sorted.sort_by_key(|need| &need.task);
    let text = |need: &Need| {
        let on = match need.on {
            On::Success => None,
            On::Failure => Some("failed"),
            On::Always => Some("ended"),
        };
        let notes: Vec<&str> = on.into_iter().chain(need.implied.then_some("file order")).collect();
        if notes.is_empty() { need.task.to_string() } else { format!("{} ({})", need.task, notes.join(", ")) }
    };
    let texts: Vec<String> = sorted.into_iter().map(text).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn deadline_text(Deadline { after, from, action }: Deadline) -> String {
    let from = match from {
        DeadlineFrom::Release => "release",
        DeadlineFrom::Run => "the run's start",
    };
    let action = match action {
        OnDeadline::Warn => "warn",
        OnDeadline::Cancel => "cancel",
        OnDeadline::Kill => "kill",
        OnDeadline::Abort => "abort",
    };
    format!("{} after {from}, then {action}", exact(after))
}

fn policy_text(policy: RtPolicy) -> Option<String> {
    let name = policy.name();
    match policy {
        RtPolicy::Other => None,
        RtPolicy::Fifo { priority } | RtPolicy::RoundRobin { priority } => Some(format!("{name} {priority}")),
        RtPolicy::Deadline { runtime, deadline, period } => {
            Some(format!("{name}: {} within {} every {}", exact(runtime), exact(deadline), exact(period)))
        }
    }
}
