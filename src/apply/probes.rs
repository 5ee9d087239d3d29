//! Health checks that Setpoint makes itself, for services whose containers have none: each at its own interval, a few at the same
//! time.

use crate::engine::{Engine, ProbeResult};
use crate::model::{Container, ContainerId, Desired, Health, Observed, OwnerId, Probe, Status, Timestamp};
use crate::plan::{Base, check_is_in_force};
use crate::process::clock;
use crate::process::supervise::TaskResult;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Number of checks at the same time.
const AT_ONCE: usize = 16;
/// Pause between the checks of [`check_now`].
const AGAIN: Duration = Duration::from_millis(200);

/// A container to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub container: Container,
    pub probe: Probe,
    /// How long after its start the check may have no answer: the deployment's `startup_timeout`.
    pub patience: Duration,
    /// The health that was recorded before this process started.
    pub recalled: Option<Health>,
    /// Whether this check is not active yet: a commit changed it, and its step has not been carried out. Its results are ignored until
    /// then.
    pub pending: bool,
}

/// Makes one check.
pub type Ask = Arc<dyn Fn(Container, Probe) -> BoxFuture<'static, ProbeResult> + Send + Sync>;

/// Checks by way of an engine.
pub fn ask(engine: Engine) -> Ask {
    Arc::new(move |container, probe| {
        let engine = engine.clone();
        Box::pin(async move { engine.probe(&container, &probe).await })
    })
}

/// The running containers of services that want such a check and have none of their own. `recalled` is the health on record, by
/// container; `bases` says which check was last asked for.
pub fn targets(
    desired: &Desired,
    observed: &Observed,
    owner: &OwnerId,
    recalled: &BTreeMap<ContainerId, Health>,
    bases: &BTreeMap<String, Base>,
) -> Vec<Target> {
    let ours = observed.containers.iter().filter(|it| it.owner.as_ref() == Some(owner) && it.status == Status::Running);
    ours.filter(|container| container.health == Health::Unchecked)
        .filter_map(|container| {
            let reference = &container.instance.as_ref()?.service;
            let service = desired.service(reference)?;
            Some(Target {
                container: container.clone(),
                probe: service.probe.clone()?,
                patience: desired.deployments.get(&reference.deployment)?.strategy.startup_timeout,
                recalled: recalled.get(&container.id).copied(),
                pending: !check_is_in_force(service, container, bases),
            })
        })
        .collect()
}

/// What is known of one container's health. Pure.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    health: Health,
    failures: u32,
}

impl Verdict {
    fn new(recalled: Option<Health>) -> Self {
        Self { health: recalled.unwrap_or(Health::Starting), failures: 0 }
    }

    /// Takes the result of one check into account. `up` is how long the container has been running.
    fn on(&mut self, result: &ProbeResult, target: &Target, up: Duration) {
        let starting = matches!(self.health, Health::Starting | Health::Unchecked);
        match result {
            ProbeResult::Good(_) => *self = Self { health: Health::Healthy, failures: 0 },
            ProbeResult::Unreachable(_) => *self = Self { health: Health::Unchecked, failures: 0 },
            // During the start a failure counts only once the container was healthy, as with Docker's own checks; silence counts
            // only when the time to start is over.
            ProbeResult::Bad(_) if starting && up < target.probe.start_period => {}
            ProbeResult::Silent(_) if starting && up < target.probe.start_period.max(target.patience) => {
                self.health = Health::Starting;
            }
            ProbeResult::Bad(_) | ProbeResult::Silent(_) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= target.probe.retries.max(1) {
                    self.health = Health::Unhealthy;
                }
            }
        }
    }
}

/// Checks all targets now, for a command that does not wait for intervals: a failed check is repeated immediately to confirm it.
pub async fn check_now(ask: &Ask, targets: Vec<Target>) -> BTreeMap<ContainerId, Health> {
    let checks = targets.into_iter().filter(|target| !target.pending).map(|target| async move {
        let mut verdict = Verdict::new(target.recalled);
        for round in 0..target.probe.retries.max(1) {
            if round > 0 {
                tokio::time::sleep(AGAIN).await;
            }
            let result = ask(target.container.clone(), target.probe.clone()).await;
            let before = verdict.failures;
            verdict.on(&result, &target, up(target.container.started_at, clock::now()));
            if verdict.failures == before {
                break;
            }
        }
        (target.container.id, verdict.health)
    });
    futures_util::stream::iter(checks).buffer_unordered(AT_ONCE).collect().await
}

/// The task that makes the checks.
pub struct Prober {
    /// What to check; replaced after each observation of the engine.
    pub targets: watch::Receiver<Arc<Vec<Target>>>,
    /// The known health; a container that was not checked yet is absent.
    pub healths: watch::Sender<Arc<BTreeMap<ContainerId, Health>>>,
    /// Called when a container's health changes; must not block.
    pub changed: Box<dyn Fn() + Send + Sync>,
    /// Makes one check.
    pub ask: Ask,
    pub stop: CancellationToken,
}

/// One container under check.
struct Probed {
    target: Target,
    verdict: Verdict,
    /// When the next check starts; absent while one is in progress.
    due: Option<Instant>,
    /// Whether it was checked at all.
    checked: bool,
}

/// A check in progress: its container, the start that it belongs to, and its result.
type Check = BoxFuture<'static, (ContainerId, Option<Timestamp>, ProbeResult)>;

impl Prober {
    /// Runs until it is asked to stop. Sleeps while there is nothing to check.
    ///
    /// # Errors
    /// When whoever says what to check is gone.
    pub async fn run(mut self) -> TaskResult {
        let mut probed: BTreeMap<ContainerId, Probed> = BTreeMap::new();
        let mut checks: FuturesUnordered<Check> = FuturesUnordered::new();
        loop {
            let next = probed.values().filter_map(|it| it.due).min().filter(|_| checks.len() < AT_ONCE);
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            // Every arm is cancel-safe: a check in progress stays in `checks`. The stop comes first: it also closes the channel.
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                changed = self.targets.changed() => {
                    changed?;
                    let wanted = Arc::clone(&self.targets.borrow_and_update());
                    merge(&mut probed, &wanted, clock::monotonic());
                }
                Some((id, started_at, result)) = checks.next(), if !checks.is_empty() => {
                    if let Some(entry) = probed.get_mut(&id) {
                        entry.take(started_at, &result);
                    }
                }
                () = due => self.begin(&mut probed, &mut checks),
            }
            self.publish(&probed);
        }
    }

    /// Begins the checks that are due, as far as there is room for them.
    fn begin(&self, probed: &mut BTreeMap<ContainerId, Probed>, checks: &mut FuturesUnordered<Check>) {
        let now = clock::monotonic();
        for (id, entry) in probed.iter_mut().filter(|(_, entry)| entry.due.is_some_and(|due| due <= now)) {
            if checks.len() >= AT_ONCE {
                break;
            }
            entry.due = None;
            let (id, started_at) = (id.clone(), entry.target.container.started_at);
            let answer = (self.ask)(entry.target.container.clone(), entry.target.probe.clone());
            checks.push(Box::pin(async move { (id, started_at, answer.await) }));
        }
    }

    fn publish(&self, probed: &BTreeMap<ContainerId, Probed>) {
        let checked = probed.iter().filter(|(_, entry)| entry.checked);
        let healths: BTreeMap<_, _> = checked.map(|(id, entry)| (id.clone(), entry.verdict.health)).collect();
        let changed = self.healths.send_if_modified(|known| {
            let news = **known != healths;
            if news {
                *known = Arc::new(healths);
            }
            news
        });
        if changed {
            (self.changed)();
        }
    }
}

impl Probed {
    /// Takes the result of a check over; one of an earlier start says nothing about this one.
    fn take(&mut self, started_at: Option<Timestamp>, result: &ProbeResult) {
        let now = clock::monotonic();
        self.due = Some(now + self.target.probe.interval.max(Duration::from_millis(100)));
        if started_at != self.target.container.started_at {
            self.due = Some(now);
            return;
        }
        let before = self.verdict.health;
        self.verdict.on(result, &self.target, up(started_at, clock::now()));
        let first = !std::mem::replace(&mut self.checked, true);
        if let ProbeResult::Unreachable(why) = result
            && (first || before != Health::Unchecked)
        {
            tracing::warn!(container = self.target.container.name, why, "a health check is not possible");
        }
    }
}

/// Replaces the targets; the known health of a container is kept unless it was restarted.
fn merge(probed: &mut BTreeMap<ContainerId, Probed>, wanted: &[Target], now: Instant) {
    let mut next = BTreeMap::new();
    for target in wanted.iter().filter(|target| !target.pending) {
        let id = target.container.id.clone();
        let entry = match probed.remove(&id) {
            Some(old)
                if old.target.probe == target.probe
                    && old.target.container.started_at == target.container.started_at =>
            {
                Probed { target: target.clone(), ..old }
            }
            // If a check of the earlier start is still in progress, the first check of this start begins when it ends.
            Some(old) => Probed {
                target: target.clone(),
                verdict: Verdict::new(None),
                due: old.due.map(|_| now),
                checked: false,
            },
            None => Probed {
                target: target.clone(),
                verdict: Verdict::new(target.recalled),
                due: Some(now),
                checked: false,
            },
        };
        next.insert(id, entry);
    }
    *probed = next;
}

fn up(started: Option<Timestamp>, now: Timestamp) -> Duration {
    let since = started.map(|at| now.duration_since(at));
    since.and_then(|duration| Duration::try_from(duration).ok()).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::testing::container;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn probe() -> Probe {
        Probe {
            http_path: None,
            port: 80,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(1),
            retries: 2,
            start_period: Duration::from_secs(10),
        }
    }

    fn target(id: &str) -> Target {
        let container = container(id, id, "shop/a/1", Status::Running);
        Target { container, probe: probe(), patience: Duration::from_secs(60), recalled: None, pending: false }
    }

    fn bad() -> ProbeResult {
        ProbeResult::Bad("503".to_owned())
    }

    fn silent() -> ProbeResult {
        ProbeResult::Silent("refused".to_owned())
    }

    #[test]
    fn failures_count_after_the_start_and_in_a_row() {
        let (mut verdict, target) = (Verdict::new(None), target("a"));
        verdict.on(&bad(), &target, Duration::from_secs(3));
        verdict.on(&bad(), &target, Duration::from_secs(6));
        assert_eq!(verdict, Verdict { health: Health::Starting, failures: 0 });
        verdict.on(&ProbeResult::Good(None), &target, Duration::from_secs(7));
        assert_eq!(verdict.health, Health::Healthy);
        verdict.on(&silent(), &target, Duration::from_secs(8));
        assert_eq!(verdict.health, Health::Healthy, "one failure is not yet two");
        verdict.on(&bad(), &target, Duration::from_secs(9));
        assert_eq!(verdict.health, Health::Unhealthy, "it was healthy before: the start is over");
        verdict.on(&ProbeResult::Good(None), &target, Duration::from_secs(20));
        assert_eq!(verdict, Verdict { health: Health::Healthy, failures: 0 });
    }

    #[test]
    fn silence_is_starting_until_the_time_to_start_is_over_and_a_bad_answer_is_not() {
        let (mut verdict, target) = (Verdict::new(None), target("a"));
        for second in (11..60).step_by(5) {
            verdict.on(&silent(), &target, Duration::from_secs(second));
        }
        assert_eq!(verdict, Verdict { health: Health::Starting, failures: 0 });
        verdict.on(&silent(), &target, Duration::from_secs(61));
        verdict.on(&silent(), &target, Duration::from_secs(66));
        assert_eq!(verdict.health, Health::Unhealthy);
        let mut verdict = Verdict::new(None);
        verdict.on(&bad(), &target, Duration::from_secs(11));
        verdict.on(&bad(), &target, Duration::from_secs(16));
        assert_eq!(verdict.health, Health::Unhealthy, "bad answers count once the start period is over");
    }

    #[test]
    fn what_cannot_be_asked_is_not_unhealthy() {
        let (mut verdict, target) = (Verdict::new(Some(Health::Healthy)), target("a"));
        for _ in 0..10 {
            verdict.on(&ProbeResult::Unreachable("no way".to_owned()), &target, Duration::MAX);
        }
        assert_eq!(verdict, Verdict { health: Health::Unchecked, failures: 0 });
    }

    #[tokio::test]
    async fn a_slow_check_delays_neither_the_others_nor_the_end() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let ask: Ask = Arc::new(move |container, _| {
            let count = Arc::clone(&count);
            Box::pin(async move {
                if container.id.as_str() == "slow" {
                    std::future::pending::<()>().await;
                }
                count.fetch_add(1, Ordering::SeqCst);
                ProbeResult::Good(None)
            })
        });
        let (mut quick, slow) = (target("quick"), target("slow"));
        quick.probe.interval = Duration::from_millis(100);
        let (wanted, targets) = watch::channel(Arc::new(Vec::new()));
        wanted.send_replace(Arc::new(vec![quick, slow]));
        let (healths, mut known) = watch::channel(Arc::new(BTreeMap::new()));
        let stop = CancellationToken::new();
        let prober = Prober { targets, healths, changed: Box::new(|| {}), ask, stop: stop.clone() };
        let watching = async {
            known.wait_for(|known| known.get(&ContainerId::new("quick")) == Some(&Health::Healthy)).await.unwrap();
            while asked.load(Ordering::SeqCst) < 3 {
                tokio::task::yield_now().await;
            }
            assert!(!known.borrow().contains_key(&ContainerId::new("slow")), "it was not checked yet");
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(prober.run(), watching);
        ended.unwrap();
    }
}
