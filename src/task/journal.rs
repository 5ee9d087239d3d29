//! What happened to tasks: remembered for a while, and told to whoever watches.

use crate::wire::{AttemptKey, Happened, TaskEvent, WatchFrom};
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// How many events are remembered.
const EVENTS: usize = 1024;
/// And how many bytes of outputs and messages in them.
const BYTES: usize = 8 << 20;
/// How many events may wait for a watcher that is slow.
const QUEUE: usize = 256;

/// The events of this runner.
#[derive(Debug)]
pub(super) struct Journal {
    instance: String,
    events: VecDeque<TaskEvent>,
    /// Of the remembered events.
    bytes: usize,
    last: u64,
    watchers: Vec<mpsc::Sender<TaskEvent>>,
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

    /// Something happened. The last event is remembered whatever its size.
    pub(super) fn tell(&mut self, key: AttemptKey, what: Happened) {
        self.last += 1;
        let event = TaskEvent { instance: self.instance.clone(), sequence: self.last, key, what };
        // One that is full is slow, one that is closed is gone: both may come again.
        self.watchers.retain(|watcher| watcher.try_send(event.clone()).is_ok());
        self.bytes += bytes(&event);
        self.events.push_back(event);
        while self.events.len() > EVENTS || (self.bytes > BYTES && self.events.len() > 1) {
            let forgotten = self.events.pop_front();
            self.bytes -= forgotten.as_ref().map_or(0, bytes);
        }
    }

    /// Whether somebody watches.
    pub(super) fn is_watched(&self) -> bool {
        self.watchers.iter().any(|watcher| !watcher.is_closed())
    }

    /// What a watcher does not know yet, and all that is to come.
    pub(super) fn watch(&mut self, from: &WatchFrom) -> mpsc::Receiver<TaskEvent> {
        let known = if from.instance == self.instance { from.after } else { 0 };
        let (watcher, events) = mpsc::channel(self.events.len() + QUEUE);
        for event in self.events.iter().filter(|event| event.sequence > known) {
            // There is room for all of them.
            let _ = watcher.try_send(event.clone());
        }
        self.watchers.retain(|watcher| !watcher.is_closed());
        self.watchers.push(watcher);
        events
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

    fn sequences(events: &mut mpsc::Receiver<TaskEvent>) -> Vec<u64> {
        std::iter::from_fn(|| events.try_recv().ok()).map(|event| event.sequence).collect()
    }

    #[test]
    fn a_watcher_gets_what_it_does_not_know_and_what_comes() {
        let mut journal = Journal::new("me".to_owned());
        for attempt in 1..=3 {
            journal.tell(key(attempt), started());
        }
        let from = |instance: &str, after| WatchFrom { instance: instance.to_owned(), after };
        let mut fresh = journal.watch(&from("", 0));
        let mut again = journal.watch(&from("me", 2));
        let mut other = journal.watch(&from("another", 2));
        journal.tell(key(4), started());
        assert_eq!(sequences(&mut fresh), [1, 2, 3, 4]);
        assert_eq!(sequences(&mut again), [3, 4]);
        assert_eq!(sequences(&mut other), [1, 2, 3, 4], "numbers of another instance say nothing");
    }

    #[test]
    fn a_slow_watcher_is_dropped_and_the_others_go_on() {
        let mut journal = Journal::new("me".to_owned());
        let mut slow = journal.watch(&WatchFrom::default());
        for attempt in 0..=u32::try_from(QUEUE).unwrap() {
            journal.tell(key(attempt), started());
        }
        assert_eq!(sequences(&mut slow).len(), QUEUE);
        assert!(slow.is_closed() && journal.watchers.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut journal = Journal::new("me".to_owned());
        let large = Ended {
            result: TaskResult::Success,
            start: Stamp::default(),
            end: Stamp::default(),
            error_message: String::new(),
            output_json: "x".repeat(BYTES / 3),
            cpu_user: Duration::ZERO,
            cpu_system: Duration::ZERO,
            memory_peak: 0,
            remarks: Vec::new(),
            stdout: String::new(),
            stderr: String::new(),
        };
        for attempt in 0..5 {
            journal.tell(key(attempt), Happened::Ended(large.clone()));
        }
        assert_eq!((journal.events.len(), journal.bytes), (3, BYTES / 3 * 3));
        for attempt in 0..5_000 {
            journal.tell(key(attempt), started());
        }
        assert_eq!((journal.events.len(), journal.bytes), (EVENTS, 0));
    }
}
