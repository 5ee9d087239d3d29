//! Why the kernel refused a setting, and what would make it possible.
//!
//! The kernel gives one number for many causes. [`Facts`] are read after a refusal and distinguish them; the rest is
//! pure. Sources: the manual pages `sched(7)`, `sched_setattr(2)`, `mlock(2)` and the checks in the kernel's
//! `kernel/sched/syscalls.c`.

use super::throttling::{RtGroup, rt_group};
use crate::model::RtPolicy;
use rustix::io::Errno;
use rustix::process::{Pid, Resource, getrlimit};
use rustix::thread::{CapabilitySet, CpuSet, capabilities, sched_getaffinity};
use std::fs;
use std::time::Duration;

const GRANT_SYS_NICE: &str =
    "grant the capability (container: `--cap-add SYS_NICE`, systemd: `AmbientCapabilities=CAP_SYS_NICE`)";

/// A setting that is not in force, though it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} was not applied: {reason}; {remedy}")]
pub struct NotApplied {
    /// What was asked for: `fifo 80`, `cpu 3`, `locked memory`.
    pub setting: String,
    /// Why the kernel refused.
    pub reason: String,
    /// What would make it possible.
    pub remedy: String,
    /// What the kernel answered, or the nearest to it when it was not asked.
    pub source: Errno,
}

/// What decides about a refusal, read from the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// `CAP_SYS_NICE` is effective.
    pub(super) sys_nice: bool,
    /// `CAP_IPC_LOCK` is effective.
    pub(super) ipc_lock: bool,
    /// In a user namespace of its own, in which these capabilities do not count.
    pub(super) user_namespace: bool,
    /// Soft limit `RLIMIT_RTPRIO`; `None` for no limit.
    pub(super) rtprio: Option<u64>,
    /// Soft limit `RLIMIT_MEMLOCK` in bytes; `None` for no limit.
    pub(super) memlock: Option<u64>,
    /// Mapped memory of the process in bytes.
    pub(super) mapped: Option<u64>,
    /// The CPUs that are online.
    pub(super) online: Vec<u32>,
    /// The CPUs that the thread may use.
    pub(super) allowed: Vec<u32>,
    /// The limit of the thread's cgroup.
    pub(super) group: Option<RtGroup>,
}

impl Facts {
    /// Reads them for a thread, or for the calling one. What cannot be read is taken as absent, so that the reason is less
    /// exact but never wrong about rights. All threads of this process have the same rights.
    pub(super) fn read(thread: Option<Pid>) -> Self {
        let effective = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            sys_nice: effective.contains(CapabilitySet::SYS_NICE),
            ipc_lock: effective.contains(CapabilitySet::IPC_LOCK),
            user_namespace: is_own_user_namespace(&read("/proc/self/uid_map")),
            rtprio: getrlimit(Resource::Rtprio).current,
            memlock: getrlimit(Resource::Memlock).current,
            mapped: kibibytes(&read("/proc/self/status"), "VmSize:"),
            online: cpu_list(&read("/sys/devices/system/cpu/online")),
            allowed: sched_getaffinity(thread).map(|set| members(&set)).unwrap_or_default(),
            group: rt_group(),
        }
    }

    /// Whether it may lock memory without a limit.
    pub(super) fn may_lock(&self) -> bool {
        self.memlock.is_none() || (self.ipc_lock && !self.user_namespace)
    }

    fn missing(&self, capability: &str) -> String {
        if self.user_namespace {
            format!("{capability} of a user namespace does not count")
        } else {
            format!("{capability} is missing")
        }
    }

    fn narrowed(&self) -> bool {
        self.online.iter().any(|cpu| !self.allowed.contains(cpu))
    }
}

/// The numbers of the CPUs in a set.
pub(super) fn members(set: &CpuSet) -> Vec<u32> {
    (0u32..).zip(0..CpuSet::MAX_CPU).filter(|(_, cpu)| set.is_set(*cpu)).map(|(number, _)| number).collect()
}

/// A size in `/proc/<pid>/status`, in bytes.
pub(super) fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Whether a `/proc/<pid>/uid_map` is other than the first namespace's, which maps every id to itself.
fn is_own_user_namespace(map: &str) -> bool {
    let numbers: Vec<&str> = map.split_whitespace().collect();
    !numbers.is_empty() && numbers != ["0", "0", "4294967295"]
}

/// A list of CPUs as the kernel writes it: `0-3,8`.
fn cpu_list(text: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

/// CPUs for people, as a list with ranges.
fn cpu_text(cpus: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for &cpu in cpus {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => parts.push((cpu, cpu)),
        }
    }
    let text = |(first, last): &(u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    parts.iter().map(text).collect::<Vec<_>>().join(",")
}

fn policy_text(policy: RtPolicy) -> String {
    match policy {
        RtPolicy::Other => policy.name().to_owned(),
        RtPolicy::Fifo { priority } | RtPolicy::RoundRobin { priority } => format!("{} {priority}", policy.name()),
        RtPolicy::Deadline { runtime, deadline, period } => {
            format!("{} {runtime:?} in {deadline:?} of every {period:?}", policy.name())
        }
    }
}

/// Why a scheduling policy was refused.
pub(super) fn policy_refused(policy: RtPolicy, errno: Errno, facts: &Facts) -> NotApplied {
    let (reason, remedy) = match policy {
        RtPolicy::Fifo { priority } | RtPolicy::RoundRobin { priority } => fixed_refused(priority, errno, facts),
        RtPolicy::Deadline { runtime, deadline, period } => deadline_refused([runtime, deadline, period], errno, facts),
        RtPolicy::Other => unexplained(errno),
    };
    NotApplied { setting: policy_text(policy), reason, remedy, source: errno }
}

fn fixed_refused(priority: u8, errno: Errno, facts: &Facts) -> (String, String) {
    let by_capability = facts.sys_nice && !facts.user_namespace;
    let by_limit = facts.rtprio.is_none_or(|limit| limit >= u64::from(priority));
    match (errno, &facts.group) {
        (Errno::INVAL, _) if !(1..=99).contains(&priority) => {
            (format!("{priority} is not a real-time priority"), "ask for one from 1 to 99".to_owned())
        }
        (Errno::PERM, _) if !by_capability && !by_limit => (
            format!(
                "{} and the limit on real-time priority is {}",
                facts.missing("CAP_SYS_NICE"),
                facts.rtprio.unwrap_or_default()
            ),
            format!(
                "{GRANT_SYS_NICE} or raise the limit to {priority} (`ulimit -r`, container: \
                 `--ulimit rtprio={priority}`, systemd: `LimitRTPRIO={priority}`)"
            ),
        ),
        // The kernel's source says EPERM. With a priority in range EINVAL has no other cause: the group's zero decides.
        (Errno::PERM | Errno::INVAL, Some(RtGroup { file, runtime: Some(Duration::ZERO) })) => (
            "the thread's cgroup has no real-time CPU time".to_owned(),
            format!(
                "write microseconds to {} and to those of the groups above it (container: `--cpu-rt-runtime`)",
                file.display()
            ),
        ),
        _ => unexplained(errno),
    }
}

fn deadline_refused([runtime, deadline, period]: [Duration; 3], errno: Errno, facts: &Facts) -> (String, String) {
    let spans = || {
        (
            format!(
                "such a thread must be allowed on all CPUs that share its bandwidth ({}), this one may use {}",
                cpu_text(&facts.online),
                cpu_text(&facts.allowed)
            ),
            "start without `taskset` or a cpuset, or ask for `fifo`, which can be bound to a CPU".to_owned(),
        )
    };
    match errno {
        Errno::INVAL => (
            format!("runtime {runtime:?}, deadline {deadline:?} and period {period:?} do not fit"),
            "let runtime be at least 1.024µs and at most the deadline, the deadline at most the period, and the \
             period within kernel.sched_deadline_period_min_us and kernel.sched_deadline_period_max_us"
                .to_owned(),
        ),
        Errno::BUSY => (
            "its share of CPU time is more than what other deadline threads leave".to_owned(),
            "ask for less runtime or a longer period, or raise kernel.sched_rt_runtime_us".to_owned(),
        ),
        Errno::PERM if !facts.sys_nice || facts.user_namespace => {
            (format!("{} and no limit stands in for it", facts.missing("CAP_SYS_NICE")), GRANT_SYS_NICE.to_owned())
        }
        Errno::PERM if facts.narrowed() => spans(),
        _ => unexplained(errno),
    }
}

/// Why a thread could not be bound to a CPU.
pub(super) fn cpu_refused(cpu: u32, policy: RtPolicy, errno: Errno, facts: &Facts) -> NotApplied {
    let (reason, remedy) = match errno {
        Errno::BUSY if matches!(policy, RtPolicy::Deadline { .. }) => (
            "a deadline thread must be allowed on all CPUs that share its bandwidth".to_owned(),
            "leave `cpu` out, ask for `fifo`, or give that CPU a cpuset of its own (`cpuset.cpus.partition`)"
                .to_owned(),
        ),
        Errno::INVAL if !facts.online.contains(&cpu) => {
            ("there is no such CPU online".to_owned(), format!("ask for one of {}", cpu_text(&facts.online)))
        }
        Errno::INVAL => (
            "the CPU is outside the cpuset of the process".to_owned(),
            "add it to `cpuset.cpus` of the cgroup (container: `--cpuset-cpus`, systemd: `AllowedCPUs=`)".to_owned(),
        ),
        _ => unexplained(errno),
    };
    NotApplied { setting: format!("cpu {cpu}"), reason, remedy, source: errno }
}

/// Why the timer slack was refused.
pub(super) fn slack_refused(errno: Errno) -> NotApplied {
    let (reason, remedy) = unexplained(errno);
    NotApplied { setting: "timer slack 1ns".to_owned(), reason, remedy, source: errno }
}

/// Why memory could not be locked.
pub(super) fn memory_refused(errno: Errno, facts: &Facts) -> NotApplied {
    let limit = facts.memlock.map_or_else(|| "not limited".to_owned(), |bytes| format!("{bytes} bytes"));
    let mapped = facts.mapped.map_or_else(|| "an unknown number of".to_owned(), |bytes| bytes.to_string());
    let (reason, remedy) = match errno {
        Errno::PERM | Errno::NOMEM | Errno::AGAIN if !facts.ipc_lock || facts.user_namespace => (
            format!(
                "{} and the limit on locked memory is {limit}, while {mapped} bytes are mapped",
                facts.missing("CAP_IPC_LOCK")
            ),
            "grant the capability (container: `--cap-add IPC_LOCK`, systemd: `AmbientCapabilities=CAP_IPC_LOCK`) \
             or lift the limit (`ulimit -l unlimited`, container: `--ulimit memlock=-1`, systemd: \
             `LimitMEMLOCK=infinity`)"
                .to_owned(),
        ),
        Errno::NOMEM | Errno::AGAIN => (
            format!("not all of the {mapped} mapped bytes could be brought into memory"),
            "give the machine, or the cgroup in `memory.max`, more memory".to_owned(),
        ),
        _ => unexplained(errno),
    };
    NotApplied { setting: "locked memory".to_owned(), reason, remedy, source: errno }
}

/// Why wake-ups could not be made fast.
pub(super) fn dma_latency_refused(file: &str, errno: Errno, facts: &Facts) -> NotApplied {
    let device = format!("container: `--device {file}`, systemd: `DeviceAllow={file} rw`");
    let (reason, remedy) = match errno {
        Errno::NOENT => (format!("there is no {file} here"), format!("let it in ({device}) or boot with `idle=poll`")),
        Errno::ACCESS | Errno::PERM => (
            format!("{file} may not be written"),
            if facts.user_namespace {
                "run outside a user namespace, or let the file's group write it".to_owned()
            } else {
                format!("run as root, let the file's group write it, or let it in ({device})")
            },
        ),
        _ => unexplained(errno),
    };
    NotApplied { setting: "cpu_dma_latency 0".to_owned(), reason, remedy, source: errno }
}

fn unexplained(errno: Errno) -> (String, String) {
    (format!("the kernel answered “{errno}”"), "nothing in the limits, capabilities and cgroups explains it".to_owned())
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
