//! Real-time threads: named, set up before they start, and joined.

use super::memory::prefault_stack;
use super::policy::{Applied, apply, current};
use crate::model::{RealTime, RtPolicy};
use std::any::Any;
use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Stack that is enough for a loop that waits and calls, in bytes.
pub const DEFAULT_STACK: usize = 256 * 1024;

/// How long a new thread may take to start: on a CPU that is kept by real-time work it never does.
const THREAD_START: Duration = Duration::from_secs(5);

/// The flag `SCHED_RESET_ON_FORK` of the older calls, as `sched(7)` has it.
const RESET_ON_FORK: i32 = 0x4000_0000;

/// How a thread is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSettings {
    /// Its name; the kernel shows the first 15 bytes.
    pub name: String,
    /// Policy and CPU.
    pub real_time: RealTime,
    /// Size of its stack in bytes; what the start of the thread leaves of it is touched before the body runs.
    pub stack: usize,
}

/// Why a thread cannot be started, or has no result.
#[derive(Debug, thiserror::Error)]
pub enum ThreadError {
    /// The name holds a zero byte.
    #[error("`{}` is not a name for a thread", .name.escape_debug())]
    Name {
        /// The name.
        name: String,
    },
    /// The system refused it.
    #[error("cannot start the thread `{name}`")]
    Spawn {
        /// The thread's name.
        name: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The thread ended before its body ran.
    #[error("the thread `{name}` ended before it was started")]
    Ended {
        /// The thread's name.
        name: String,
    },
    /// The thread got no CPU.
    #[error(
        "the thread `{name}` did not get a CPU within {}s: real-time work of other programs keeps them for itself",
        THREAD_START.as_secs()
    )]
    Starved {
        /// The thread's name.
        name: String,
    },
    /// The thread panicked.
    #[error("the thread `{name}` panicked: {message}")]
    Panicked {
        /// The thread's name.
        name: String,
        /// Its message.
        message: String,
    },
}

/// A thread that is set up and waits to be started. Dropped, it ends without having run.
#[derive(Debug)]
#[must_use = "the thread waits until it is started"]
pub struct Prepared<T: Send + 'static> {
    applied: Applied,
    prefaulted: usize,
    // Before the thread: dropped first, which lets the thread end, so that the join after it does.
    go: SyncSender<()>,
    thread: Running<T>,
}

impl<T: Send + 'static> Prepared<T> {
    /// Creates a thread, lets it touch its stack and apply its settings, and waits for that.
    ///
    /// # Errors
    /// When the thread cannot be started. A refused policy is not an error: see [`Prepared::applied`].
    pub fn new(settings: ThreadSettings, body: impl FnOnce() -> T + Send + 'static) -> Result<Self, ThreadError> {
        let ThreadSettings { name, real_time, stack } = settings;
        if name.contains('\0') {
            return Err(ThreadError::Name { name });
        }
        let (ready, is_ready) = sync_channel(1);
        let (go, may_go) = sync_channel(1);
        let run = move || {
            let prefaulted = prefault_stack(stack);
            let reported = ready.send((apply(real_time), prefaulted));
            drop(ready);
            (reported.is_ok() && may_go.recv().is_ok()).then(body)
        };
        let thread = match Builder::new().name(name.clone()).stack_size(stack).spawn(run) {
            Ok(handle) => Running { name: name.clone(), handle: Some(handle) },
            Err(source) => return Err(ThreadError::Spawn { name, source }),
        };
        match is_ready.recv_timeout(THREAD_START) {
            Ok((applied, prefaulted)) => Ok(Self { applied, prefaulted, go, thread }),
            Err(RecvTimeoutError::Disconnected) => Err(ThreadError::Ended { name }),
            Err(RecvTimeoutError::Timeout) => {
                // It ends by itself, without having run, as soon as it gets a CPU.
                thread.leave();
                Err(ThreadError::Starved { name })
            }
        }
    }

    /// What was asked for and what is in force.
    pub fn applied(&self) -> &Applied {
        &self.applied
    }

    /// Bytes of its stack that were touched.
    pub fn prefaulted(&self) -> usize {
        self.prefaulted
    }

    /// Runs the body.
    pub fn start(self) -> Running<T> {
        // The thread waits for this, and the queue has room.
        let _ = self.go.send(());
        self.thread
    }
}

/// Creates a thread that touches its stack and runs, without waiting for it: its settings are applied by the body, or from
/// outside ([`super::Thread`]). Until then it has the policy of the caller if that is real-time, so that it gets a CPU before
/// work of lower priorities.
///
/// # Errors
/// When the thread cannot be started.
pub fn launch<T: Send + 'static>(
    name: &str,
    stack: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<Running<T>, ThreadError> {
    let name = name.to_owned();
    if name.contains('\0') {
        return Err(ThreadError::Name { name });
    }
    let run = move || {
        prefault_stack(stack);
        Some(body())
    };
    match Builder::new().name(name.clone()).stack_size(stack).spawn(run) {
        Ok(handle) => {
            if let Ok(RtPolicy::Fifo { priority } | RtPolicy::RoundRobin { priority }) =
                current().map(|in_force| in_force.policy)
            {
                raise(&handle, priority);
            }
            Ok(Running { name, handle: Some(handle) })
        }
        Err(source) => Err(ThreadError::Spawn { name, source }),
    }
}

/// Gives a thread a priority that the calling one has. A refusal leaves it as it is.
#[expect(unsafe_code, reason = "only this call takes a thread whose number is not known yet")]
fn raise<T>(handle: &JoinHandle<T>, priority: u8) {
    let parameter = libc::sched_param { sched_priority: i32::from(priority) };
    // SAFETY: the handle is of a thread that was not joined, and the pointer to a live value.
    let _ = unsafe {
        libc::pthread_setschedparam(
            handle.as_pthread_t() as libc::pthread_t,
            libc::SCHED_FIFO | RESET_ON_FORK,
            &raw const parameter,
        )
    };
}

/// A running thread. Dropped, it is joined: what it waits for must come.
#[derive(Debug)]
pub struct Running<T: Send + 'static> {
    name: String,
    /// `None` once joined.
    handle: Option<JoinHandle<Option<T>>>,
}

impl<T: Send + 'static> Running<T> {
    /// Detaches it.
    pub fn leave(mut self) {
        drop(self.handle.take());
    }

    /// Whether the body has returned, so that joining takes no time.
    pub fn is_finished(&self) -> bool {
        self.handle.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the end of the body and gives its result.
    ///
    /// # Errors
    /// When the body panicked.
    pub fn join(mut self) -> Result<T, ThreadError> {
        let name = std::mem::take(&mut self.name);
        match self.handle.take().map(JoinHandle::join) {
            Some(Ok(Some(result))) => Ok(result),
            Some(Err(panic)) => Err(ThreadError::Panicked { name, message: panic_text(panic.as_ref()) }),
            Some(Ok(None)) | None => Err(ThreadError::Ended { name }),
        }
    }
}

impl<T: Send + 'static> Drop for Running<T> {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            // A dropped handle asks for no result, nor for a panic.
            let _ = handle.join();
        }
    }
}

/// The message of a panic; `panic!` gives one of two kinds of text.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RtPolicy;
    use crate::rt::policy::current;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    fn settings(policy: RtPolicy) -> ThreadSettings {
        ThreadSettings {
            name: "setpoint-rt".to_owned(),
            real_time: RealTime { policy, cpu: None },
            stack: DEFAULT_STACK,
        }
    }

    #[test]
    fn the_body_runs_under_what_was_reported_and_not_before_the_start() {
        let ran = Arc::new(AtomicBool::new(false));
        let body = {
            let ran = Arc::clone(&ran);
            move || {
                ran.store(true, Ordering::SeqCst);
                (thread::current().name().map(str::to_owned), current().unwrap().policy)
            }
        };
        let asked = RtPolicy::Fifo { priority: 10 };
        let prepared = Prepared::new(settings(asked), body).unwrap();
        assert!(prepared.prefaulted() > DEFAULT_STACK / 2, "{}", prepared.prefaulted());
        thread::sleep(Duration::from_millis(20));
        assert!(!ran.load(Ordering::SeqCst), "it ran before it was started");
        let applied = prepared.applied().clone();
        let (name, in_force) = prepared.start().join().unwrap();
        assert_eq!(name.as_deref(), Some("setpoint-rt"));
        match applied.policy {
            Ok(()) => assert_eq!(in_force, asked),
            Err(refused) => {
                eprintln!("skipped: {refused}");
                assert_eq!(in_force, RtPolicy::Other);
            }
        }
    }

    #[test]
    fn a_thread_that_is_refused_never_runs() {
        let ran = Arc::new(AtomicBool::new(false));
        let body = {
            let ran = Arc::clone(&ran);
            move || ran.store(true, Ordering::SeqCst)
        };
        let mut settings = settings(RtPolicy::Other);
        settings.real_time.cpu = Some(100_000);
        let prepared = Prepared::new(settings, body).unwrap();
        assert_eq!(prepared.applied().refusals().count(), 1);
        drop(prepared);
        assert_eq!(Arc::strong_count(&ran), 1, "the thread was joined");
        assert!(!ran.load(Ordering::SeqCst));
    }

    #[test]
    fn a_panic_reaches_the_joiner() {
        let running =
            Prepared::new(settings(RtPolicy::Other), || -> () { panic!("wheel {} fell off", 3) }).unwrap().start();
        let error = running.join().unwrap_err();
        assert_eq!(error.to_string(), "the thread `setpoint-rt` panicked: wheel 3 fell off");
    }

    #[test]
    fn dropping_a_running_thread_waits_for_its_end() {
        let ended = Arc::new(AtomicBool::new(false));
        let body = {
            let ended = Arc::clone(&ended);
            move || {
                thread::sleep(Duration::from_millis(20));
                ended.store(true, Ordering::SeqCst);
            }
        };
        drop(Prepared::new(settings(RtPolicy::Other), body).unwrap().start());
        assert!(ended.load(Ordering::SeqCst));
    }

    #[test]
    fn a_name_with_a_zero_byte_is_an_error_not_a_panic() {
        let settings = ThreadSettings { name: "a\0b".to_owned(), ..settings(RtPolicy::Other) };
        let error = Prepared::new(settings, || ()).unwrap_err();
        assert_eq!(error.to_string(), "`a\\0b` is not a name for a thread");
    }

    #[test]
    fn a_launched_thread_has_the_callers_priority_until_it_gets_its_own() {
        let asked = RealTime { policy: RtPolicy::Fifo { priority: 15 }, cpu: None };
        let seen = thread::scope(|scope| {
            let caller = scope.spawn(move || {
                let _ = crate::rt::apply(asked);
                let (begin, may_begin) = sync_channel::<()>(1);
                let body = move || {
                    may_begin.recv().unwrap();
                    current().unwrap().policy
                };
                let running = launch("setpoint-rt", DEFAULT_STACK, body).unwrap();
                begin.send(()).unwrap();
                (current().unwrap().policy, running.join().unwrap())
            });
            caller.join().unwrap()
        });
        assert_eq!(seen.0, seen.1);
    }
}
