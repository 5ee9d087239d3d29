//! Waits for a container to pass the gate of its step. Every wait has a time limit, and ends early if it cannot succeed any more.

use super::Docker;
use super::ended::has_done_its_work;
use crate::engine::{ActError, EngineError, Interrupt, Interruption, ProbeResult};
use crate::model::{Container, ContainerId, Health, HealthReport, Probe, Restart, Status, Timestamp, duration_text};
use crate::plan::Gate;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// First and longest pause between two observations.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));
/// First pause before a check without an answer is repeated; it doubles up to the check's interval.
const AGAIN: Duration = Duration::from_millis(100);

/// Why a gate was not passed.
#[derive(Debug)]
pub(super) enum GateError {
    Failed(Box<HealthReport>),
    /// The wait was interrupted.
    Interrupted(Interruption),
    Engine(EngineError),
}

impl From<EngineError> for GateError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// The result of one observation.
enum Look {
    Good(Box<Container>),
    Done,
    Pending(String),
    Hopeless(String),
    Unreachable(String),
}

impl From<GateError> for ActError {
    /// For steps without an old container to put back.
    fn from(error: GateError) -> Self {
        match error {
            GateError::Failed(report) => Self::Gate { report, rolled_back: false },
            GateError::Interrupted(why) => Self::Interrupted(why),
            GateError::Engine(error) => Self::Engine(error),
        }
    }
}

impl Docker {
    /// Waits until `container` passes `gate`; returns the evidence. `fresh` means that it was just started, so that any restart is
    /// a failure. `say` is called with the reason for waiting whenever that changes.
    pub(super) async fn pass(
        &self,
        container: &ContainerId,
        gate: &Gate,
        fresh: bool,
        interrupt: &Interrupt,
        say: &(dyn Fn(String) + Sync),
    ) -> Result<Option<String>, GateError> {
        let wait = async {
            match gate {
                Gate::Started => self.started(container, fresh).await,
                Gate::Healthy { timeout, window, probe } => {
                    let probe = probe.as_ref();
                    let wait = Wait { docker: self, container, timeout: *timeout, window: *window, probe, say };
                    wait.healthy(fresh).await
                }
                Gate::Completed { timeout } => self.completed(container, *timeout).await,
            }
        };
        // Cancel safety: a wait only reads; dropping it changes nothing.
        tokio::select! {
            biased;
            result = wait => result,
            why = interrupt.wait() => Err(GateError::Interrupted(why)),
        }
    }

    async fn fail<T>(&self, container: &ContainerId, verdict: String) -> Result<T, GateError> {
        Err(GateError::Failed(Box::new(self.report(container, verdict).await)))
    }

    async fn started(&self, id: &ContainerId, fresh: bool) -> Result<Option<String>, GateError> {
        if fresh {
            return Ok(None);
        }
        match self.find(id.as_str()).await? {
            Some(container) if container.started_at.is_some() => Ok(None),
            Some(_) => self.fail(id, "was never started".to_owned()).await,
            None => self.fail(id, "no longer exists".to_owned()).await,
        }
    }

    async fn completed(&self, id: &ContainerId, timeout: Duration) -> Result<Option<String>, GateError> {
        let deadline = Instant::now() + timeout;
        let mut pause = PAUSE.0;
        loop {
            let Some(container) = self.find(id.as_str()).await? else {
                return self.fail(id, "was removed before it completed".to_owned()).await;
            };
            let retried = matches!(container.spec.restart, Restart::OnFailure(_));
            match container.status {
                Status::Exited { code: 0, oom: false } => {
                    return Ok(Some(format!("completed after {}", self.lifetime(id).await)));
                }
                status @ (Status::Exited { .. } | Status::Dead | Status::Removing) => {
                    let lifetime = self.lifetime(id).await;
                    return self.fail(id, format!("{status} after {lifetime}")).await;
                }
                Status::Created => return self.fail(id, "was never started".to_owned()).await,
                Status::Restarting if !retried => {
                    let verdict =
                        "exited and was restarted by the engine; a job needs the restart policy `no` or `on-failure`";
                    return self.fail(id, verdict.to_owned()).await;
                }
                Status::Running | Status::Paused | Status::Restarting => {}
            }
            if Instant::now() >= deadline {
                return self.fail(id, format!("did not complete within {}", duration_text(timeout))).await;
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    /// How long a container ran, for people.
    async fn lifetime(&self, id: &ContainerId) -> String {
        let inspect = self.inspect(id.as_str()).await.ok();
        let state = inspect.and_then(|inspect| inspect.state).unwrap_or_default();
        let time = |text: Option<String>| text.and_then(|text| text.parse::<Timestamp>().ok());
        match time(state.started_at).zip(time(state.finished_at)) {
            Some((start, end)) => seconds(end.duration_since(start).unsigned_abs()),
            None => "an unknown time".to_owned(),
        }
    }
}

/// A wait for a container to become healthy.
struct Wait<'a> {
    docker: &'a Docker,
    container: &'a ContainerId,
    timeout: Duration,
    window: Duration,
    probe: Option<&'a Probe>,
    say: &'a (dyn Fn(String) + Sync),
}

impl Wait<'_> {
    /// The timeout limits the time until it is healthy; a stability window that has begun is completed.
    async fn healthy(&self, fresh: bool) -> Result<Option<String>, GateError> {
        let begin = Instant::now();
        let deadline = begin + self.timeout;
        let mut base: Option<(u32, Option<Timestamp>)> = None;
        let mut good_since: Option<Instant> = None;
        let mut probing = Probing::new(self.probe);
        let mut pause = PAUSE.0;
        let mut looks = 0_u32;
        let mut said = None;
        loop {
            let look = self.look(fresh, &mut base, &mut probing, begin).await?;
            let waiting_for = match look {
                Look::Hopeless(verdict) => return self.docker.fail(self.container, verdict).await,
                Look::Done => {
                    return Ok(Some(format!("completed after {}", self.docker.lifetime(self.container).await)));
                }
                Look::Unreachable(why) => return Err(EngineError::CheckUnreachable { why }.into()),
                Look::Good(container) => {
                    looks += 1;
                    let since = *good_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.window {
                        return Ok(Some(self.evidence(&container, looks, &probing)));
                    }
                    None
                }
                Look::Pending(what) => {
                    good_since = None;
                    Some(what)
                }
            };
            if let Some(what) = &waiting_for
                && Instant::now() >= deadline
            {
                let verdict = format!("not healthy within {} ({what})", duration_text(self.timeout));
                return self.docker.fail(self.container, verdict).await;
            }
            let now_waits_for = self.waits_for(waiting_for);
            if said.as_ref() != Some(&now_waits_for) {
                (self.say)(now_waits_for.clone());
                said = Some(now_waits_for);
            }
            let wake = match good_since {
                Some(since) => (since + self.window).min(Instant::now() + pause),
                None => deadline.min(Instant::now() + pause),
            };
            probing.rest_until(wake).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    async fn look<'p>(
        &'p self,
        fresh: bool,
        base: &mut Option<(u32, Option<Timestamp>)>,
        probing: &mut Probing<'p>,
        begin: Instant,
    ) -> Result<Look, GateError> {
        let container = match self.docker.find(self.container.as_str()).await {
            Ok(Some(container)) => container,
            Ok(None) => return Ok(Look::Hopeless("was removed while waiting for it to become healthy".to_owned())),
            // The engine may be restarting; the deadline limits the wait for it.
            Err(error) if error.is_retryable() && begin.elapsed() < self.timeout => {
                return Ok(Look::Pending("the engine does not answer".to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let first = if fresh { 0 } else { container.restart_count };
        let (count, started_at) = *base.get_or_insert((first, container.started_at));
        if container.status == Status::Restarting || container.restart_count > count {
            let code = self.exit_code().await.map(|code| format!(" with code {code}")).unwrap_or_default();
            let verdict = format!("exited{code} after {} and was restarted by the engine", seconds(begin.elapsed()));
            return Ok(Look::Hopeless(verdict));
        }
        if container.started_at != started_at {
            return Ok(Look::Hopeless("was restarted while waiting for it to become healthy".to_owned()));
        }
        Ok(match container.status {
            Status::Running => match container.health {
                Health::Unhealthy => Look::Hopeless(self.unhealthy().await),
                Health::Starting => Look::Pending("its health check has not passed yet".to_owned()),
                Health::Healthy => Look::Good(Box::new(container)),
                Health::Unchecked => probing.judge(self.docker, container, begin),
            },
            Status::Paused => Look::Pending("it is paused".to_owned()),
            Status::Created => Look::Hopeless("was never started".to_owned()),
            _ if has_done_its_work(&container, self.probe) => Look::Done,
            status => Look::Hopeless(format!("{status} after {}", self.docker.lifetime(self.container).await)),
        })
    }

    /// What is waited for, for people. If nothing is pending, only the rest of the stability window is waited for.
    fn waits_for(&self, pending: Option<String>) -> String {
        match pending {
            Some(what) => format!("not healthy yet: {what}; waiting for up to {}", duration_text(self.timeout)),
            None if self.window.is_zero() => String::new(),
            None => format!("healthy; must stay healthy for {}", duration_text(self.window)),
        }
    }

    fn evidence(&self, container: &Container, looks: u32, probing: &Probing<'_>) -> String {
        let window = duration_text(self.window);
        let times = |count: u32| if count == 1 { "once".to_owned() } else { format!("{count} times") };
        match container.health {
            Health::Healthy => format!("healthy for {window}, checked {}", times(looks)),
            _ if self.probe.is_some() => {
                let note = probing.note.as_ref().map(|note| format!(", {note}")).unwrap_or_default();
                format!("healthy for {window}, checked {}{note}", times(probing.checks))
            }
            _ => format!("running for {window}, checked {}", times(looks)),
        }
    }

    /// The exit code of the last run; unknown once it runs again, because the engine then reports 0.
    async fn exit_code(&self) -> Option<i64> {
        let inspect = self.docker.inspect(self.container.as_str()).await.ok()?;
        let state = inspect.state?;
        let again = state.running == Some(true) && state.restarting != Some(true);
        state.exit_code.filter(|_| !again)
    }

    async fn unhealthy(&self) -> String {
        let inspect = self.docker.inspect(self.container.as_str()).await.ok();
        let times = inspect.and_then(|inspect| inspect.state?.health?.failing_streak).unwrap_or_default();
        format!("unhealthy: its health check failed {times} times in a row")
    }
}

type Check<'a> = Pin<Box<dyn Future<Output = ProbeResult> + Send + 'a>>;

/// The check in progress and the results of earlier ones. A slow check does not delay the observation of the container.
struct Probing<'a> {
    probe: Option<&'a Probe>,
    running: Option<Check<'a>>,
    next: Instant,
    last: Option<ProbeResult>,
    /// How it was checked, if that is not obvious.
    note: Option<String>,
    /// Whether it was good once: after that, no answer counts as a failure.
    was_good: bool,
    failures: u32,
    checks: u32,
    /// Pause before the next check while there is no answer.
    again: Duration,
}

impl<'a> Probing<'a> {
    fn new(probe: Option<&'a Probe>) -> Self {
        Self {
            probe,
            running: None,
            next: Instant::now(),
            last: None,
            note: None,
            was_good: false,
            failures: 0,
            checks: 0,
            again: AGAIN,
        }
    }

    /// The result of the checks so far for a running container; starts the next check when it is due.
    fn judge(&mut self, docker: &'a Docker, container: Container, begin: Instant) -> Look {
        let Some(probe) = self.probe else { return Look::Good(Box::new(container)) };
        if self.running.is_none() && Instant::now() >= self.next {
            let target = container.clone();
            self.running = Some(Box::pin(async move { docker.probe(&target, probe).await }));
        }
        if begin.elapsed() < probe.start_period {
            self.failures = 0;
        }
        match &self.last {
            Some(ProbeResult::Good(_)) => Look::Good(Box::new(container)),
            Some(ProbeResult::Unreachable(why)) => Look::Unreachable(why.clone()),
            Some(ProbeResult::Bad(what) | ProbeResult::Silent(what)) if self.failures >= probe.retries.max(1) => {
                let times = self.failures;
                Look::Hopeless(format!("unhealthy: its health check failed {times} times in a row: {what}"))
            }
            Some(ProbeResult::Bad(what) | ProbeResult::Silent(what)) => Look::Pending(what.clone()),
            None => Look::Pending("its health check has no answer yet".to_owned()),
        }
    }

    /// Records a result and returns when the next check is due: after the interval, but sooner while there is no answer.
    fn take(&mut self, result: ProbeResult) {
        let interval = self.probe.map(|probe| probe.interval).unwrap_or_default();
        self.checks += 1;
        let mut pause = interval;
        match &result {
            ProbeResult::Good(note) => {
                self.note.clone_from(note);
                self.was_good = true;
                self.failures = 0;
            }
            ProbeResult::Silent(_) if !self.was_good => {
                pause = self.again.min(interval);
                self.again = (self.again * 2).min(interval);
            }
            ProbeResult::Bad(_) | ProbeResult::Silent(_) => self.failures += 1,
            ProbeResult::Unreachable(_) => {}
        }
        self.last = Some(result);
        self.next = Instant::now() + pause;
    }

    /// Sleeps, and records the answer of a check that arrives before the end.
    async fn rest_until(&mut self, wake: Instant) {
        let Some(check) = &mut self.running else { return tokio::time::sleep_until(wake).await };
        // Cancel safety: the check stays in `self.running` when the sleep wins.
        tokio::select! {
            result = check => {
                self.running = None;
                self.take(result);
            }
            () = tokio::time::sleep_until(wake) => {}
        }
    }
}

/// `0.4 s`, `12 s`.
fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} s", time.as_secs())
    }
}
