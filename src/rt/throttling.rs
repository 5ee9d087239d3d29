//! How much of the CPU time the kernel leaves to real-time threads.
//!
//! Source of the rules: the kernel's `Documentation/scheduler/sched-rt-group.rst`. System-wide it is
//! `kernel.sched_rt_runtime_us` in each `kernel.sched_rt_period_us`, -1 for all of it. With `CONFIG_RT_GROUP_SCHED`
//! and cgroup v1 each group of the `cpu` controller has a share of its own, and a new one has 0: no thread in it may
//! be real-time.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The limits in force for the calling thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Throttling {
    /// CPU time for all real-time threads together in each period, on each CPU; `None` when there is no limit.
    pub runtime: Option<Duration>,
    /// The period.
    pub period: Duration,
    /// The thread's cgroup, where it has a limit of its own that can be read.
    pub group: Option<RtGroup>,
}

/// The limit of a cgroup (v1, controller `cpu`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RtGroup {
    /// The file that holds the limit.
    pub file: PathBuf,
    /// CPU time for the group's real-time threads in each of its periods; `None` when there is no limit.
    pub runtime: Option<Duration>,
}

impl Throttling {
    /// Whether no thread may be real-time at all.
    pub fn is_none(&self) -> bool {
        let group = self.group.as_ref().and_then(|group| group.runtime);
        [self.runtime, group].contains(&Some(Duration::ZERO))
    }

    /// Whether a real-time thread can be stopped for having used its share.
    pub fn is_on(&self) -> bool {
        self.runtime.is_some_and(|runtime| runtime < self.period)
    }
}

impl fmt::Display for Throttling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.runtime {
            Some(runtime) if self.is_on() => {
                write!(f, "real-time threads get at most {runtime:?} of every {:?}", self.period)?;
            }
            _ => write!(f, "real-time threads are not throttled")?,
        }
        match &self.group {
            Some(RtGroup { file, runtime: Some(runtime) }) => write!(f, "; {runtime:?} by {}", file.display()),
            _ => Ok(()),
        }
    }
}

/// Reads the limits in force for the calling thread.
///
/// # Errors
/// When the files under `/proc/sys/kernel` cannot be read.
pub fn throttling() -> io::Result<Throttling> {
    let runtime = micros(&fs::read_to_string("/proc/sys/kernel/sched_rt_runtime_us")?)?;
    let period = micros(&fs::read_to_string("/proc/sys/kernel/sched_rt_period_us")?)?.unwrap_or_default();
    Ok(Throttling { runtime, period, group: rt_group() })
}

/// How long the calling thread could have run and had no CPU, in total: it was throttled, or something of a higher priority
/// ran. `None` where the kernel does not say.
pub fn waited() -> Option<Duration> {
    run_delay(&fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// The second number of `schedstat`, in nanoseconds (the kernel's `Documentation/scheduler/sched-stats.rst`).
fn run_delay(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

/// The limit of the calling thread's cgroup; `None` without one, or where it cannot be read.
pub(super) fn rt_group() -> Option<RtGroup> {
    let cgroups = fs::read_to_string("/proc/thread-self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/thread-self/mountinfo").ok()?;
    let file = group_folder(&cgroups, &mounts)?.join("cpu.rt_runtime_us");
    let runtime = micros(&fs::read_to_string(&file).ok()?).ok()?;
    Some(RtGroup { file, runtime })
}

/// Microseconds as the kernel writes them; -1 is no limit.
fn micros(text: &str) -> io::Result<Option<Duration>> {
    let number: i64 = text.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(u64::try_from(number).ok().map(Duration::from_micros))
}

/// The folder of the group of the v1 controller `cpu`, from `/proc/<pid>/cgroup` and `/proc/<pid>/mountinfo`.
fn group_folder(cgroups: &str, mounts: &str) -> Option<PathBuf> {
    let has_cpu = |list: &str| list.split(',').any(|controller| controller == "cpu");
    // <hierarchy>:<controllers>:<path>
    let group = cgroups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        has_cpu(controllers).then_some(Path::new(path))
    })?;
    // <id> <parent> <device> <root> <mount point> <options> [<tags>…] - <type> <source> <super options>
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        if kind.next() != Some("cgroup") || !has_cpu(kind.nth(1)?) {
            return None;
        }
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        // In a container the mount shows a part of the tree only.
        Some(Path::new(point).join(group.strip_prefix(root).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_without_a_cpu_is_the_second_number() {
        assert_eq!(run_delay("57918 1200 3\n"), Some(Duration::from_nanos(1200)));
        assert_eq!(run_delay(""), None);
        assert!(waited().is_some_and(|waited| waited < Duration::from_secs(3600)), "this kernel reports it");
    }

    const V1: &str = "36 31 0:33 / /sys/fs/cgroup/cpuset rw,relatime shared:12 - cgroup cgroup rw,cpuset\n\
                      35 31 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:11 - cgroup cgroup rw,cpu,cpuacct\n";

    #[test]
    fn the_group_is_found_on_a_host_and_in_a_container() {
        let group = "5:cpuset:/a\n4:cpu,cpuacct:/system.slice/x.service\n0::/\n";
        let folder = group_folder(group, V1);
        assert_eq!(folder.as_deref(), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct/system.slice/x.service")));
        let inside = "9 8 0:32 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n";
        let folder = group_folder("4:cpu:/docker/abc\n", inside);
        assert_eq!(folder.as_deref(), Some(Path::new("/sys/fs/cgroup/cpu")));
    }

    #[test]
    fn without_a_v1_controller_there_is_no_group() {
        assert_eq!(group_folder("0::/user.slice\n", V1), None);
        assert_eq!(group_folder("4:cpuset:/a\n", V1), None, "cpuset is not cpu");
        let v2 = "35 31 0:32 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(group_folder("4:cpu:/a\n", v2), None);
    }

    #[test]
    fn throttling_is_off_without_a_limit_and_when_the_limit_is_the_period() {
        let period = Duration::from_secs(1);
        let with = |runtime| Throttling { runtime, period, group: None };
        assert_eq!(micros("-1\n").unwrap(), None);
        assert!(!with(None).is_on());
        assert!(!with(Some(period)).is_on());
        assert!(with(micros("950000\n").unwrap()).is_on());
        assert_eq!(with(micros("950000\n").unwrap()).to_string(), "real-time threads get at most 950ms of every 1s");
        assert!(micros("max").is_err());
    }

    #[test]
    fn this_machine_says_what_it_has() {
        let now = throttling().unwrap();
        assert!(now.period > Duration::ZERO);
        if let Some(group) = now.group {
            assert!(group.file.ends_with("cpu.rt_runtime_us"));
        }
    }
}
