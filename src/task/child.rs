//! Running a program: its own process group, its pipes, and its end.
//!
//! It inherits from the worker that starts it the CPUs that it may use. Its policy is set right after its start (some tens
//! of microseconds later), since what `rt` sets is reset at a fork; the timer slack is set to the machine's default before. Memory locks are not inherited, and of the environment only what [`CommandLine`] says. It is
//! started by `posix_spawn`, so that no page of locked memory is copied.

use super::cancel::Cancellation;
use super::command::CommandLine;
use super::context::TaskContext;
use super::error::TaskError;
use super::exit::{self, Exit, KEPT, Meaning, Streams, Written};
use super::usage::{self, Usage};
use crate::model::RtPolicy;
use crate::process::orphans;
use crate::rt::Monotonic;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process_group, pidfd_open};
use rustix::thread::set_current_timer_slack;
use serde_json::Value;
use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

/// Bytes of one read.
const CHUNK: usize = 16 * 1024;
/// A pipe of Linux holds no more, unless the machine is set up otherwise.
const PIPE: usize = 1 << 20;

/// The policy that a program is to have.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestedPolicy {
    pub(super) policy: RtPolicy,
    /// It is ended when the policy cannot be had.
    pub(super) strict: bool,
}

/// An ended program.
pub(super) struct EndedProgram {
    pub(super) result: Result<Option<Value>, TaskError>,
    pub(super) usage: Usage,
    /// What it wrote.
    pub(super) streams: Streams,
    /// What was asked for and could not be had.
    pub(super) remarks: Vec<String>,
}

impl EndedProgram {
    fn failed(error: TaskError) -> Self {
        Self { result: Err(error), usage: Usage::default(), streams: Streams::default(), remarks: Vec::new() }
    }
}

/// Runs a program to its end. `on_start` is called with its process group as soon as it runs. What is left of its
/// group when it ends is killed.
pub(super) fn run(
    line: &CommandLine,
    task: &TaskContext<'_>,
    requested: RequestedPolicy,
    limit: usize,
    on_start: impl FnOnce(i32),
) -> EndedProgram {
    // Whether a program can be followed to its end is tried before it is started: it must not be killed for that afterwards.
    if let Err(errno) = pidfd_open(getpid(), PidfdFlags::empty()) {
        return EndedProgram::failed(TaskError::Failed(unfollowed(line.program(), errno)));
    }
    let (mut command, json) = match prepared(line, task) {
        Ok(prepared) => prepared,
        Err(error) => return EndedProgram::failed(error),
    };
    task.cancel.signal().clear();
    // This cannot fail: a number of the calling thread is set to its default, and back at the end.
    let _ = set_current_timer_slack(None);
    let started = orphans::beside(|| command.spawn());
    let program = started.and_then(|(child, known)| Ok((Program::take(child, json)?, known)));
    let (mut program, known) = match program {
        Ok(program) => program,
        Err(error) => {
            return EndedProgram::failed(TaskError::Failed(format!("cannot start `{}`: {error}", line.program())));
        }
    };
    let mut remarks = Vec::new();
    if requested.policy != RtPolicy::Other
        && let Err(errno) = usage::share_policy(program.group.leader)
    {
        let why = format!("{} was not applied to the program: the kernel answered “{errno}”", requested.policy.name());
        if requested.strict {
            program.group.end();
            return EndedProgram::failed(TaskError::Failed(format!("it was ended immediately: {why}")));
        }
        remarks.push(why);
    }
    on_start(program.group.leader.as_raw_pid());
    let waited = program.wait(task.cancel, limit);
    let (exit, usage) = program.group.end();
    drop(known);
    program.drain(limit);
    let _ = set_current_timer_slack(Some(NonZeroU64::MIN));
    let failed = |why| Meaning { result: Err(TaskError::Failed(why)), streams: Streams::default(), remark: None };
    let meaning = match (waited, exit) {
        (Ok(()), Some(ended)) => exit::meaning(ended, &program.written, limit),
        (Err(error), _) => failed(format!("`{}` could not be followed: {error}", line.program())),
        (Ok(()), None) => failed("another part of the process took its exit code".to_owned()),
    };
    remarks.extend(meaning.remark);
    EndedProgram { result: meaning.result, usage, streams: meaning.streams, remarks }
}

/// Why a program cannot be followed to its end here.
fn unfollowed(program: &str, errno: Errno) -> String {
    let why = match errno {
        Errno::NOSYS => "this kernel has no pidfd_open; Linux 5.3 or later is needed".to_owned(),
        Errno::PERM => "pidfd_open is not permitted; the seccomp profile of the container must allow it".to_owned(),
        errno => format!("pidfd_open: {errno}"),
    };
    format!("`{program}` was not started: {why}")
}

/// The command, and what is written to its standard input.
fn prepared(line: &CommandLine, task: &TaskContext<'_>) -> Result<(Command, Vec<u8>), TaskError> {
    let json = Value::Object(task.parameters().clone()).to_string();
    let arguments = line.arguments(task.parameters())?;
    let variables = line.variables(task.key, task.parameters(), &json);
    let path = variables.get("PATH").map_or("", String::as_str);
    let mut command = Command::new(line.file(path)?);
    command.arg0(line.program()).args(arguments).env_clear().envs(variables).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok((command, json.into_bytes()))
}

/// A process group whose leader is our child. Dropped, all of it is killed.
struct Group {
    leader: Pid,
    over: bool,
}

impl Group {
    fn signal(&self, signal: Signal) {
        // The leader is not reaped before `over`, so the number is still its own. That it has ended is not a failure.
        let _ = kill_process_group(self.leader, signal);
    }

    fn end(&mut self) -> (Option<Exit>, Usage) {
        if std::mem::replace(&mut self.over, true) {
            return (None, Usage::default());
        }
        self.signal(Signal::KILL);
        usage::reap(self.leader)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// A program that runs.
struct Program {
    group: Group,
    /// Readable when the leader has ended.
    over: OwnedFd,
    input: Option<ChildStdin>,
    /// The part of the input that is not written yet.
    rest: Vec<u8>,
    output: Option<ChildStdout>,
    errors: Option<ChildStderr>,
    written: Written,
}

impl Program {
    fn take(mut child: Child, rest: Vec<u8>) -> io::Result<Self> {
        let leader = Pid::from_child(&child);
        let group = Group { leader, over: false };
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        unblock(input.as_ref())?;
        unblock(output.as_ref())?;
        unblock(errors.as_ref())?;
        let over = pidfd_open(leader, PidfdFlags::empty())?;
        Ok(Self { group, over, input, rest, output, errors, written: Written::default() })
    }

    /// Waits until the leader has ended. Asks the group to stop when the task is asked to, and kills it when its time is up.
    fn wait(&mut self, cancel: &Cancellation, limit: usize) -> io::Result<()> {
        let (mut asked, mut forced) = (false, false);
        loop {
            if cancel.is_cancelled() && !asked {
                asked = true;
                self.group.signal(Signal::TERM);
            }
            let now = Monotonic::now();
            let force_at = cancel.force_at();
            if asked && !forced && now >= force_at {
                forced = true;
                self.group.signal(Signal::KILL);
            }
            let timeout = (asked && !forced).then(|| Timespec::try_from(force_at.since(now)).ok()).flatten();
            let mut files = vec![
                PollFd::new(&self.over, PollFlags::IN),
                PollFd::from_borrowed_fd(cancel.signal().file(), PollFlags::IN),
            ];
            files.extend(self.output.as_ref().map(|file| PollFd::new(file, PollFlags::IN)));
            files.extend(self.errors.as_ref().map(|file| PollFd::new(file, PollFlags::IN)));
            files.extend(self.input.as_ref().map(|file| PollFd::new(file, PollFlags::OUT)));
            match poll(&mut files, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            let [over, signalled] = [files[0].revents(), files[1].revents()].map(|events| !events.is_empty());
            drop(files);
            if signalled {
                cancel.signal().clear();
            }
            self.write();
            self.read(limit);
            if over {
                return Ok(());
            }
        }
    }

    fn write(&mut self) {
        let Some(input) = &mut self.input else { return };
        while !self.rest.is_empty() {
            match input.write(&self.rest) {
                Ok(written) => drop(self.rest.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // A program need not read its input.
                Err(_) => break,
            }
        }
        self.input = None;
    }

    /// One chunk of each.
    fn read(&mut self, limit: usize) -> bool {
        let written = &mut self.written;
        let output = take(&mut self.output, |chunk| {
            written.output_bytes = written.output_bytes.saturating_add(chunk.len());
            let room = limit.saturating_sub(written.output.len());
            written.output.extend_from_slice(&chunk[..chunk.len().min(room)]);
            keep_end(&mut written.output_end, chunk);
        });
        let errors = take(&mut self.errors, |chunk| keep_end(&mut written.errors, chunk));
        output || errors
    }

    /// Reads what is left in the pipes of an ended program. One that left the group may still write: no more is read
    /// than pipes hold.
    fn drain(&mut self, limit: usize) {
        for _ in 0..=PIPE / CHUNK {
            if !self.read(limit) {
                return;
            }
        }
    }
}

fn keep_end(kept: &mut Vec<u8>, chunk: &[u8]) {
    kept.extend_from_slice(chunk);
    let old = kept.len().saturating_sub(KEPT);
    kept.drain(..old);
}

fn unblock(file: Option<&impl AsFd>) -> io::Result<()> {
    let Some(file) = file else { return Ok(()) };
    Ok(fcntl_setfl(file, fcntl_getfl(file)? | OFlags::NONBLOCK)?)
}

/// Reads one chunk, if there is one; says whether there was. At its end the file is closed.
fn take(file: &mut Option<impl Read>, mut keep: impl FnMut(&[u8])) -> bool {
    let Some(open) = file else { return false };
    let mut chunk = [0; CHUNK];
    loop {
        match open.read(&mut chunk) {
            Ok(0) => break,
            Ok(size) => {
                keep(&chunk[..size]);
                return true;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => break,
        }
    }
    *file = None;
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_lacks_is_reported_for_a_program_that_was_not_started() {
        let text = unfollowed("backup", Errno::NOSYS);
        assert!(text.starts_with("`backup` was not started") && text.contains("Linux 5.3"), "{text}");
    }
}
