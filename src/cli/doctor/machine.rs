//! Folders, disks, limits and the clock of this machine.

use super::finding::{Finding, State};
use crate::manifest::DaemonConfig;
use crate::manifest::raw::daemon::KeeperPolicy;
use crate::model::size_text;
use crate::process::error::chain;
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
    Finding::not("state", State::Bad, chain(&error), state_remedy(&error, folder))
}

/// What to do about a state folder that cannot be used.
fn state_remedy(error: &StoreError, folder: &Path) -> String {
    match error {
        StoreError::Damaged { .. } | StoreError::Newer { .. } | StoreError::Emptied { .. } => {
            "as it says; keep a copy of the folder first".to_owned()
        }
        StoreError::Busy { .. } => "wait for the other process, or end it".to_owned(),
        error if error.is_full() => format!("free space on the file system that holds {}", folder.display()),
        error if error.is_read_only() => "mount its file system writable, or choose another folder \
             (`state-dir` in daemon.kdl, --state-dir)"
            .to_owned(),
        _ => "run as the user that owns the folder, or choose another (`state-dir` in daemon.kdl, --state-dir)"
            .to_owned(),
    }
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
    let wants_policy =
        orchestrator.is_some_and(|settings| matches!(settings.policy, Some(KeeperPolicy::Fifo | KeeperPolicy::Rr)));
    let priority = orchestrator.and_then(|settings| settings.priority).unwrap_or(50);
    let wants_lock = orchestrator.and_then(|settings| settings.lock_memory).unwrap_or(false);
    let limit = |resource| getrlimit(resource).current;
    vec![
        open_files(limit(Resource::Nofile)),
        priorities(wants_policy.then_some(priority), limit(Resource::Rtprio), capable(CAP_SYS_NICE)),
        locked_memory(wants_lock, limit(Resource::Memlock), capable(CAP_IPC_LOCK)),
    ]
}

/// `None` is no limit, here and below.
fn open_files(limit: Option<u64>) -> Finding {
    let text = limit.map_or_else(|| "any number of open files".to_owned(), |files| format!("{files} open files"));
    if limit.is_none_or(|files| files >= FILES) {
        return Finding::good("limits", text);
    }
    let remedy = "raise it: `LimitNOFILE=65536` in the unit, `ulimit -n 65536` in a shell";
    Finding::not("limits", State::Warning, text, remedy)
}

fn priorities(wanted: Option<u8>, limit: Option<u64>, capable: bool) -> Finding {
    let highest = limit.unwrap_or(u64::MAX);
    match wanted {
        _ if capable || limit.is_none() => Finding::good("limits", "real-time priorities are allowed"),
        None => Finding::note("limits", format!("real-time priorities up to {highest} are allowed")),
        Some(wanted) if highest >= u64::from(wanted) => {
            Finding::good("limits", format!("real-time priorities up to {highest} are allowed"))
        }
        Some(wanted) => Finding::not(
            "limits",
            State::Bad,
            format!("the settings ask for real-time priority {wanted}, and at most {highest} is allowed"),
            format!("`LimitRTPRIO={wanted}` or `AmbientCapabilities=CAP_SYS_NICE` in the unit"),
        ),
    }
}

fn locked_memory(wanted: bool, limit: Option<u64>, capable: bool) -> Finding {
    match limit.filter(|_| !capable).map(size_text) {
        None => Finding::good("limits", "memory may be locked"),
        Some(lockable) if wanted => Finding::not(
            "limits",
            State::Bad,
            format!("the settings ask for locked memory, and {lockable} is allowed"),
            "`LimitMEMLOCK=infinity` or `AmbientCapabilities=CAP_IPC_LOCK` in the unit",
        ),
        Some(lockable) => Finding::note("limits", format!("{lockable} memory may be locked")),
    }
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
    clock(crate::process::clock::synchronised())
}

fn clock(synchronised: Option<bool>) -> Finding {
    match synchronised {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy(finding: &Finding) -> &str {
        finding.remedy.as_deref().unwrap_or_default()
    }

    #[test]
    fn a_limit_is_bad_only_where_the_settings_ask_for_more() {
        let states = |findings: &[Finding]| findings.iter().map(|finding| finding.state).collect::<Vec<_>>();
        let few = open_files(Some(1023));
        assert!(few.state == State::Warning && remedy(&few).contains("LimitNOFILE"), "{few:?}");
        assert_eq!(states(&[open_files(Some(1024)), open_files(None)]), [State::Good; 2]);

        let bad = priorities(Some(80), Some(79), false);
        assert_eq!(bad.state, State::Bad);
        assert!(bad.text.contains("priority 80, and at most 79") && remedy(&bad).contains("LimitRTPRIO=80"), "{bad:?}");
        let enough =
            [(Some(80), Some(80), false), (Some(80), Some(0), true), (Some(99), None, false), (None, Some(0), true)];
        assert_eq!(states(&enough.map(|(wanted, limit, may)| priorities(wanted, limit, may))), [State::Good; 4]);
        let unasked = priorities(None, Some(10), false);
        assert!(unasked.state == State::Note && unasked.text.contains("up to 10"), "{unasked:?}");

        let bad = locked_memory(true, Some(8 << 20), false);
        assert_eq!(bad.state, State::Bad);
        assert!(bad.text.contains("8MiB is allowed") && remedy(&bad).contains("LimitMEMLOCK=infinity"), "{bad:?}");
        let enough = [locked_memory(true, None, false), locked_memory(true, Some(0), true)];
        assert_eq!(states(&enough), [State::Good; 2]);
        let unasked = locked_memory(false, Some(8 << 20), false);
        assert!(unasked.state == State::Note && unasked.text.contains("8MiB memory"), "{unasked:?}");
    }

    #[test]
    fn a_clock_that_nobody_sets_is_a_warning_with_the_remedy() {
        assert_eq!(clock(Some(true)).state, State::Good);
        let off = clock(Some(false));
        assert!(off.state == State::Warning && remedy(&off).contains("timedatectl set-ntp true"), "{off:?}");
        let unknown = clock(None);
        assert!(unknown.state == State::Warning && unknown.text.contains("does not say"), "{unknown:?}");
    }
}
