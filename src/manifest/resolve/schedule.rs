//! Schedules: when a run starts, and its tasks with every default filled in.

use super::servers::Servers;
use super::{Resolver, identifier, meaning, stem};
use crate::manifest::circles::{NAMED, circles, way_round};
use crate::manifest::cursor::Cursor;
use crate::manifest::raw::schedule as raw;
use crate::manifest::suggest::nearest;
use crate::model::{
    Cadence, CadenceError, FeasibilityPolicy, Missed, Need, On, Overlap, Release, Schedule, ScheduleName, Start, Task,
    TaskId,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Resolves a schedule; what its tasks name is looked up in `servers`.
pub(crate) fn schedule(cx: &mut Resolver<'_>, raw: raw::Schedule, at: Cursor<'_>, servers: &Servers) -> Schedule {
    let title = raw.name.map_or_else(|| stem(at.source().path()).to_owned(), |name| name.0);
    let name = identifier(&title);
    if name.is_empty() {
        let help = "use at least one letter or digit";
        cx.mistake("bad-name", at.key("name"), format!("no identifier can be derived from `{title}`"), help);
    }
    let says_when = raw.start.is_some();
    let mut start = cx.start(raw.start, at.key("start"));
    cx.without_effect(&start, at);
    let defaults = raw.defaults.unwrap_or_default().settings;
    let defaults_at = at.key("defaults");
    let mut written = Vec::new();
    let mut tasks = Vec::new();
    for (index, task) in raw.tasks.unwrap_or_default().into_iter().enumerate() {
        let at = at.key("tasks").item(index);
        let (task, needs) = cx.timeline_task(task, at, &defaults, defaults_at, servers);
        tasks.push(task);
        written.push(Written { at, needs });
    }
    if tasks.is_empty() {
        let help = "list the tasks: `tasks: [{id: …, address: …}]`";
        cx.mistake("missing-key", at, "this schedule has no tasks".to_owned(), help);
    }
    if let Some(deployment) = tasks.iter().find_map(|task| servers.conducts(&task.target)).filter(|_| !says_when) {
        // Existing repos keep the schedule beside the orchestrator that runs it.
        start = Start::Manual;
        let text = format!(
            "`{deployment}` has its own orchestrator, so this schedule is only started by hand; write `start: on_commit` to let the daemon run it"
        );
        cx.notice(at, text);
    }
    cx.needs(&mut tasks, &written, raw.execution.unwrap_or(raw::ExecutionName::Ordered));
    Schedule {
        name: ScheduleName::new(name),
        title,
        description: raw.description.map(|text| text.0),
        at: at.location(),
        start,
        missed: match raw.missed {
            None | Some(raw::Missed::Name(raw::MissedName::RunOnce)) => Missed::RunOnce,
            Some(raw::Missed::Name(raw::MissedName::Skip)) => Missed::Skip,
            Some(raw::Missed::Bound(bound)) => Missed::RunAll(bound.run_all),
        },
        overlap: match raw.overlap.unwrap_or(raw::OverlapName::Skip) {
            raw::OverlapName::Skip => Overlap::Skip,
            raw::OverlapName::Queue => Overlap::Queue,
            raw::OverlapName::Replace => Overlap::Replace,
            raw::OverlapName::Allow => Overlap::Allow,
        },
        jitter: raw.jitter.map_or(Duration::ZERO, |jitter| jitter.0),
        strict: raw.strict.unwrap_or(false),
        feasibility: match raw.feasibility.unwrap_or(raw::FeasibilityName::Warn) {
            raw::FeasibilityName::Error => FeasibilityPolicy::Error,
            raw::FeasibilityName::Warn => FeasibilityPolicy::Warn,
            raw::FeasibilityName::Off => FeasibilityPolicy::Off,
        },
        tasks,
    }
}

/// A task as it stands in the file.
struct Written<'a> {
    at: Cursor<'a>,
    needs: Vec<WrittenNeed<'a>>,
}

/// A dependency as it stands in the file.
pub(super) struct WrittenNeed<'a> {
    pub(super) task: String,
    pub(super) on: On,
    pub(super) at: Cursor<'a>,
}

impl Resolver<'_> {
    fn start(&mut self, raw: Option<raw::Start>, at: Cursor<'_>) -> Start {
        let time = match raw {
            None | Some(raw::Start::Name(raw::StartName::OnCommit)) => return Start::OnCommit,
            Some(raw::Start::Name(raw::StartName::Manual)) => return Start::Manual,
            Some(raw::Start::Time(time)) => time,
        };
        match (time.at, time.cron) {
            (Some(_), Some(_)) => {
                let help = "keep one of the two, or write two schedules";
                self.mistake("two-starts", at.name("cron"), "`at` and `cron` are both given", help);
            }
            (Some(instant), None) => {
                if let Some(zone) = time.zone {
                    let message = format!("`zone` ({}) has no effect with `at`", zone.0);
                    self.mistake("no-effect", at.name("zone"), message, "remove it: `at` contains its own offset");
                }
                return Start::At(instant.0);
            }
            (None, Some(cron)) => {
                let zone = time.zone.map_or_else(|| "UTC".to_owned(), |zone| zone.0);
                match Cadence::parse(&cron.0, &zone) {
                    Ok(cadence) => return Start::Cron(cadence),
                    Err(error) => {
                        let (code, key) = match &error {
                            CadenceError::Zone { .. } => ("unknown-zone", "zone"),
                            CadenceError::Expression { .. } => ("bad-cron", "cron"),
                        };
                        self.mistake(code, at.key(key), error.to_string(), error.remedy());
                    }
                }
            }
            (None, None) => {
                let help = "write `{cron: \"30 2 * * *\", zone: Europe/Berlin}`, `{at: 2026-03-01T06:00:00Z}`, \
                            `on_commit` or `manual`";
                self.mistake("missing-key", at, "this contains no time", help);
            }
        }
        Start::Manual
    }

    /// Settings of due times, where there are none.
    fn without_effect(&mut self, start: &Start, at: Cursor<'_>) {
        let word = match start {
            Start::OnCommit => "on_commit",
            Start::Manual => "manual",
            Start::At(_) | Start::Cron(_) => return,
        };
        // A mistake in `start` itself is the one to tell.
        if word == "manual" && at.key("start").text() != Some("manual") {
            return;
        }
        for key in ["missed", "jitter"] {
            if at.has(key) {
                let help =
                    format!("remove it, or write a time: `start: {{cron: …}}` or `start: {{at: …}}`; it is `{word}`");
                self.mistake("no-effect", at.name(key), format!("`{key}` has no effect without a due time"), help);
            }
        }
    }

    /// Dependencies by id, and those that follow from the order in the file.
    fn needs(&mut self, tasks: &mut [Task], written: &[Written<'_>], execution: raw::ExecutionName) {
        let mut index: BTreeMap<TaskId, usize> = BTreeMap::new();
        let mut unique = true;
        for (at, task) in tasks.iter().enumerate() {
            if let Some(first) = index.get(&task.id).and_then(|first| written.get(*first)) {
                let place = written.get(at).map_or(first.at, |task| task.at);
                let mistake =
                    meaning("duplicate-task", &place.key("id").place(), format!("two tasks are called `{}`", task.id));
                let mistake = mistake.label("again here").help("give one of the two another `id`");
                self.add(mistake.also(first.at.key("id").place(), "first here"));
                unique = false;
            } else {
                index.insert(task.id.clone(), at);
            }
        }
        let ids: Vec<TaskId> = index.keys().cloned().collect();
        for (task, written) in tasks.iter_mut().zip(written) {
            for need in &written.needs {
                let id = TaskId::new(&*need.task);
                if !index.contains_key(&id) {
                    self.unknown_task(need, &task.id, &ids);
                } else if let Some(first) = task.needs.iter().find(|other| other.task == id) {
                    let message = format!("`{id}` is listed twice (first in line {})", first.at.line);
                    self.mistake("duplicate-dependency", need.at, message, "keep one of the two");
                } else {
                    task.needs.push(Need { task: id, on: need.on, implied: false, at: need.at.location() });
                }
            }
        }
        let mut before: Option<TaskId> = None;
        for (task, written) in tasks.iter_mut().zip(written) {
            if task.release != Release::Sequential {
                continue;
            }
            let follows = match execution {
                raw::ExecutionName::Serial => true,
                raw::ExecutionName::Ordered => task.needs.is_empty() && written.needs.is_empty(),
                raw::ExecutionName::Graph => false,
            };
            if let Some(before) = before.take().filter(|before| follows && task.needs.iter().all(|n| n.task != *before))
            {
                task.needs.push(Need { task: before, on: On::Always, implied: true, at: written.at.location() });
            }
            before = Some(task.id.clone());
        }
        if unique {
            self.task_circles(tasks, written, &index);
        }
    }

    fn unknown_task(&mut self, need: &WrittenNeed<'_>, own: &TaskId, ids: &[TaskId]) {
        let message = format!("`{}` is not a task of this schedule", need.task);
        let near = nearest(&need.task, ids.iter().filter(|id| *id != own).map(TaskId::as_str));
        let known: Vec<&str> = ids.iter().take(20).map(TaskId::as_str).collect();
        let more = if ids.len() > known.len() { ", …" } else { "" };
        let mistake = meaning("unknown-task", &need.at.place(), message);
        let mistake = mistake.help(format!("its tasks are {}{more}", known.join(", ")));
        self.add(match near {
            Some(near) => mistake.label(format!("did you mean `{near}`?")),
            None => mistake,
        });
    }

    /// Tasks that wait for each other.
    fn task_circles(&mut self, tasks: &[Task], written: &[Written<'_>], index: &BTreeMap<TaskId, usize>) {
        let edges: Vec<(&Task, &Need)> =
            tasks.iter().flat_map(|task| task.needs.iter().map(move |need| (task, need))).collect();
        for round in circles(&edges, |(task, need)| (&task.id, &need.task)) {
            let waits: Vec<&(&Task, &Need)> = round.iter().filter_map(|at| edges.get(*at)).collect();
            let Some((head, first)) = waits.first() else { continue };
            let names: Vec<String> = waits.iter().map(|(task, _)| task.id.to_string()).collect();
            let place = |task: &Task| index.get(&task.id).and_then(|at| written.get(*at)).map(|written| written.at);
            let Some(at) = place(head) else { continue };
            let at = if first.implied { at.key("id") } else { at.key("depends_on") };
            let says: Vec<String> = waits
                .iter()
                .take(NAMED)
                .map(|(task, need)| {
                    let how = if need.implied { "follows" } else { "waits for" };
                    let order = if need.implied { " in the file" } else { "" };
                    format!("{} {how} {}{order} (line {})", task.id, need.task, need.at.line)
                })
                .collect();
            let message = format!("these tasks wait for each other: {}", way_round(&names));
            let help = match waits.iter().any(|(_, need)| need.implied) {
                true => "move the task below what it waits for, or write `execution: graph`",
                false => "remove one of them",
            };
            let mistake = meaning("dependency-cycle", &at.place(), message).label("part of the cycle");
            self.add(mistake.help(format!("{help}: {}", says.join("; "))));
        }
    }
}
