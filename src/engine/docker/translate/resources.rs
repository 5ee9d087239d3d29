//! Limits and restart policy: at creation, in place, and read back.

use crate::model::{Resources, Restart, lifted_limits};
use bollard::models::{ContainerUpdateBody, HostConfig, RestartPolicy, RestartPolicyNameEnum};

/// Period in microseconds that Docker assumes when a quota comes without one.
const CPU_PERIOD: u64 = 100_000;

/// Writes limits into a host configuration.
pub(super) fn write(resources: &Resources, host: &mut HostConfig) {
    host.nano_cpus = resources.nano_cpus.map(signed);
    host.memory = resources.memory.map(signed);
    host.memory_reservation = resources.memory_reservation.map(signed);
    host.memory_swap = resources.memory_swap;
    host.pids_limit = resources.pids.map(signed);
    host.cpuset_cpus = resources.cpuset.clone();
    host.cpu_shares = resources.cpu_shares.map(signed);
}

/// Reads limits. Docker sets swap to twice the memory when only memory is given: that reads as absent.
pub(super) fn limits(host: &HostConfig, swap_counted: bool) -> Resources {
    let memory = positive(host.memory);
    let usual_swap = memory.and_then(|bytes| bytes.checked_mul(2)).map(signed);
    let swap = host.memory_swap.filter(|bytes| *bytes != 0 && Some(*bytes) != usual_swap && swap_counted);
    let quota = positive(host.cpu_quota).map(|quota| {
        let period = positive(host.cpu_period).unwrap_or(CPU_PERIOD);
        quota.saturating_mul(1_000_000_000) / period
    });
    Resources {
        nano_cpus: positive(host.nano_cpus).or(quota),
        memory,
        memory_reservation: positive(host.memory_reservation),
        memory_swap: swap,
        pids: positive(host.pids_limit),
        cpuset: host.cpuset_cpus.clone().filter(|set| !set.is_empty()),
        cpu_shares: positive(host.cpu_shares),
    }
}

/// How to change one set of limits to another.
pub(in super::super) enum LimitsUpdate {
    /// One call is enough.
    InPlace(Box<ContainerUpdateBody>),
    /// These limits cannot be removed while the container stays the same.
    Lifts(Vec<&'static str>),
}

/// The update call that changes `host` to `resources` and `restart`.
pub(in super::super) fn limits_update(host: &HostConfig, resources: &Resources, restart: Restart) -> LimitsUpdate {
    let old = limits(host, true);
    let lifts = lifted_limits(&old, resources);
    if !lifts.is_empty() {
        return LimitsUpdate::Lifts(lifts);
    }
    let usual_swap = resources.memory.map(|bytes| signed(bytes.saturating_mul(2)));
    let mut body = ContainerUpdateBody {
        memory: resources.memory.map(signed),
        // Set together: the engine refuses memory above the current swap, and swap below the current memory.
        memory_swap: resources.memory_swap.or(usual_swap),
        memory_reservation: resources.memory_reservation.map(signed),
        pids_limit: Some(resources.pids.map_or(-1, signed)),
        cpuset_cpus: resources.cpuset.clone(),
        cpu_shares: resources.cpu_shares.map(signed),
        restart_policy: Some(restart_policy(restart)),
        ..Default::default()
    };
    // If a quota was set by hand, the engine refuses CPUs; the same limit is then set as a quota.
    if positive(host.cpu_quota).is_some() || positive(host.cpu_period).is_some() {
        body.cpu_period = resources.nano_cpus.map(|_| signed(CPU_PERIOD));
        body.cpu_quota = resources.nano_cpus.map(|nanos| signed(nanos / (1_000_000_000 / CPU_PERIOD)));
    } else {
        body.nano_cpus = resources.nano_cpus.map(signed);
    }
    LimitsUpdate::InPlace(Box::new(body))
}

/// Docker's form of a restart policy.
pub(super) fn restart_policy(restart: Restart) -> RestartPolicy {
    let (name, times) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(times) => (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(times))),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: times }
}

/// A restart policy from Docker's form.
pub(super) fn read_restart(policy: Option<&RestartPolicy>) -> Restart {
    let Some(policy) = policy else { return Restart::No };
    match policy.name {
        None | Some(RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO) => Restart::No,
        Some(RestartPolicyNameEnum::ALWAYS) => Restart::Always,
        Some(RestartPolicyNameEnum::UNLESS_STOPPED) => Restart::UnlessStopped,
        Some(RestartPolicyNameEnum::ON_FAILURE) => {
            Restart::OnFailure(policy.maximum_retry_count.and_then(|times| u32::try_from(times).ok()).unwrap_or(0))
        }
    }
}

/// Docker counts in signed numbers.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// 0 and negative numbers mean «no limit».
fn positive(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0)
}
