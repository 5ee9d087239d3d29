//! Folders, disks, limits and the clock of this machine.

use super::{Finding, State};
use crate::manifest::DaemonConfig;
use crate::manifest::raw::daemon::KeeperPolicy;
use crate::model::size_text;
use crate::process::supervise::chain;
use crate::store::{Store, StoreError};
use rustix::process::{Resource, getrlimit};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Free space below which pulling and building tends to fail.
const LITTLE_FOR_IMAGES: u64 = 2 << 30;
/// Free space below which the clone and the database soon fail.
const LITTLE_FOR_STATE: u64 = 256 << 20;
/// Open files that a daemon with many containers and a repo of many files wants.
const FILES: u64 = 1024;

/// Whether the state folder can be used; the remedy follows from the cause.
pub(super) fn state_dir(folder: &Path) -> Finding {
    let Err(error) = Store::open(folder) else {
        return Finding::good("state", format!("{} can be written", folder.display()));
    };
    let text = chain(&error);
    let told = |words: &[&str]| words.iter().any(|words| text.to_ascii_lowercase().contains(words));
    let remedy = match &error {
        StoreError::Damaged { .. } | StoreError::Newer { .. } | StoreError::Emptied { .. } => {
            "as it says; keep a copy of the folder first".to_owned()
        }
        StoreError::Busy { .. } => "wait for the other process, or end it".to_owned(),
        _ if told(&["full", "no space"]) => {
            format!("free space on the file system that holds {}", folder.display())
        }
        _ if told(&["read-only", "readonly"]) => "mount its file system writable, or choose another folder \
             (`state-dir` in daemon.kdl, --state-dir)"
            .to_owned(),
        _ => "run as the user that owns the folder, or choose another (`state-dir` in daemon.kdl, --state-dir)"
            .to_owned(),
    };
    Finding::not("state", State::Bad, text, remedy)
}

/// The space of the state folder, and of the engine's data where that is another file system.
pub(super) fn disks(state: &Path, data_root: Option<&str>) -> Vec<Finding> {
    let data_root = data_root.map(Path::new);
    let device = |folder: &Path| there(folder).and_then(|folder| folder.metadata().ok()).map(|found| found.dev());
    let shared = data_root.is_some_and(|root| device(root) == device(state));
    let images = "`docker image prune`, `docker builder prune`, or a larger disk for the engine";
    let of_state = format!("free space on the file system that holds {}", state.display());
    let mut found = Vec::new();
    if shared {
        found.extend(disk("state folder and the engine's data", state, LITTLE_FOR_IMAGES, images));
    } else {
        found.extend(disk("state folder", state, LITTLE_FOR_STATE, &of_state));
        found.extend(data_root.and_then(|root| disk("engine's data", root, LITTLE_FOR_IMAGES, images)));
    }
    found
}

/// A folder that is not there yet lies where its nearest parent does.
fn there(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|path| path.exists())
}

fn disk(what: &str, folder: &Path, little: u64, remedy: &str) -> Option<Finding> {
    let stat = rustix::fs::statvfs(there(folder)?).ok()?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let text = format!("{} free for the {what}", size_text(free >> 20 << 20));
    Some(if free < little { Finding::not("disk", State::Warning, text, remedy) } else { Finding::good("disk", text) })
}

/// What the kernel lets this process have.
pub(super) fn limits(settings: Option<&DaemonConfig>) -> Vec<Finding> {
    let orchestrator = settings.and_then(|settings| settings.orchestrator.as_ref());
    let mut found = Vec::new();
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let text = format!("{files} open files");
    found.push(if files < FILES {
        Finding::not(
            "limits",
            State::Warning,
            text,
            "raise it: `LimitNOFILE=65536` in the unit, `ulimit -n 65536` in a shell",
        )
    } else {
        Finding::good("limits", text)
    });
    let wants_policy =
        orchestrator.is_some_and(|settings| matches!(settings.policy, Some(KeeperPolicy::Fifo | KeeperPolicy::Rr)));
    let priority = orchestrator.and_then(|settings| settings.priority).unwrap_or(50);
    let highest = getrlimit(Resource::Rtprio).current.unwrap_or(u64::MAX);
    let may_policy = capable(CAP_SYS_NICE) || highest >= u64::from(priority);
    found.push(match (wants_policy, may_policy) {
        (true, false) => Finding::not(
            "limits",
            State::Bad,
            format!("the settings ask for real-time priority {priority}, and at most {highest} is allowed"),
            format!("`LimitRTPRIO={priority}` or `AmbientCapabilities=CAP_SYS_NICE` in the unit"),
        ),
        (_, true) => Finding::good("limits", "real-time priorities are allowed"),
        (false, false) => Finding::note("limits", format!("real-time priorities up to {highest} are allowed")),
    });
    let wants_lock = orchestrator.and_then(|settings| settings.lock_memory).unwrap_or(false);
    let bytes = getrlimit(Resource::Memlock).current;
    let may_lock = capable(CAP_IPC_LOCK) || bytes.is_none();
    let lockable = bytes.map_or_else(|| "any amount of".to_owned(), size_text);
    found.push(match (wants_lock, may_lock) {
        (true, false) => Finding::not(
            "limits",
            State::Bad,
            format!("the settings ask for locked memory, and {lockable} is allowed"),
            "`LimitMEMLOCK=infinity` or `AmbientCapabilities=CAP_IPC_LOCK` in the unit",
        ),
        (_, true) => Finding::good("limits", "memory may be locked"),
        (false, false) => Finding::note("limits", format!("{lockable} memory may be locked")),
    });
    found
}

const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_NICE: u32 = 23;

/// Whether this process has a capability, as the kernel lists them.
fn capable(capability: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> capability & 1 == 1)
}

/// Whether the kernel says that the clock is kept in step.
pub(super) fn system_clock() -> Finding {
    match crate::process::clock::synchronised() {
        Some(true) => Finding::good("clock", "synchronised"),
        Some(false) => Finding::not(
            "clock",
            State::Warning,
            "the kernel says that the clock is not synchronised",
            "run an NTP client (`timedatectl set-ntp true`, chrony); schedules and logs rely on it",
        ),
        None => Finding::not(
            "clock",
            State::Warning,
            "the kernel does not say whether the clock is synchronised",
            "check it by hand",
        ),
    }
}

/// What real-time threads may have of the CPUs.
pub(super) fn real_time() -> Finding {
    match crate::rt::throttling() {
        Ok(limits) if limits.is_none() => Finding::not(
            "real time",
            State::Warning,
            format!("no thread can be real-time here: {limits}"),
            "`sysctl kernel.sched_rt_runtime_us=950000`, and microseconds in `cpu.rt_runtime_us` of the cgroup",
        ),
        Ok(limits) if limits.is_on() => Finding::good(
            "real time",
            format!(
                "{limits}: one that computes for longer has to wait (`sysctl kernel.sched_rt_runtime_us=-1` lifts that)"
            ),
        ),
        Ok(limits) => Finding::good("real time", limits.to_string()),
        Err(error) => Finding::not(
            "real time",
            State::Warning,
            format!("the limits of real-time threads cannot be read: {error}"),
            "mount /proc",
        ),
    }
}
