//! Health checks from outside, for services whose containers have none: each at its own interval, a few at once.

use super::trigger::Triggers;
use crate::model::{Container, ContainerId, Desired, Health, Observed, OwnerId, Probe, Status, Timestamp};
use crate::process::clock;
use crate::process::supervise::TaskResult;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Probes under way at once.
const AT_ONCE: usize = 16;

/// A container to probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The container.
    pub container: Container,
    /// How.
    pub probe: Probe,
}

/// Makes one probe.
pub type Ask = Arc<dyn Fn(Container, Probe) -> BoxFuture<'static, Health> + Send + Sync>;

/// The running containers of services that want a probe and have no check of their own.
pub fn targets(desired: &Desired, observed: &Observed, owner: &OwnerId) -> Vec<Target> {
    let ours = observed.containers.iter().filter(|it| it.owner.as_ref() == Some(owner) && it.status == Status::Running);
    ours.filter(|container| container.health == Health::Unchecked)
        .filter_map(|container| {
            let service = desired.service(&container.instance.as_ref()?.service)?;
            Some(Target { container: container.clone(), probe: service.probe.clone()? })
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
    fn new() -> Self {
        Self { health: Health::Starting, failures: 0 }
    }

    /// Takes the result of one probe into account. `up` is how long the container has been running.
    fn on(&mut self, good: bool, probe: &Probe, up: Duration) {
        if good {
            *self = Self { health: Health::Healthy, failures: 0 };
            return;
        }
        // A failure during the start counts only once the container had been healthy, as with Docker's own checks.
        if self.health == Health::Starting && up < probe.start_period {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= probe.retries.max(1) {
            self.health = Health::Unhealthy;
        }
    }
}

/// The task that probes.
pub struct Prober {
    /// What to probe; replaced after each look at the engine.
    pub targets: watch::Receiver<Arc<Vec<Target>>>,
    /// What is known.
    pub healths: watch::Sender<Arc<BTreeMap<ContainerId, Health>>>,
    /// Told when a container's health changes.
    pub triggers: Triggers,
    /// Makes one probe.
    pub ask: Ask,
    /// When to end.
    pub stop: CancellationToken,
}

/// One container under probe.
struct Probed {
    target: Target,
    verdict: Verdict,
    due: Instant,
}

impl Prober {
    /// Runs until it is asked to stop. Sleeps while there is nothing to probe.
    ///
    /// # Errors
    /// When whoever says what to probe is gone.
    pub async fn run(mut self) -> TaskResult {
        let mut probed: BTreeMap<ContainerId, Probed> = BTreeMap::new();
        loop {
            let next = probed.values().map(|it| it.due).min();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            // Every arm is cancel-safe. The stop comes first: it also closes the channel.
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                changed = self.targets.changed() => {
                    changed?;
                    let wanted = Arc::clone(&self.targets.borrow_and_update());
                    merge(&mut probed, &wanted, clock::monotonic());
                }
                () = due => self.round(&mut probed).await,
            }
            self.publish(&probed);
        }
    }

    /// Probes all that are due.
    async fn round(&self, probed: &mut BTreeMap<ContainerId, Probed>) {
        let begin = clock::monotonic();
        let due: Vec<Target> = probed.values().filter(|it| it.due <= begin).map(|it| it.target.clone()).collect();
        let asked = due.into_iter().map(|target| {
            let answer = (self.ask)(target.container.clone(), target.probe);
            async move { (target.container.id, answer.await) }
        });
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(AT_ONCE);
        while let Some((id, health)) = answers.next().await {
            let Some(entry) = probed.get_mut(&id) else { continue };
            let up = up(entry.target.container.started_at, clock::now());
            entry.verdict.on(health == Health::Healthy, &entry.target.probe, up);
            entry.due = begin + entry.target.probe.interval.max(Duration::from_millis(100));
        }
    }

    fn publish(&self, probed: &BTreeMap<ContainerId, Probed>) {
        let healths: BTreeMap<_, _> = probed.iter().map(|(id, entry)| (id.clone(), entry.verdict.health)).collect();
        let changed = self.healths.send_if_modified(|known| {
            let news = **known != healths;
            if news {
                *known = Arc::new(healths);
            }
            news
        });
        if changed {
            self.triggers.look();
        }
    }
}

/// Takes over what is to be probed now; what was known of a container stays while it has not been started anew.
fn merge(probed: &mut BTreeMap<ContainerId, Probed>, wanted: &[Target], now: Instant) {
    let mut next = BTreeMap::new();
    for target in wanted {
        let id = target.container.id.clone();
        let same = |old: &Probed| {
            old.target.probe == target.probe && old.target.container.started_at == target.container.started_at
        };
        let entry = match probed.remove(&id).filter(same) {
            Some(old) => Probed { target: target.clone(), ..old },
            None => Probed { target: target.clone(), verdict: Verdict::new(), due: now },
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

    #[test]
    fn failures_count_after_the_start_and_in_a_row() {
        let (mut verdict, probe) = (Verdict::new(), probe());
        verdict.on(false, &probe, Duration::from_secs(3));
        verdict.on(false, &probe, Duration::from_secs(6));
        assert_eq!(verdict, Verdict { health: Health::Starting, failures: 0 });
        verdict.on(true, &probe, Duration::from_secs(7));
        assert_eq!(verdict.health, Health::Healthy);
        verdict.on(false, &probe, Duration::from_secs(8));
        assert_eq!(verdict.health, Health::Healthy, "one failure is not yet two");
        verdict.on(false, &probe, Duration::from_secs(9));
        assert_eq!(verdict.health, Health::Unhealthy, "it was healthy before: the start is over");
        verdict.on(true, &probe, Duration::from_secs(20));
        assert_eq!(verdict, Verdict { health: Health::Healthy, failures: 0 });
    }

    #[test]
    fn a_container_that_never_comes_up_is_unhealthy_after_the_start() {
        let (mut verdict, probe) = (Verdict::new(), probe());
        verdict.on(false, &probe, Duration::from_secs(11));
        verdict.on(false, &probe, Duration::from_secs(16));
        assert_eq!(verdict.health, Health::Unhealthy);
    }
}
