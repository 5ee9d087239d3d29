//! The task that waits for due times.

use super::Orchestrator;
use super::launch::{Launch, Launched};
use crate::daemon::load::Loaded;
use crate::model::{Missed, Schedule, ScheduleName, Start, Timestamp, digest};
use crate::process::clock;
use crate::process::supervise::{TaskResult, chain};
use crate::runs::{self, Exchange, Hand, new_id};
use crate::schedule::agenda::{Admission, Agenda, admit, due, jittered};
use crate::schedule::{RunVerdict, agenda};
use crate::store::{DueKey, FireOutcome, Fired, Interrupted, StoreError};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The wall clock is looked at this often at least: it may be put forward while nothing else happens.
const LOOK: Duration = Duration::from_secs(1);
/// Likewise when no due time is known.
const IDLE: Duration = Duration::from_secs(60);
/// Time between two tries after the store or the network failed.
const AGAIN: Duration = Duration::from_secs(5);
/// What the daemon needs beside the runs under way when it ends.
const FAREWELL_MARGIN: Duration = Duration::from_secs(3);

/// What the task works with.
pub(in crate::daemon) struct Timing {
    orchestrator: Orchestrator,
    loaded: watch::Receiver<Option<Loaded>>,
    stop: CancellationToken,
    /// How long the runs under way may take to end when the daemon does.
    farewell: Duration,
    exchange: Option<Arc<Exchange>>,
    current: Option<Loaded>,
    /// Since when each schedule is known in its present form.
    known: BTreeMap<ScheduleName, Timestamp>,
    agenda: Agenda,
    runs: BTreeMap<ScheduleName, Runs>,
    ends: FuturesUnordered<BoxFuture<'static, Launched>>,
    /// Runs that an earlier process left were looked for.
    settled: bool,
    /// A commit whose schedules could not be taken up yet, and when to try again.
    todo: Option<(Loaded, Timestamp)>,
}

/// The runs of one schedule.
#[derive(Default)]
struct Runs {
    under_way: Vec<(String, Hand)>,
    waiting: VecDeque<DueKey>,
}

impl Timing {
    pub(in crate::daemon) fn new(
        orchestrator: Orchestrator,
        loaded: watch::Receiver<Option<Loaded>>,
        stop: CancellationToken,
        shutdown: Duration,
    ) -> Self {
        Self {
            orchestrator,
            loaded,
            stop,
            farewell: shutdown.saturating_sub(FAREWELL_MARGIN),
            exchange: None,
            current: None,
            known: BTreeMap::new(),
            agenda: Agenda::default(),
            runs: BTreeMap::new(),
            ends: FuturesUnordered::new(),
            settled: false,
            todo: None,
        }
    }

    /// Runs until it is asked to stop; then the runs under way are stopped as well.
    ///
    /// # Errors
    /// When the task that applies commits is gone.
    pub(in crate::daemon) async fn run(mut self) -> TaskResult {
        loop {
            let wait = self.wait();
            // Every arm is cancel-safe: a run that ended stays in the set until it is taken out.
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                changed = self.loaded.changed() => {
                    changed?;
                    let loaded = self.loaded.borrow_and_update().clone();
                    // What came due under the schedules until now is looked at under them.
                    self.look_all();
                    self.todo = loaded.map(|loaded| (loaded, Timestamp::MIN));
                }
                Some(launched) = self.ends.next(), if !self.ends.is_empty() => {
                    self.guarded(|this| this.ended(&launched));
                }
                () = tokio::time::sleep(wait) => {}
            }
            if let Some((loaded, _)) = self.todo.take_if(|(_, at)| *at <= clock::now()) {
                let taken = self.guarded(|this| this.take(&loaded));
                self.todo = (!taken).then(|| (loaded, again()));
            }
            self.look_all();
        }
        self.farewell().await;
        Ok(())
    }

    /// Looks at every schedule whose time has come.
    fn look_all(&mut self) {
        let now = clock::now();
        for name in self.agenda.take(now) {
            if !self.guarded(|this| this.look(&name, now)) {
                self.agenda.insert(name, again());
            }
        }
    }

    fn wait(&self) -> Duration {
        let next = self.agenda.next().into_iter().chain(self.todo.as_ref().map(|(_, at)| *at)).min();
        let until = next.map(|at| at.duration_since(clock::now()));
        until.map_or(IDLE, |until| if until.is_negative() { Duration::ZERO } else { until.unsigned_abs().min(LOOK) })
    }

    /// A step whose failure is told and does not end the daemon: it is tried again. Says whether it went well.
    fn guarded(&mut self, step: impl FnOnce(&mut Self) -> Result<(), StoreError>) -> bool {
        step(self)
            .inspect_err(|error| {
                tracing::error!(error = chain(error), "the ledger of due times does not work; it is tried again");
            })
            .is_ok()
    }

    /// Takes up the schedules of a commit. Runs under way go on as they began.
    fn take(&mut self, loaded: &Loaded) -> Result<(), StoreError> {
        let now = clock::now();
        let schedules = &loaded.desired.schedules;
        loaded.ledger.forget_schedules(schedules.keys())?;
        self.known.retain(|name, _| schedules.contains_key(name));
        self.agenda = Agenda::default();
        let first = !self.settled;
        let left = if first { loaded.ledger.interrupted_runs()? } else { Vec::new() };
        let mut commits = Vec::new();
        for (name, schedule) in schedules {
            let content = serde_json::to_string(schedule).unwrap_or_default();
            let known = loaded.ledger.see_schedule(name, &digest(&content), &loaded.revision.commit, now)?;
            self.known.insert(name.clone(), known.since);
            self.agenda.insert(name.clone(), now);
            if schedule.start == Start::OnCommit {
                commits.push((name.clone(), DueKey::Commit(known.revision)));
            }
        }
        self.current = Some(loaded.clone());
        for run in left {
            self.settle(loaded, &run, now)?;
        }
        if first {
            self.wait_again(loaded)?;
            self.settled = true;
        }
        for (name, key) in commits {
            if loaded.ledger.fire_of(&name, &key)?.is_none() {
                self.admitted(loaded, &name, &key, now, now)?;
            }
        }
        Ok(())
    }

    /// A run that an earlier process left behind. One of which nothing had begun begins now, unless missed times are
    /// skipped; one that had begun is closed: what its tasks did is not known, and none is started twice.
    fn settle(&mut self, loaded: &Loaded, run: &Interrupted, now: Timestamp) -> Result<(), StoreError> {
        let schedule = loaded.desired.schedules.get(&run.schedule);
        // Begun by this process, in an attempt to take up the same commit that failed later on.
        if self.runs.get(&run.schedule).is_some_and(|runs| runs.under_way.iter().any(|(id, _)| *id == run.run)) {
            return Ok(());
        }
        let planned = match (&run.due, schedule) {
            (DueKey::Instant(at), Some(schedule)) => jittered(&run.schedule, *at, schedule.jitter),
            _ => run.since,
        };
        let on_time =
            now.duration_since(planned) <= SignedDuration::try_from(agenda::ON_TIME).unwrap_or(SignedDuration::ZERO);
        let again = schedule.filter(|schedule| !run.began && (on_time || schedule.missed != Missed::Skip));
        match again {
            Some(schedule) => {
                tracing::info!(run = run.run, "a run that was fired before the daemon ended begins now");
                let schedule = Arc::new(schedule.clone());
                self.launch(loaded, &schedule, run.run.clone(), run.due.clone(), planned.max(now));
            }
            None => {
                let note = if run.began {
                    "the daemon ended before the run did; its tasks were not started again"
                } else {
                    "the daemon ended before the run began, and its schedule skips what is missed"
                };
                loaded.ledger.settle_interrupted(&run.run, RunVerdict::Aborted, note, now)?;
                tracing::warn!(run = run.run, note, "a run was interrupted");
            }
        }
        Ok(())
    }

    /// Runs that waited when an earlier process ended wait again.
    fn wait_again(&mut self, loaded: &Loaded) -> Result<(), StoreError> {
        let mut names = BTreeSet::new();
        for fire in loaded.ledger.queued()? {
            let waiting = &mut self.runs.entry(fire.schedule.clone()).or_default().waiting;
            if !waiting.contains(&fire.due) {
                waiting.push_back(fire.due);
            }
            names.insert(fire.schedule);
        }
        names.iter().try_for_each(|name| self.next(name))
    }

    /// Looks what is due.
    fn look(&mut self, name: &ScheduleName, now: Timestamp) -> Result<(), StoreError> {
        let Some(loaded) = self.current.clone() else { return Ok(()) };
        let (Some(schedule), Some(seen)) = (loaded.desired.schedules.get(name), self.known.get(name).copied()) else {
            return Ok(());
        };
        let settled = loaded.ledger.settled(name)?;
        let due = due(&schedule.start, schedule.missed, seen, settled, now);
        if let Some(span) = due.missed {
            let outcome = FireOutcome::Missed { missed_from: span.first, missed: span.count };
            loaded.ledger.fire(name, &DueKey::Instant(span.last), outcome, None, now)?;
            tracing::warn!(schedule = %name, count = span.count, "due times were missed");
        }
        for at in due.run {
            let planned = jittered(name, at, schedule.jitter);
            self.admitted(&loaded, name, &DueKey::Instant(at), planned, now)?;
        }
        if let Some(next) = due.next {
            self.agenda.insert(name.clone(), next);
        }
        self.next(name)
    }

    /// A run whose time has come: started, or what the schedule says when one is under way.
    fn admitted(
        &mut self,
        loaded: &Loaded,
        name: &ScheduleName,
        key: &DueKey,
        planned: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Some(schedule) = loaded.desired.schedules.get(name) else { return Ok(()) };
        let runs = self.runs.entry(name.clone()).or_default();
        let ledger = &loaded.ledger;
        match admit(schedule.overlap, runs.under_way.len(), runs.waiting.len()) {
            Admission::Start => self.fire(loaded, schedule, key, planned, now)?,
            Admission::Queue => {
                if ledger.fire(name, key, FireOutcome::Queued, None, now)? == Fired::Recorded {
                    runs.waiting.push_back(key.clone());
                }
            }
            Admission::Skip => {
                ledger.fire(name, key, FireOutcome::Skipped, None, now)?;
                tracing::warn!(schedule = %name, due = %key, "skipped: the run before it has not ended");
            }
            Admission::Replace => {
                for older in std::mem::take(&mut runs.waiting) {
                    ledger.refire(name, &older, FireOutcome::Queued, FireOutcome::Replaced, None, now)?;
                }
                if ledger.fire(name, key, FireOutcome::Queued, None, now)? == Fired::Recorded {
                    runs.waiting.push_back(key.clone());
                    for (_, hand) in &runs.under_way {
                        hand.cancel();
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes a start into the ledger, and then starts.
    fn fire(
        &mut self,
        loaded: &Loaded,
        schedule: &Schedule,
        key: &DueKey,
        planned: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = new_id(schedule, now);
        if loaded.ledger.fire(&schedule.name, key, FireOutcome::Started, Some(&id), now)? == Fired::Recorded {
            self.launch(loaded, &Arc::new(schedule.clone()), id, key.clone(), planned);
        }
        Ok(())
    }

    fn launch(&mut self, loaded: &Loaded, schedule: &Arc<Schedule>, id: String, due: DueKey, planned: Timestamp) {
        let hand = Hand::default();
        let settings = runs::Settings {
            real_time: self.orchestrator.real_time,
            lock_memory: self.orchestrator.lock_memory,
            ..runs::Settings::default()
        };
        let exchange = self.exchange();
        let runs = self.runs.entry(schedule.name.clone()).or_default();
        runs.under_way.push((id.clone(), hand.clone()));
        let launch = Launch {
            schedule: Arc::clone(schedule),
            ledger: loaded.ledger.clone(),
            revision: loaded.revision.commit.clone(),
            id,
            due,
            planned,
            hand,
            settings,
            exchange,
            stop: self.stop.clone(),
        };
        self.ends.push(Box::pin(launch.run()));
    }

    /// The exchange of end notices, opened when the first run needs it.
    fn exchange(&mut self) -> Result<Arc<Exchange>, String> {
        if let Some(exchange) = self.exchange.as_ref().filter(|exchange| exchange.is_open()) {
            return Ok(Arc::clone(exchange));
        }
        let Orchestrator { listen, real_time, .. } = &self.orchestrator;
        let opened = Exchange::open(listen, *real_time, runs::Settings::default().output_limit);
        let exchange = Arc::new(opened.map_err(|error| chain(&error))?);
        tracing::info!(address = %exchange.address(), "end notices of task servers are taken");
        self.exchange = Some(Arc::clone(&exchange));
        Ok(exchange)
    }

    /// A run ended; the next one of its schedule may start.
    fn ended(&mut self, launched: &Launched) -> Result<(), StoreError> {
        let name = &launched.schedule;
        if let Some(runs) = self.runs.get_mut(name) {
            runs.under_way.retain(|(id, _)| *id != launched.id);
        }
        self.next(name)
    }

    /// Starts the run that waits, when none is under way.
    fn next(&mut self, name: &ScheduleName) -> Result<(), StoreError> {
        let Some(loaded) = self.current.clone() else { return Ok(()) };
        let schedule = loaded.desired.schedules.get(name);
        let now = clock::now();
        while let Some(runs) = self.runs.get_mut(name).filter(|runs| runs.under_way.is_empty()) {
            let Some(key) = runs.waiting.front().cloned() else { break };
            let Some(schedule) = schedule else {
                loaded.ledger.refire(name, &key, FireOutcome::Queued, FireOutcome::Skipped, None, now)?;
                runs.waiting.pop_front();
                continue;
            };
            let id = new_id(schedule, now);
            let ours = loaded.ledger.refire(name, &key, FireOutcome::Queued, FireOutcome::Started, Some(&id), now)?;
            runs.waiting.pop_front();
            if ours {
                self.launch(&loaded, &Arc::new(schedule.clone()), id, key, now);
            }
        }
        Ok(())
    }

    /// Stops what runs, and waits for that within a bound.
    async fn farewell(&mut self) {
        for (_, hand) in self.runs.values().flat_map(|runs| &runs.under_way) {
            hand.cancel();
        }
        let all = async { while self.ends.next().await.is_some() {} };
        if tokio::time::timeout(self.farewell, all).await.is_err() {
            tracing::warn!("runs under way did not end in time; the next start of the daemon closes them");
        }
    }
}

/// When something that failed is tried again.
fn again() -> Timestamp {
    clock::now().checked_add(AGAIN).unwrap_or(Timestamp::MAX)
}

// A look that comes late must not make a due time a missed one.
const _: () = assert!(LOOK.as_secs() < agenda::ON_TIME.as_secs());
