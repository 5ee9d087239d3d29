//! What happened to tasks: remembered for a while, and sent to watchers.

use crate::wire::{AttemptKey, Happened, TaskEvent, Waiting, WatchFrom};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};

/// How many events are remembered.
const EVENTS: usize = 1024;
/// And how many bytes of outputs and messages in them.
const BYTES: usize = 8 << 20;
/// How many events may wait for a watcher that is slow: those of all tasks of a large run that begin at one instant.
const QUEUE: usize = 16_384;
/// And how many bytes; what waits beyond those that are remembered is held for the watchers alone.
const QUEUE_BYTES: usize = 16 << 20;
/// Bytes of an event beside its outputs and messages, about.
const EVENT: usize = 256;
/// How many watchers there may be: one for each run, and a few.
const WATCHERS: usize = 256;

/// The events of this runner.
#[derive(Debug)]
pub(super) struct Journal {
    instance: String,
    events: VecDeque<Arc<TaskEvent>>,
    /// Of the remembered events.
    bytes: usize,
    last: u64,
    watchers: Vec<Watcher>,
}

/// A receiver of events.
#[derive(Debug)]
struct Watcher {
    /// Only what is of this run; empty: all.
    run: String,
    events: mpsc::Sender<Waiting>,
    /// The bytes that may still wait.
    room: Arc<Semaphore>,
}

impl Watcher {
    /// Queues an event of its run. `false` when the watcher is gone or too slow.
    fn send(&self, event: &Arc<TaskEvent>) -> bool {
        if !self.run.is_empty() && self.run != event.key.run_id {
            return !self.events.is_closed();
        }
        // An event that is larger than all the room waits alone.
        let bytes = u32::try_from((bytes(event) + EVENT).min(QUEUE_BYTES)).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(bytes) else { return false };
        self.events.try_send(Waiting { event: Arc::clone(event), room }).is_ok()
    }
}

fn bytes(event: &TaskEvent) -> usize {
    match &event.what {
        Happened::Ended(ended) => {
            let remarks: usize = ended.remarks.iter().map(String::len).sum();
            ended.output_json.len() + ended.error_message.len() + ended.stdout.len() + ended.stderr.len() + remarks
        }
        Happened::Started { .. } | Happened::Missed { .. } => 0,
    }
}

impl Journal {
    pub(super) fn new(instance: String) -> Self {
        Self { instance, events: VecDeque::new(), bytes: 0, last: 0, watchers: Vec::new() }
    }

    /// Records an event and sends it to the watchers. The last event is remembered whatever its size.
    pub(super) fn record(&mut self, key: AttemptKey, what: Happened) {
        self.last += 1;
        let event = Arc::new(TaskEvent { instance: self.instance.clone(), sequence: self.last, key, what });
        // A full queue is a slow watcher, a closed one is gone: both may watch again.
        self.watchers.retain(|watcher| watcher.send(&event));
        self.bytes += bytes(&event);
        self.events.push_back(event);
        while self.events.len() > EVENTS || (self.bytes > BYTES && self.events.len() > 1) {
            let forgotten = self.events.pop_front();
            self.bytes -= forgotten.as_deref().map_or(0, bytes);
        }
    }

    /// Whether this run is watched. A watcher of all runs may be anybody and does not count.
    pub(super) fn is_watched(&self, run: &str) -> bool {
        !run.is_empty() && self.watchers.iter().any(|watcher| watcher.run == run && !watcher.events.is_closed())
    }

    /// What a watcher does not know yet, and all that is to come; `None` when too many watch.
    pub(super) fn watch(&mut self, from: &WatchFrom) -> Option<mpsc::Receiver<Waiting>> {
        self.watchers.retain(|watcher| !watcher.events.is_closed());
        if self.watchers.len() >= WATCHERS {
            return None;
        }
        let known = if from.instance == self.instance { from.after } else { 0 };
        let (sender, events) = mpsc::channel(QUEUE);
        let watcher = Watcher { run: from.run.clone(), events: sender, room: Arc::new(Semaphore::new(QUEUE_BYTES)) };
        // There is room for all that is remembered.
        if self.events.iter().filter(|event| event.sequence > known).all(|event| watcher.send(event)) {
            self.watchers.push(watcher);
        }
        Some(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TaskId;
    use crate::wire::{Ended, Stamp, TaskResult};
    use std::time::Duration;

    fn key(attempt: u32) -> AttemptKey {
        AttemptKey { run_id: String::new(), task_id: TaskId::new("t"), occurrence: 0, attempt }
    }

    fn started() -> Happened {
        Happened::Started { start: Stamp::default() }
    }

    fn sequences(events: &mut mpsc::Receiver<Waiting>) -> Vec<u64> {
        std::iter::from_fn(|| events.try_recv().ok()).map(|waiting| waiting.event.sequence).collect()
    }

    #[test]
    fn a_watcher_gets_what_it_does_not_know_and_what_comes() {
        let mut journal = Journal::new("me".to_owned());
        for attempt in 1..=3 {
            journal.record(key(attempt), started());
        }
        let from = |instance: &str, after| WatchFrom { instance: instance.to_owned(), after, run: String::new() };
        let mut fresh = journal.watch(&from("", 0)).unwrap();
        let mut again = journal.watch(&from("me", 2)).unwrap();
        let mut other = journal.watch(&from("another", 2)).unwrap();
        journal.record(key(4), started());
        assert_eq!(sequences(&mut fresh), [1, 2, 3, 4]);
        assert_eq!(sequences(&mut again), [3, 4]);
        assert_eq!(sequences(&mut other), [1, 2, 3, 4], "numbers of another instance say nothing");
    }

    #[test]
    fn a_slow_watcher_is_dropped_and_the_others_go_on() {
        let mut journal = Journal::new("me".to_owned());
        let mut slow = journal.watch(&WatchFrom::default()).unwrap();
        for attempt in 0..=u32::try_from(QUEUE).unwrap() {
            journal.record(key(attempt), started());
        }
        assert_eq!(sequences(&mut slow).len(), QUEUE);
        assert!(slow.is_closed() && journal.watchers.is_empty());
    }

    fn of_run(run: &str, attempt: u32) -> AttemptKey {
        AttemptKey { run_id: run.to_owned(), ..key(attempt) }
    }

    #[test]
    fn a_watcher_of_a_run_is_told_of_that_run_and_keeps_nothing_from_others() {
        let mut journal = Journal::new("me".to_owned());
        journal.record(of_run("one", 1), started());
        journal.record(of_run("two", 1), started());
        let mut all = journal.watch(&WatchFrom::default()).unwrap();
        assert!(!journal.is_watched("one") && !journal.is_watched(""), "who watches all of them may be anybody");
        let from = WatchFrom { run: "one".to_owned(), ..WatchFrom::default() };
        let mut one = journal.watch(&from).unwrap();
        assert!(journal.is_watched("one") && !journal.is_watched("two"));
        journal.record(of_run("two", 2), started());
        journal.record(of_run("one", 2), started());
        assert_eq!((sequences(&mut one), sequences(&mut all)), (vec![1, 4], vec![1, 2, 3, 4]));
        drop(one);
        assert!(!journal.is_watched("one"));
    }

    #[test]
    fn a_burst_of_events_drops_no_watcher() {
        let mut journal = Journal::new("me".to_owned());
        let mut watcher = journal.watch(&WatchFrom::default()).unwrap();
        // Four hundred tasks begin and end at one instant, before anything is sent.
        for attempt in 0..800 {
            journal.record(key(attempt), started());
        }
        assert_eq!(sequences(&mut watcher).len(), 800);
        assert!(!watcher.is_closed());
    }

    #[test]
    fn what_waits_for_a_watcher_is_bounded_by_bytes_and_they_by_number() {
        let mut journal = Journal::new("me".to_owned());
        let mut slow = journal.watch(&WatchFrom::default()).unwrap();
        let large = Ended { output_json: "x".repeat(1 << 20), ..ended() };
        for attempt in 0..20 {
            journal.record(key(attempt), Happened::Ended(large.clone()));
        }
        assert!(slow.is_closed() && sequences(&mut slow).len() < 17);
        let many: Vec<_> = (0..=WATCHERS).map(|_| journal.watch(&WatchFrom::default())).collect();
        assert_eq!(many.iter().filter(|one| one.is_some()).count(), WATCHERS);
    }

    fn ended() -> Ended {
        Ended {
            result: TaskResult::Success,
            start: Stamp::default(),
            end: Stamp::default(),
            error_message: String::new(),
            output_json: String::new(),
            cpu_user: Duration::ZERO,
            cpu_system: Duration::ZERO,
            memory_peak: 0,
            remarks: Vec::new(),
            stdout: String::new(),
            stderr: String::new(),
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut journal = Journal::new("me".to_owned());
        let large = Ended { output_json: "x".repeat(BYTES / 3), ..ended() };
        for attempt in 0..5 {
            journal.record(key(attempt), Happened::Ended(large.clone()));
        }
        assert_eq!((journal.events.len(), journal.bytes), (3, BYTES / 3 * 3));
        for attempt in 0..5_000 {
            journal.record(key(attempt), started());
        }
        assert_eq!((journal.events.len(), journal.bytes), (EVENTS, 0));
    }
}
