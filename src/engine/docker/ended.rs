//! Decides whether a container that ended has completed its work, although its gate waits for a running container.

use crate::model::{Container, Probe, Restart, Status, Test};

/// Whether a container ended successfully and is not to run again: its restart policy allows that, and it has no check that must
/// find it healthy.
pub(super) fn has_done_its_work(container: &Container, probe: Option<&Probe>) -> bool {
    let check = container.spec.healthcheck.as_ref().filter(|check| check.test != Test::Disabled);
    matches!(container.status, Status::Exited { code: 0, oom: false })
        && matches!(container.spec.restart, Restart::No | Restart::OnFailure(_))
        && check.is_none()
        && probe.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ContainerSpec, Healthcheck};
    use std::time::Duration;

    fn ended(restart: Restart, code: i64) -> Container {
        Container {
            status: Status::Exited { code, oom: false },
            spec: ContainerSpec { restart, ..ContainerSpec::default() },
            ..Container::bare("0123456789abcdef", "shop-job-1")
        }
    }

    #[test]
    fn what_may_end_and_ended_with_0_is_done() {
        assert!(has_done_its_work(&ended(Restart::No, 0), None));
        assert!(has_done_its_work(&ended(Restart::OnFailure(3), 0), None));
        assert!(!has_done_its_work(&ended(Restart::No, 1), None));
        let killed = Container { status: Status::Exited { code: 0, oom: true }, ..ended(Restart::No, 0) };
        assert!(!has_done_its_work(&killed, None));
        let running = Container { status: Status::Running, ..ended(Restart::No, 0) };
        assert!(!has_done_its_work(&running, None));
    }

    #[test]
    fn what_is_to_run_always_or_to_be_healthy_is_not_done_when_it_ends() {
        assert!(!has_done_its_work(&ended(Restart::Always, 0), None));
        assert!(!has_done_its_work(&ended(Restart::UnlessStopped, 0), None));
        let probe = Probe {
            http_path: None,
            port: 80,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(3),
            retries: 3,
            start_period: Duration::ZERO,
        };
        assert!(!has_done_its_work(&ended(Restart::No, 0), Some(&probe)));
        let with = |test| {
            let check = Healthcheck { test, interval: None, timeout: None, retries: None, start_period: None };
            let mut one = ended(Restart::No, 0);
            one.spec.healthcheck = Some(check);
            has_done_its_work(&one, None)
        };
        assert!(!with(Test::Shell("true".to_owned())));
        assert!(with(Test::Disabled), "a check that is switched off is none");
    }
}
