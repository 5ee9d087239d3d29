//! What running work uses, as `/proc` tells it (`proc_pid_stat(5)`).

use rustix::param::{clock_ticks_per_second, page_size};
use std::fs;
use std::time::Duration;

/// What running work has used so far and holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// CPU time, in steps of 10 ms.
    pub(super) cpu: Duration,
    /// Resident memory in bytes.
    pub(super) memory: u64,
}

/// One line of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    group: i32,
    /// CPU time of it, in ticks.
    ticks: u64,
    /// CPU time of what its process started and took leave of, in ticks.
    children: u64,
    /// Resident memory in pages.
    pages: u64,
}

/// The figures of a function: CPU time of its thread since that began to live, and memory of this process.
pub(super) fn of_thread(thread: i32) -> Figures {
    let stat = read(&format!("/proc/self/task/{thread}/stat"));
    // What the other threads of this process started is not its own.
    stat.map_or_else(Figures::default, |stat| total(&[Stat { children: 0, ..stat }]))
}

/// The figures of a program: all processes of its group, those included that they took leave of.
pub(super) fn of_group(group: i32) -> Figures {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let stats = numbers.filter_map(|pid| read(&format!("/proc/{pid}/stat"))).filter(|stat| stat.group == group);
    total(&stats.collect::<Vec<_>>())
}

fn read(path: &str) -> Option<Stat> {
    parse(&fs::read_to_string(path).ok()?)
}

fn parse(line: &str) -> Option<Stat> {
    // The second field is the program's name in parentheses, and may hold anything, parentheses too.
    let (_, fields) = line.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // The first of these is field 3.
    let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
    let ticks = |field| number(field).map(|ticks| u64::try_from(ticks).unwrap_or(0));
    Some(Stat {
        group: i32::try_from(number(5)?).ok()?,
        ticks: ticks(14)?.saturating_add(ticks(15)?),
        children: ticks(16)?.saturating_add(ticks(17)?),
        pages: u64::try_from(number(24)?).unwrap_or(0),
    })
}

fn total(stats: &[Stat]) -> Figures {
    let ticks = stats.iter().fold(0u64, |sum, stat| sum.saturating_add(stat.ticks).saturating_add(stat.children));
    let pages = stats.iter().fold(0u64, |sum, stat| sum.saturating_add(stat.pages));
    let tick = Duration::from_secs(1) / u32::try_from(clock_ticks_per_second()).unwrap_or(100).max(1);
    let nanos = u64::try_from(tick.as_nanos()).unwrap_or(u64::MAX).saturating_mul(ticks);
    Figures { cpu: Duration::from_nanos(nanos), memory: pages.saturating_mul(page_size() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_with_parentheses_shifts_no_field() {
        let line =
            "42 (a) b (c) S 1 7 42 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 999 12345678 321 18446744073709551615";
        assert_eq!(parse(line), Some(Stat { group: 7, ticks: 30, children: 70, pages: 321 }));
        assert_eq!(parse("42 (short) S 1"), None);
    }

    #[test]
    fn this_thread_and_this_process_are_found() {
        let thread = rustix::thread::gettid().as_raw_pid();
        let begin = std::time::Instant::now();
        while of_thread(thread).cpu < Duration::from_millis(20) {
            assert!(begin.elapsed() < Duration::from_secs(20), "its CPU time does not grow");
        }
        assert!(of_thread(thread).memory > 1_000_000);
        let group = rustix::process::getpgrp().as_raw_pid();
        assert!(of_group(group).memory >= of_thread(thread).memory / 2);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(line in "\\PC*", fields in proptest::collection::vec(any::<i64>(), 0..30)) {
            let _ = parse(&line);
            let fields = fields.iter().map(i64::to_string).collect::<Vec<_>>().join(" ");
            let _ = parse(&format!("1 (x) {fields}"));
        }
    }
}
