//! Processes whose parents ended before them.
//!
//! The kernel hands them to the first process of their container. That may be this program, as in its image; the first
//! process has to reap them, or each stays as a zombie for ever. Our own children are left to the code that started them,
//! which needs their exit codes.

use procfs::process::{Stat, all_processes};
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, getpid, waitid, waitpid};
use std::collections::BTreeSet;
use std::io;
use std::process::Child;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

/// How often orphans are reaped.
const SWEEP: Duration = Duration::from_secs(1);

/// Held for reading while a child is started, until it is known as ours.
static MAKING: RwLock<()> = RwLock::new(());
/// The process groups of our own children.
static OURS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A child of ours, which is left to the code that started it. Dropped when that code has reaped it.
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

/// Reaps orphans for as long as this process lives, if it is the first one here.
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

/// Reaps orphans; returns how many.
fn sweep() -> usize {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    // The usual answer, and a cheap one: nothing has ended.
    if !matches!(waitid(WaitId::All, options), Ok(Some(_))) {
        return 0;
    }
    let ended = ended_children(getpid().as_raw_pid()).filter(|stat| is_orphan(stat.pgrp));
    ended.filter(|stat| reap(stat.pid)).count()
}

/// The zombies among the children of a process.
fn ended_children(parent: i32) -> impl Iterator<Item = Stat> {
    let processes = all_processes().into_iter().flatten();
    let stats = processes.filter_map(|process| process.ok()?.stat().ok());
    stats.filter(move |stat| stat.state == 'Z' && stat.ppid == parent)
}

fn is_orphan(group: i32) -> bool {
    // A child that is being started is known as ours when this is free.
    let _made = MAKING.write().unwrap_or_else(PoisonError::into_inner);
    !OURS.lock().unwrap_or_else(PoisonError::into_inner).contains(&group)
}

fn reap(number: i32) -> bool {
    Pid::from_raw(number).is_some_and(|pid| matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(Some(_))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[test]
    fn a_zombie_of_ours_is_distinguished_from_all_else() {
        let spawn = |script| Command::new("sh").args(["-c", script]).process_group(0).spawn().unwrap();
        let (mut ended, mut alive) = (spawn("exit 3"), spawn("sleep 60"));
        let me = getpid().as_raw_pid();
        let find = |child: &Child, parent| {
            let pid = i32::try_from(child.id()).unwrap();
            ended_children(parent).find(|stat| stat.pid == pid).map(|stat| stat.pgrp == pid)
        };
        let begin = std::time::Instant::now();
        while find(&ended, me).is_none() && begin.elapsed() < Duration::from_secs(20) {}
        assert_eq!(find(&ended, me), Some(true));
        assert_eq!(find(&alive, me), None, "it lives");
        assert_eq!(find(&ended, me + 1), None, "another's");
        alive.kill().unwrap();
        alive.wait().unwrap();
        ended.wait().unwrap();
        assert_eq!(find(&ended, me), None);
    }
}
