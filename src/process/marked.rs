//! Processes that are known by a variable of their environment: those that a process of this program started, and all that they
//! started in turn, also when that process is gone and their numbers are not known.

use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};
use std::io;
use std::os::fd::OwnedFd;

/// A process with the mark. A signal to it reaches no other process, even if its number is reused.
#[derive(Debug)]
pub struct Marked {
    number: Pid,
    process: OwnedFd,
}

impl Marked {
    /// Its number, which is its own as long as it lives.
    pub fn number(&self) -> i32 {
        self.number.as_raw_pid()
    }

    /// Asks it to end.
    ///
    /// # Errors
    /// When this process may not; that it has ended is not an error.
    pub fn ask(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Ends it.
    ///
    /// # Errors
    /// See [`Marked::ask`].
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.process, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// The processes, other than this one, whose environment gives `variable` this value. Those of other users cannot be asked and
/// are not among them, unless this one is root. One that is executing another program at this moment shows no environment and is
/// not among them either: a caller that must be sure reads the list twice.
pub fn find(variable: &str, value: &str) -> Vec<Marked> {
    let mark = format!("{variable}={value}").into_bytes();
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let others = numbers.filter_map(Pid::from_raw).filter(|number| *number != getpid());
    let found = others.filter(|number| carries(*number, &mark)).filter_map(|number| {
        let process = pidfd_open(number, PidfdFlags::empty()).ok()?;
        // The number may have been reused between the two.
        carries(number, &mark).then_some(Marked { number, process })
    });
    found.collect()
}

fn carries(number: Pid, mark: &[u8]) -> bool {
    let environment = std::fs::read(format!("/proc/{}/environ", number.as_raw_pid())).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable == mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn a_process_is_found_by_the_whole_value_and_ended_alone() {
        let value = format!("{:016x}", fastrand::u64(..));
        let start = |value: &str| Command::new("sleep").arg("60").env("SP_TEST_MARK", value).spawn().unwrap();
        let (mut ours, mut other) = (start(&value), start(&format!("{value}1")));
        let begin = Instant::now();
        let found = loop {
            let found = find("SP_TEST_MARK", &value);
            if !found.is_empty() || begin.elapsed() > Duration::from_secs(30) {
                break found;
            }
        };
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!(u32::try_from(one.number()).unwrap(), ours.id());
        one.ask().unwrap();
        assert_eq!(ours.wait().unwrap().signal(), Some(15));
        assert!(other.try_wait().unwrap().is_none(), "it has another mark");
        assert!(find("SP_TEST_MARK", &value).is_empty());
        one.kill().unwrap();
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
