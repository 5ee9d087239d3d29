//! The tasks of a schedule: times, deadlines, real-time settings and parameters.

use super::Resolver;
use super::schedule::WrittenNeed;
use super::servers::Servers;
use crate::manifest::cursor::Cursor;
use crate::manifest::raw::deployment::RtPolicy as RtName;
use crate::manifest::raw::schedule as raw;
use crate::manifest::raw::units::{Micros, Timespan};
use crate::model::{
    Deadline, DeadlineFrom, On, OnDeadline, RealTime, Release, Repeat, RtPolicy, Task, TaskId, TaskProtocol,
    duration_text,
};
use serde_json::{Map, Value};
use std::time::Duration;

/// The longest a task may run unless the file says otherwise: the horizon of the existing orchestrator.
const TIMEOUT: Duration = Duration::from_secs(3600);
/// Bound on the acknowledgement of a start, as the existing orchestrator has it.
const START_TIMEOUT: Duration = Duration::from_secs(5);
const LEASE: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_secs(5);
const RETRY_DELAY: Duration = Duration::from_secs(1);
const PRIORITY: u8 = 50;
const RT_PRIORITY: u8 = 50;
/// Occurrences of one periodic task in one run; a count above it is taken for a mistake.
const OCCURRENCES: u32 = 10_000_000;
/// The kernel's own bound on the runtime of `SCHED_DEADLINE` (`DL_SCALE`: 1024 ns).
const RUNTIME: Duration = Duration::from_nanos(1024);
/// Parameters that are filled in when the task starts.
const FILLED_IN: [&str; 3] = ["task_id", "dep_output", "dep_outputs"];

/// The two places where a setting of a task may stand.
struct Scope<'r, 'a> {
    own: &'r raw::TaskSettings,
    own_at: Cursor<'a>,
    defaults: &'r raw::TaskSettings,
    defaults_at: Cursor<'a>,
}

impl<'a> Scope<'_, 'a> {
    /// A setting: the task's own, else the default.
    fn get<T: Clone>(&self, get: impl Fn(&raw::TaskSettings) -> &Option<T>) -> Option<T> {
        get(self.own).clone().or_else(|| get(self.defaults).clone())
    }

    /// Where a setting is written.
    fn at(&self, key: &str) -> Cursor<'a> {
        if self.own_at.has(key) || !self.defaults_at.has(key) {
            self.own_at.key(key)
        } else {
            self.defaults_at.key(key)
        }
    }
}

impl Resolver<'_> {
    /// A task of a schedule, and what it names as its dependencies.
    pub(super) fn timeline_task<'a>(
        &mut self,
        task: raw::Task,
        at: Cursor<'a>,
        defaults: &raw::TaskSettings,
        defaults_at: Cursor<'a>,
        servers: &Servers,
    ) -> (Task, Vec<WrittenNeed<'a>>) {
        let scope = Scope { own: &task.settings, own_at: at, defaults, defaults_at };
        let release = self.release(&task, at);
        let estimate =
            self.either(&scope, "estimated_duration", |it| (&it.estimated_duration_us, &it.estimated_duration));
        let deadline = self.deadline(&scope, &release);
        let real_time = self.task_real_time(&scope, &release, deadline.as_ref(), estimate);
        let parameters = self.parameters(task.parameters, at);
        let time =
            |get: fn(&raw::TaskSettings) -> &Option<Timespan>, default| scope.get(get).map_or(default, |time| time.0);
        let environment = self.environment(task.env, task.command.is_some(), at);
        let needs = self.written_needs(task.depends_on, at.key("depends_on"));
        let resolved = Task {
            id: TaskId::new(task.id.0.as_str()),
            at: at.location(),
            target: self.target(task.address, task.service, task.command, at, servers),
            protocol: match scope.get(|it| &it.protocol) {
                Some(raw::ProtocolName::Map) => TaskProtocol::Map,
                Some(raw::ProtocolName::Json) | None => TaskProtocol::Json,
            },
            release,
            needs: Vec::new(),
            deadline,
            timeout: self.positive(&scope, "timeout", time(|it| &it.timeout, TIMEOUT)),
            start_timeout: self.positive(&scope, "start_timeout", time(|it| &it.start_timeout, START_TIMEOUT)),
            lease: self.positive(&scope, "lease", time(|it| &it.lease, LEASE)),
            grace: time(|it| &it.grace, GRACE),
            estimate,
            priority: scope.get(|it| &it.priority).unwrap_or(PRIORITY),
            max_retries: scope.get(|it| &it.max_retries).unwrap_or(0),
            retry_delay: time(|it| &it.retry_delay, RETRY_DELAY),
            critical: scope.get(|it| &it.critical).unwrap_or(false),
            real_time,
            parameters,
            environment,
        };
        (resolved, needs)
    }

    /// A time that is a bound and so cannot be zero.
    fn positive(&mut self, scope: &Scope<'_, '_>, key: &str, time: Duration) -> Duration {
        if time.is_zero() {
            let help = "write a time above zero, or remove it";
            self.mistake(
                "out-of-bounds",
                scope.at(key),
                format!("`{key}` is zero, but every wait needs a time limit"),
                help,
            );
        }
        time
    }

    /// The two spellings of a time, of which one may be given.
    fn spelled(
        &mut self,
        at: Cursor<'_>,
        key: &str,
        micros: &Option<Micros>,
        span: &Option<Timespan>,
    ) -> Option<Duration> {
        if micros.is_some() && span.is_some() {
            let message = format!("`{key}` and `{key}_us` are both given");
            self.mistake("duplicate-key", at.name(key), message, "keep one of the two");
        }
        micros.as_ref().map(|time| time.0).or_else(|| span.as_ref().map(|time| time.0))
    }

    /// A time from the task, else from the defaults.
    fn either(
        &mut self,
        scope: &Scope<'_, '_>,
        key: &str,
        get: fn(&raw::TaskSettings) -> (&Option<Micros>, &Option<Timespan>),
    ) -> Option<Duration> {
        let (micros, span) = get(scope.own);
        let own = self.spelled(scope.own_at, key, micros, span);
        let (micros, span) = get(scope.defaults);
        own.or_else(|| micros.as_ref().map(|time| time.0).or_else(|| span.as_ref().map(|time| time.0)))
    }

    fn release(&mut self, task: &raw::Task, at: Cursor<'_>) -> Release {
        let due = self.spelled(at, "scheduled_time", &task.scheduled_time_us, &task.scheduled_time);
        let period = self.spelled(at, "period", &task.period_us, &task.period);
        let offset = self.spelled(at, "offset", &task.offset_us, &task.offset);
        let until = self.spelled(at, "until", &task.until_us, &task.until);
        let timed = due.is_some() || period.is_some() || offset.is_some();
        let id = &task.id.0;
        match task.mode {
            Some(raw::ModeName::Sequential) => {
                if period.is_some() {
                    let help = "write `mode: timed`, or remove the period";
                    self.mistake("no-effect", at.key("mode"), format!("`{id}` is sequential but has a period"), help);
                } else if due.is_some_and(|due| !due.is_zero()) || offset.is_some() {
                    let key = if task.scheduled_time_us.is_some() { "scheduled_time_us" } else { "scheduled_time" };
                    let text =
                        format!("`{id}` is sequential, so its time has no effect; write `mode: timed` to use it");
                    self.notice(at.name(key), text);
                }
                return Release::Sequential;
            }
            None if !timed => {
                self.needs_period(task, at);
                return Release::Sequential;
            }
            Some(raw::ModeName::Timed) if !timed => {
                let help = "add `scheduled_time_us: 0`, the microseconds after the start of the run";
                self.mistake("missing-key", at.key("mode"), format!("`{id}` is timed but has no time"), help);
            }
            _ => {}
        }
        let first = due.unwrap_or_default().saturating_add(offset.unwrap_or_default());
        let Some(period) = period else {
            self.needs_period(task, at);
            return Release::Timed { at: first, repeat: None };
        };
        let count = self.occurrences(task, at, first, period, until);
        Release::Timed { at: first, repeat: Some(Repeat { period, count }) }
    }

    /// `count` and `until` of a task without period.
    fn needs_period(&mut self, task: &raw::Task, at: Cursor<'_>) {
        let until = if task.until.is_some() { "until" } else { "until_us" };
        for (key, there) in [("count", task.count.is_some()), (until, task.until.is_some() || task.until_us.is_some())]
        {
            if there {
                let help = "add `period_us`, or remove it";
                self.mistake("no-effect", at.name(key), format!("`{key}` has no effect without a period"), help);
            }
        }
    }

    fn occurrences(
        &mut self,
        task: &raw::Task,
        at: Cursor<'_>,
        first: Duration,
        period: Duration,
        until: Option<Duration>,
    ) -> u32 {
        let id = &task.id.0;
        let (period_key, until_key) = (
            if task.period_us.is_some() { "period_us" } else { "period" },
            if task.until_us.is_some() { "until_us" } else { "until" },
        );
        if period.is_zero() {
            self.mistake("out-of-bounds", at.key(period_key), format!("the period of `{id}` is zero"), "write a time");
            return 1;
        }
        match (task.count, until) {
            (Some(_), Some(_)) => {
                self.mistake(
                    "no-effect",
                    at.name("count"),
                    "`count` and `until` are both given",
                    "keep one of the two",
                );
                1
            }
            (Some(count), None) => count,
            (None, Some(until)) if until <= first => {
                let help = "write a later time, or remove the task";
                let message = format!("`{id}` would never run: its first time is {}", duration_text(first));
                self.mistake("out-of-bounds", at.key(until_key), message, help);
                1
            }
            (None, Some(until)) => {
                let count = until.saturating_sub(first).as_nanos().div_ceil(period.as_nanos());
                match u32::try_from(count) {
                    Ok(count) if count <= OCCURRENCES => count,
                    _ => {
                        let message = format!("`{id}` would have {count} occurrences in one run");
                        let help = format!("write a longer period or an earlier end; {OCCURRENCES} is the limit");
                        self.mistake("out-of-bounds", at.key(until_key), message, help);
                        1
                    }
                }
            }
            (None, None) => {
                let help = "add `count` or `until_us`; a schedule that repeats as a whole has `start: {cron: …}`";
                self.mistake("missing-key", at.key(period_key), format!("the periodic task `{id}` has no end"), help);
                1
            }
        }
    }

    fn deadline(&mut self, scope: &Scope<'_, '_>, release: &Release) -> Option<Deadline> {
        let after = self.either(scope, "deadline", |it| (&it.deadline_us, &it.deadline)).filter(|it| !it.is_zero())?;
        let from = scope.get(|it| &it.deadline_from);
        if let Release::Timed { at, .. } = release
            && from.is_none()
            && scope.own_at.has("deadline_us")
            && !at.is_zero()
            && after > *at
        {
            let text = format!(
                "this deadline counts from the task's due time, so it is {} after the start of the run; write \
                 `deadline_from: run` if it counts from there",
                duration_text(at.saturating_add(after))
            );
            self.notice(scope.own_at.key("deadline_us"), text);
        }
        Some(Deadline {
            after,
            from: match from {
                Some(raw::DeadlineFromName::Run) => DeadlineFrom::Run,
                Some(raw::DeadlineFromName::Release) | None => DeadlineFrom::Release,
            },
            action: match scope.get(|it| &it.on_deadline) {
                Some(raw::OnDeadlineName::Warn) => OnDeadline::Warn,
                Some(raw::OnDeadlineName::Cancel) | None => OnDeadline::Cancel,
                Some(raw::OnDeadlineName::Kill) => OnDeadline::Kill,
                Some(raw::OnDeadlineName::Abort) => OnDeadline::Abort,
            },
        })
    }

    fn task_real_time(
        &mut self,
        scope: &Scope<'_, '_>,
        release: &Release,
        deadline: Option<&Deadline>,
        estimate: Option<Duration>,
    ) -> RealTime {
        let cpu = scope.get(|it| &it.cpu_affinity).and_then(|cpu| u32::try_from(cpu).ok());
        let priority = scope.get(|it| &it.rt_priority).unwrap_or(RT_PRIORITY);
        let name = scope.get(|it| &it.rt_policy).unwrap_or(RtName::None);
        if priority == 0 && matches!(name, RtName::Fifo | RtName::Rr) {
            let help = "write a priority from 1 to 99";
            self.mistake("impossible-resources", scope.at("rt_priority"), "a real-time policy has no priority 0", help);
        }
        let policy = match name {
            RtName::None => RtPolicy::Other,
            RtName::Fifo => RtPolicy::Fifo { priority },
            RtName::Rr => RtPolicy::RoundRobin { priority },
            RtName::Deadline => {
                if cpu.is_some() {
                    let text = "the kernel refuses `deadline` for a thread that is bound to one CPU, unless that CPU is a root domain by itself";
                    self.notice(scope.at("cpu_affinity"), text);
                }
                self.reservation(scope, release, deadline, estimate)
            }
        };
        RealTime { policy, cpu }
    }

    /// The three numbers of `SCHED_DEADLINE`.
    fn reservation(
        &mut self,
        scope: &Scope<'_, '_>,
        release: &Release,
        deadline: Option<&Deadline>,
        estimate: Option<Duration>,
    ) -> RtPolicy {
        let at = scope.at("rt_policy");
        let own = |get: fn(&raw::TaskSettings) -> &Option<Timespan>| scope.get(get).map(|time| time.0);
        let from_release = deadline.filter(|deadline| deadline.from == DeadlineFrom::Release).map(|it| it.after);
        let repeat = match release {
            Release::Timed { repeat: Some(repeat), .. } => Some(repeat.period),
            _ => None,
        };
        let runtime = own(|it| &it.rt_runtime).or(estimate);
        let within = own(|it| &it.rt_deadline).or(from_release);
        let period = own(|it| &it.rt_period).or(repeat).or(within);
        let (Some(runtime), Some(deadline), Some(period)) = (runtime, within, period) else {
            let help = "add `rt_runtime: 2ms` and `rt_deadline: 10ms`, or `estimated_duration_us` and `deadline_us`";
            self.mistake("missing-key", at, "`deadline` needs a runtime and a deadline", help);
            return RtPolicy::Other;
        };
        if runtime < RUNTIME || runtime > deadline || deadline > period {
            let message = format!(
                "the kernel requires 1024 ns ≤ runtime ≤ deadline ≤ period, but these are {}, {} and {}",
                duration_text(runtime),
                duration_text(deadline),
                duration_text(period)
            );
            self.mistake("impossible-resources", at, message, "correct `rt_runtime`, `rt_deadline` and `rt_period`");
        }
        RtPolicy::Deadline { runtime, deadline, period }
    }

    fn written_needs<'a>(&mut self, raw: Option<raw::DependsOn>, at: Cursor<'a>) -> Vec<WrittenNeed<'a>> {
        let on = |name: Option<raw::OnName>| match name {
            Some(raw::OnName::Success) | None => On::Success,
            Some(raw::OnName::Failure) => On::Failure,
            Some(raw::OnName::Always) => On::Always,
        };
        match raw {
            None => Vec::new(),
            // Existing files write the empty text for «none».
            Some(raw::DependsOn::One(id)) if id.0.is_empty() => Vec::new(),
            Some(raw::DependsOn::One(id)) => vec![WrittenNeed { task: id.0, on: On::Success, at }],
            Some(raw::DependsOn::List(list)) => list
                .into_iter()
                .enumerate()
                .map(|(index, dependency)| {
                    let at = at.item(index);
                    match dependency {
                        raw::Dependency::Id(id) => WrittenNeed { task: id.0, on: On::Success, at },
                        raw::Dependency::Spec(spec) => {
                            WrittenNeed { task: spec.task.0, on: on(spec.on), at: at.key("task") }
                        }
                    }
                })
                .collect(),
            Some(raw::DependsOn::Map(map)) => map
                .into_iter()
                .map(|(task, name)| WrittenNeed { at: at.name(&task), task, on: on(Some(name)) })
                .collect(),
        }
    }

    fn parameters(&mut self, raw: Option<raw::Parameters>, at: Cursor<'_>) -> Map<String, Value> {
        let parameters = raw.unwrap_or_default().0;
        for name in FILLED_IN {
            if parameters.contains_key(name) {
                let text = format!("`{name}` is set when the task starts and overrides the value here");
                self.notice(at.key("parameters").name(name), text);
            }
        }
        parameters
    }
}
