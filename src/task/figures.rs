//! What a running task uses, as `/proc` reports it (`proc_pid_stat(5)`).

use procfs::process::{Process, Stat, all_processes};
use procfs::{page_size, ticks_per_second};
use std::time::Duration;

/// What a running task has used so far and holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    /// CPU time, in steps of 10 ms.
    pub(super) cpu: Duration,
    /// Resident memory in bytes.
    pub(super) memory: u64,
}

/// The figures of a function: CPU time of its thread since that started, and memory of this process.
pub(super) fn of_thread(thread: i32) -> Figures {
    let stat = Process::myself().and_then(|process| process.task_from_tid(thread)).and_then(|task| task.stat());
    stat.map_or_else(|_| Figures::default(), |stat| figures(stat.utime + stat.stime, stat.rss))
}

/// The figures of a program: all processes of its group, including those that they have reaped.
pub(super) fn of_group(group: i32) -> Figures {
    let stats = all_processes().into_iter().flatten().filter_map(|process| process.ok()?.stat().ok());
    let (ticks, pages) = stats
        .filter(|stat| stat.pgrp == group)
        .fold((0, 0), |(ticks, pages), stat| (ticks + stat.utime + stat.stime + reaped(&stat), pages + stat.rss));
    figures(ticks, pages)
}

/// CPU time of the children that a process has reaped, in ticks.
fn reaped(stat: &Stat) -> u64 {
    u64::try_from(stat.cutime.saturating_add(stat.cstime)).unwrap_or(0)
}

fn figures(ticks: u64, pages: u64) -> Figures {
    let tick = Duration::from_secs(1) / u32::try_from(ticks_per_second()).unwrap_or(100).max(1);
    let nanos = u64::try_from(tick.as_nanos()).unwrap_or(u64::MAX).saturating_mul(ticks);
    Figures { cpu: Duration::from_nanos(nanos), memory: pages.saturating_mul(page_size()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

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

    #[test]
    fn a_name_with_parentheses_shifts_no_field() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("a) b (c) S 1");
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut child = Command::new(&program).arg("60").process_group(0).spawn().unwrap();
        let group = i32::try_from(child.id()).unwrap();
        let begin = std::time::Instant::now();
        while of_group(group).memory == 0 && begin.elapsed() < Duration::from_secs(20) {}
        let memory = of_group(group).memory;
        child.kill().unwrap();
        child.wait().unwrap();
        assert!((4096..1 << 30).contains(&memory), "{memory}");
        assert_eq!(of_group(group), Figures::default(), "a group without processes");
    }
}
