//! The pure part of the timed orchestrator: steps of a timeline, its memory, and due times of many cron expressions.

#![allow(clippy::unwrap_used, reason = "a benchmark: a panic is how it reports")]

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use setpoint::manifest::compile;
use setpoint::model::{FileEntry, FileKind, FileTree, Schedule, ScheduleName, Timestamp};
use setpoint::schedule::agenda::{Agenda, due};
use setpoint::schedule::{Effect, End, Input, Lane, Timeline};
use std::fmt::Write as _;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn compiled(text: &str) -> Schedule {
    let entry = FileEntry {
        oid: String::new(),
        kind: FileKind::Regular,
        size: text.len() as u64,
        content: Some(text.as_bytes().into()),
    };
    let mut tree = FileTree::default();
    tree.files.insert("schedules/s.yaml".to_owned(), entry);
    compile(&tree).unwrap().schedules.into_values().next().unwrap()
}

/// Timed tasks, one each 100 µs, every tenth with a sequential one after it.
fn schedule(tasks: usize) -> Schedule {
    let one = compiled("schedule:\n  tasks: [{id: t, address: \"h:1\", scheduled_time: 0, deadline: 1s}]\n");
    let after = compiled(
        "schedule:\n  execution: graph\n  tasks: [{id: t, address: \"h:1\", scheduled_time: 0}, {id: s, address: \"h:1\", depends_on: t}]\n",
    );
    let mut schedule = one.clone();
    schedule.tasks.clear();
    for number in 0..tasks {
        let mut task = if number % 10 == 9 { after.tasks[1].clone() } else { one.tasks[0].clone() };
        task.id = setpoint::model::TaskId::new(format!("t{number}"));
        task.target = setpoint::model::Target::Address(setpoint::model::TaskAddress::Unix(format!("/t{number}")));
        if number % 10 == 9 {
            task.needs[0].task = setpoint::model::TaskId::new(format!("t{}", number - 1));
        } else {
            task.release =
                setpoint::model::Release::Timed { at: Duration::from_micros(100 * number as u64), repeat: None };
        }
        schedule.tasks.push(task);
    }
    schedule
}

/// Runs a schedule to its end; every task takes 50 µs. Returns the number of steps.
fn run(mut timeline: Timeline) -> usize {
    let (mut steps, mut now) = (0, Duration::ZERO);
    let mut effects = Vec::new();
    let mut begun = std::collections::VecDeque::new();
    while !timeline.is_over() {
        let input = match (begun.front().copied(), timeline.next()) {
            (Some((at, input)), next) if next.is_none_or(|next| at <= next) => {
                begun.pop_front();
                now = at;
                input
            }
            (_, Some(next)) => {
                now = now.max(next);
                Input::Tick
            }
            (_, None) => break,
        };
        timeline.step(now, input, &mut effects);
        steps += 1;
        for effect in effects.drain(..) {
            if let Effect::Start { attempt, .. } = effect {
                begun.push_back((now, Input::Started(attempt)));
                begun.push_back((now + Duration::from_micros(50), Input::Ended(attempt, End::Success)));
            }
        }
    }
    steps
}

/// A run of 100,000 tasks; the throughput is in steps.
#[divan::bench(sample_count = 10)]
fn steps(bencher: Bencher) {
    let schedule = schedule(100_000);
    let steps = run(Timeline::new(&schedule, |_, _| Lane::WRAPPER));
    bencher
        .counter(ItemsCount::new(steps))
        .with_inputs(|| Timeline::new(&schedule, |_, _| Lane::WRAPPER))
        .bench_values(|timeline| run(black_box(timeline)));
}

/// What 100,000 pending tasks take: the allocations of this one are the timeline's memory.
#[divan::bench(sample_count = 10)]
fn pending(bencher: Bencher) {
    let schedule = schedule(100_000);
    bencher.bench(|| Timeline::new(black_box(&schedule), |_, _| Lane::WRAPPER));
}

/// One look at 10,000 cron entries that are all due at once.
#[divan::bench(sample_count = 10)]
fn cron_entries(bencher: Bencher) {
    let mut text = String::new();
    for number in 0..10_000 {
        let _ = writeln!(text, "{} {} * * *", number % 60, number / 60 % 24);
    }
    let entries: Vec<Schedule> = text
        .lines()
        .map(|cron| {
            compiled(&format!(
                "schedule:\n  start: {{cron: \"{cron}\", zone: Europe/Berlin}}\n  tasks: [{{id: t, address: \"h:1\"}}]\n"
            ))
        })
        .collect();
    let now: Timestamp = "2026-03-29T00:59:59Z".parse().unwrap();
    bencher.counter(ItemsCount::new(entries.len())).bench(|| {
        let mut agenda = Agenda::default();
        for (number, entry) in entries.iter().enumerate() {
            let due = due(&entry.start, entry.missed, now, None, now);
            agenda.insert(ScheduleName::new(number.to_string()), due.next.unwrap());
        }
        agenda
    });
}
