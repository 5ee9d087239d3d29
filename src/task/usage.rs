//! What a task has used, and the end of programs.

use super::exit::Exit;
use crate::model::{RealTime, RtPolicy};
use crate::rt::apply;
use nix::sys::resource::{UsageWho, getrusage};
use rustix::io::Errno;
use rustix::process::Pid;
use std::time::Duration;

/// CPU time and memory that a task has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// CPU time in user mode.
    pub(super) user: Duration,
    /// CPU time in kernel mode.
    pub(super) system: Duration,
    /// The most memory resident at any time, in bytes: of the process for a function, of its largest one for a program.
    pub(super) peak: u64,
}

impl Usage {
    /// What was used since an earlier reading.
    pub(super) fn since(self, earlier: Self) -> Self {
        let (user, system) = (self.user.saturating_sub(earlier.user), self.system.saturating_sub(earlier.system));
        Self { user, system, peak: self.peak }
    }

    fn read(raw: &libc::rusage) -> Self {
        let time = |time: libc::timeval| {
            let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0));
            seconds + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
        };
        let peak = u64::try_from(raw.ru_maxrss).unwrap_or(0).saturating_mul(1024);
        Self { user: time(raw.ru_utime), system: time(raw.ru_stime), peak }
    }
}

/// What the calling thread has used. Well below a microsecond.
pub(super) fn of_this_thread() -> Usage {
    // It fails for an unknown `who` only.
    getrusage(UsageWho::RUSAGE_THREAD).map_or_else(|_| Usage::default(), |used| Usage::read(used.as_ref()))
}

/// Reaps every finished or killed child of a process group: its leader, and in a container where this is the first process
/// also those whose parents have ended before them. Returns how the leader ended, and what all of them used.
#[expect(unsafe_code, reason = "neither rustix nor nix has wait4, and only that reports what was used")]
pub(super) fn reap(group: Pid) -> (Option<Exit>, Usage) {
    let leader = group.as_raw_pid();
    let (mut exit, mut total) = (None, Usage::default());
    loop {
        let mut status = 0;
        // SAFETY: `rusage` is plain numbers, for which all zeroes is valid; both pointers are to live, writable values.
        let (pid, raw) = unsafe {
            let mut raw: libc::rusage = std::mem::zeroed();
            (libc::wait4(-leader, &raw mut status, 0, &raw mut raw), raw)
        };
        if pid < 0 {
            if Errno::from_io_error(&std::io::Error::last_os_error()) == Some(Errno::INTR) {
                continue;
            }
            return (exit, total);
        }
        let used = Usage::read(&raw);
        total =
            Usage { user: total.user + used.user, system: total.system + used.system, peak: total.peak.max(used.peak) };
        if pid == leader {
            exit = Some(if libc::WIFEXITED(status) {
                Exit::Code(libc::WEXITSTATUS(status))
            } else {
                Exit::Signal(libc::WTERMSIG(status))
            });
        }
    }
}

/// Gives a process the policy of the calling thread. It does not have it from its start: what `rt` sets is reset at a
/// fork. Threads and programs that it starts have it too, but for `SCHED_DEADLINE`, with which none can be started. That
/// one the calling thread gives away: CPU time can be reserved once only, and the thread just waits from here on.
#[expect(unsafe_code, reason = "no library of ours wraps sched_setattr")]
pub(super) fn share_policy(process: Pid) -> Result<(), Errno> {
    // SAFETY: `sched_attr` is plain numbers, for which all zeroes is valid; the kernel reads and writes at most as many
    // bytes of the live value as its `size` says; thread 0 is the calling one.
    let done = unsafe {
        let mut attributes: libc::sched_attr = std::mem::zeroed();
        let size = u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(0);
        libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) == 0 && {
            attributes.size = size;
            if attributes.sched_policy == libc::SCHED_DEADLINE.cast_unsigned() {
                let _ = apply(RealTime { policy: RtPolicy::Other, cpu: None });
            } else {
                attributes.sched_flags = 0;
            }
            libc::syscall(libc::SYS_sched_setattr, process.as_raw_pid(), &raw const attributes, 0) == 0
        }
    };
    if done { Ok(()) } else { Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[test]
    #[expect(clippy::zombie_processes, reason = "what is tested waits for it")]
    fn a_group_is_reaped_whole_and_says_how_it_ended() {
        for (script, expected) in [("exit 3", Exit::Code(3)), ("kill -9 $$", Exit::Signal(9))] {
            let child = Command::new("sh").args(["-c", script]).process_group(0).spawn().unwrap();
            let group = Pid::from_child(&child);
            let (exit, usage) = reap(group);
            assert_eq!(exit, Some(expected));
            assert!(usage.peak > 100_000, "{usage:?}");
            assert_eq!(reap(group).0, None, "nothing is left");
        }
    }

    #[test]
    fn a_thread_that_works_uses_time() {
        let before = of_this_thread();
        let begin = std::time::Instant::now();
        while begin.elapsed() < Duration::from_millis(60) {}
        let used = of_this_thread().since(before);
        assert!(used.user + used.system > Duration::from_millis(5) && used.peak > 100_000, "{used:?}");
    }
}
