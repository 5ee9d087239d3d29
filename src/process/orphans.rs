//! Processes whose parents ended before them.
//!
//! The kernel hands them to the first process of their container. That may be this program, as in its image; whoever is
//! first has to take note of their ends, or each stays as a zombie for ever. Our own children are left to who started them:
//! their ends say how they ended.

use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, getpid, waitid, waitpid};
use std::collections::BTreeSet;
use std::io;
use std::process::Child;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

/// How often ends are taken note of.
const SWEEP: Duration = Duration::from_secs(1);

/// Held for reading while a child is made, until it is known as ours.
static MAKING: RwLock<()> = RwLock::new(());
/// The process groups of our own children.
static OURS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A child of ours, whose end is left to who started it. Dropped when that took note of it.
#[derive(Debug)]
#[must_use = "a child that is not known as ours is taken for an orphan"]
pub struct Known(i32);

impl Drop for Known {
    fn drop(&mut self) {
        OURS.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

/// Starts a child that leads a process group of its own, known as ours from its first moment.
///
/// # Errors
/// Those of `spawn`.
pub fn beside(spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<(Child, Known)> {
    let _making = MAKING.read().unwrap_or_else(PoisonError::into_inner);
    let child = spawn()?;
    let group = Pid::from_child(&child).as_raw_pid();
    OURS.lock().unwrap_or_else(PoisonError::into_inner).insert(group);
    Ok((child, Known(group)))
}

/// Takes note of the ends of orphans for as long as the process lives, if it is the first one here.
pub fn watch() {
    if getpid() != Pid::INIT {
        return;
    }
    let sweeper = std::thread::Builder::new().name("sp-orphans".to_owned());
    let swept = sweeper.spawn(|| {
        loop {
            std::thread::sleep(SWEEP);
            sweep();
        }
    });
    if let Err(error) = swept {
        tracing::warn!(%error, "processes that are left to this one stay as zombies");
    }
}

/// Takes note of the ends of orphans; says of how many.
fn sweep() -> usize {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    // The usual answer, and a short one: nothing has ended.
    if !matches!(waitid(WaitId::All, options), Ok(Some(_))) {
        return 0;
    }
    let me = getpid().as_raw_pid();
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let ended = numbers.filter(|number| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        ended_child(&stat, me).is_some_and(is_orphan)
    });
    ended.filter(|number| reap(*number)).count()
}

/// The process group of a zombie that is a child of `parent`, from its `/proc/<pid>/stat`.
fn ended_child(stat: &str, parent: i32) -> Option<i32> {
    // The name stands in brackets and may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let (state, above, group) = (fields.next()?, fields.next()?, fields.next()?);
    (state == "Z" && above.parse() == Ok(parent)).then(|| group.parse().ok())?
}

fn is_orphan(group: i32) -> bool {
    // A child that is just being made is known as ours when this is free.
    let _made = MAKING.write().unwrap_or_else(PoisonError::into_inner);
    !OURS.lock().unwrap_or_else(PoisonError::into_inner).contains(&group)
}

fn reap(number: i32) -> bool {
    Pid::from_raw(number).is_some_and(|pid| matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zombie_of_ours_is_told_from_all_else() {
        assert_eq!(ended_child("12 (a) b) Z 1 7 7 0", 1), Some(7));
        assert_eq!(ended_child("12 (sh) S 1 7 7 0", 1), None, "it lives");
        assert_eq!(ended_child("12 (sh) Z 3 7 7 0", 1), None, "another's");
        assert_eq!(ended_child("", 1), None);
    }
}
