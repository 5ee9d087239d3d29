//! The form of a schedule as a digest: another form is another schedule, whose due times begin anew and which a commit
//! starts again.
//!
//! The text that is digested is written out here and not derived, so that another version of this program finds the same
//! form in the same file. A field that is added later is written only where it differs from its default; when the text of
//! the others has to change, [`ENCODING`] grows, and forms of the earlier encoding are taken for unchanged.

use crate::model::{
    Deadline, DeadlineFrom, FeasibilityPolicy, Missed, Need, On, OnDeadline, Overlap, RealTime, Release, RtPolicy,
    Schedule, ServiceTarget, Start, Target, Task, TaskProtocol, digest,
};
use std::fmt::Write as _;
use std::time::Duration;

/// Stands before each digest, so that digests of two encodings are not compared. The first one held the address of a service,
/// which is no part of a schedule: moving a service would have made every schedule that uses it a new one.
const ENCODING: &str = "2:";

/// The digest of a schedule's form.
pub fn form(schedule: &Schedule) -> String {
    format!("{ENCODING}{}", digest(&text(schedule)))
}

/// Fields in lines; texts are quoted, so that none of them can look like another field.
struct Lines(String);

impl Lines {
    fn put(&mut self, key: &str, value: &str) {
        // Writing into a text does not fail.
        let _ = writeln!(self.0, "{key} {value:?}");
    }

    fn time(&mut self, key: &str, value: Duration) {
        self.put(key, &value.as_nanos().to_string());
    }

    fn maybe(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }
}

fn text(schedule: &Schedule) -> String {
    let Schedule { name, title, description, at: _, start, missed, overlap, jitter, strict, feasibility, tasks } =
        schedule;
    let mut lines = Lines(String::new());
    lines.put("name", name.as_str());
    lines.put("title", title);
    lines.maybe("description", description.as_deref());
    match start {
        Start::OnCommit => lines.put("start", "on-commit"),
        Start::Manual => lines.put("start", "manual"),
        Start::At(at) => lines.put("start-at", &at.to_string()),
        Start::Cron(cadence) => {
            lines.put("cron", cadence.expression());
            lines.put("zone", cadence.zone());
        }
    }
    match missed {
        Missed::Skip => lines.put("missed", "skip"),
        Missed::RunOnce => lines.put("missed", "run-once"),
        Missed::RunAll(limit) => lines.put("missed-all", &limit.to_string()),
    }
    let word = match overlap {
        Overlap::Skip => "skip",
        Overlap::Queue => "queue",
        Overlap::Replace => "replace",
        Overlap::Allow => "allow",
    };
    lines.put("overlap", word);
    lines.time("jitter", *jitter);
    lines.put("strict", &strict.to_string());
    let word = match feasibility {
        FeasibilityPolicy::Error => "error",
        FeasibilityPolicy::Warn => "warn",
        FeasibilityPolicy::Off => "off",
    };
    lines.put("feasibility", word);
    for one in tasks {
        task(&mut lines, one);
    }
    lines.0
}

fn task(lines: &mut Lines, task: &Task) {
    let Task {
        id,
        at: _,
        target,
        protocol,
        release,
        needs,
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
        real_time,
        parameters,
        environment,
    } = task;
    lines.put("task", id.as_str());
    target_lines(lines, target);
    lines.put(
        "protocol",
        match protocol {
            TaskProtocol::Json => "json",
            TaskProtocol::Map => "map",
        },
    );
    release_lines(lines, release);
    for Need { task, on, implied, at: _ } in needs {
        let on = match on {
            On::Success => "success",
            On::Failure => "failure",
            On::Always => "always",
        };
        lines.put(if *implied { "follows" } else { "needs" }, &format!("{on} {task}"));
    }
    if let Some(deadline) = deadline {
        deadline_lines(lines, deadline);
    }
    lines.time("timeout", *timeout);
    lines.time("start-timeout", *start_timeout);
    lines.time("lease", *lease);
    lines.time("grace", *grace);
    if let Some(estimate) = estimate {
        lines.time("estimate", *estimate);
    }
    lines.put("priority", &priority.to_string());
    lines.put("max-retries", &max_retries.to_string());
    lines.time("retry-delay", *retry_delay);
    lines.put("critical", &critical.to_string());
    real_time_lines(lines, real_time);
    for (key, value) in parameters {
        lines.put("parameter", key);
        lines.put("value", &value.to_string());
    }
    for (key, value) in environment {
        lines.put("variable", key);
        lines.put("value", value);
    }
}

fn target_lines(lines: &mut Lines, target: &Target) {
    match target {
        Target::Address(address) => lines.put("address", &address.to_string()),
        Target::Service(ServiceTarget { service, port, tls_name }) => {
            lines.put("service", &service.to_string());
            lines.put("service-port", &port.to_string());
            lines.maybe("tls-name", tls_name.as_deref());
        }
        Target::Command(words) => words.iter().for_each(|word| lines.put("word", word)),
    }
}

fn release_lines(lines: &mut Lines, release: &Release) {
    match release {
        Release::Sequential => lines.put("release", "sequential"),
        Release::Timed { at, repeat } => {
            lines.time("release-at", *at);
            if let Some(repeat) = repeat {
                lines.time("period", repeat.period);
                lines.put("count", &repeat.count.to_string());
            }
        }
    }
}

fn deadline_lines(lines: &mut Lines, deadline: &Deadline) {
    let Deadline { after, from, action } = deadline;
    let from = match from {
        DeadlineFrom::Release => "deadline-after-release",
        DeadlineFrom::Run => "deadline-after-run",
    };
    lines.time(from, *after);
    let action = match action {
        OnDeadline::Warn => "warn",
        OnDeadline::Cancel => "cancel",
        OnDeadline::Kill => "kill",
        OnDeadline::Abort => "abort",
    };
    lines.put("on-deadline", action);
}

fn real_time_lines(lines: &mut Lines, real_time: &RealTime) {
    let RealTime { policy, cpu } = real_time;
    match policy {
        RtPolicy::Other => {}
        RtPolicy::Fifo { priority } => lines.put("fifo", &priority.to_string()),
        RtPolicy::RoundRobin { priority } => lines.put("round-robin", &priority.to_string()),
        RtPolicy::Deadline { runtime, deadline, period } => {
            lines.time("rt-runtime", *runtime);
            lines.time("rt-deadline", *deadline);
            lines.time("rt-period", *period);
        }
    }
    if let Some(cpu) = cpu {
        lines.put("cpu", &cpu.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cadence, Repeat, TaskId};
    use crate::schedule::timeline::fixtures::{schedule, task};

    fn example() -> Schedule {
        let mut one = task("one");
        one.release = Release::Timed {
            at: Duration::from_millis(5),
            repeat: Some(Repeat { period: Duration::from_millis(100), count: 3 }),
        };
        one.parameters.insert("volume".to_owned(), 3.into());
        one.real_time = RealTime { policy: RtPolicy::Fifo { priority: 7 }, cpu: Some(1) };
        let after = Duration::from_secs(1);
        one.deadline = Some(Deadline { after, from: DeadlineFrom::Release, action: OnDeadline::Cancel });
        let mut two = task("two");
        two.target = Target::Command(vec!["/bin/echo".to_owned(), "a \"b\"".to_owned()]);
        two.release = Release::Sequential;
        let at = two.at.clone();
        two.needs.push(Need { task: TaskId::new("one"), on: On::Success, implied: true, at });
        two.environment.insert("A".to_owned(), "1".to_owned());
        let service = "rt/task1".parse().unwrap();
        let target = Target::Service(ServiceTarget { service, port: 50051, tls_name: Some("task1".to_owned()) });
        let three = Task { target, ..task("three") };
        let start = Start::Cron(Cadence::parse("0 6 * * *", "Europe/Berlin").unwrap());
        Schedule { start, ..schedule(vec![one, two, three]) }
    }

    #[test]
    fn every_version_of_this_program_gives_a_schedule_the_same_form() {
        insta::assert_snapshot!(text(&example()));
    }

    #[test]
    fn a_change_is_another_form_and_another_line_in_the_file_is_none() {
        let mut moved = example();
        moved.at.line += 7;
        assert_eq!(form(&moved), form(&example()));
        let mut changed = example();
        changed.tasks[0].parameters.insert("volume".to_owned(), 4.into());
        assert_ne!(form(&changed), form(&example()));
    }
}
