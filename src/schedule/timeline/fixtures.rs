//! A task and a schedule with every default, for tests to change.

use crate::model::{
    FeasibilityPolicy, Location, Missed, Overlap, RealTime, Release, RtPolicy, Schedule, ScheduleName, Start, Target,
    Task, TaskAddress, TaskId, TaskProtocol,
};
use std::time::Duration;

pub(in crate::schedule) const MS: Duration = Duration::from_millis(1);

/// A task at a server of its own that is due at once.
pub(in crate::schedule) fn task(id: &str) -> Task {
    Task {
        id: TaskId::new(id),
        at: Location { file: "s.yaml".into(), line: 1, column: 1 },
        target: Target::Address(TaskAddress::Unix(format!("/{id}"))),
        protocol: TaskProtocol::Json,
        release: Release::Timed { at: Duration::ZERO, repeat: None },
        needs: Vec::new(),
        deadline: None,
        timeout: Duration::from_secs(3600),
        start_timeout: Duration::from_secs(5),
        lease: Duration::from_secs(10),
        grace: Duration::from_secs(5),
        estimate: None,
        priority: 50,
        max_retries: 0,
        retry_delay: Duration::from_secs(1),
        critical: false,
        real_time: RealTime { policy: RtPolicy::Other, cpu: None },
        parameters: serde_json::Map::new(),
        environment: std::collections::BTreeMap::new(),
    }
}

pub(in crate::schedule) fn schedule(tasks: Vec<Task>) -> Schedule {
    Schedule {
        name: ScheduleName::new("s"),
        title: "s".to_owned(),
        description: None,
        at: Location { file: "s.yaml".into(), line: 1, column: 1 },
        start: Start::Manual,
        missed: Missed::RunOnce,
        overlap: Overlap::Skip,
        jitter: Duration::ZERO,
        strict: false,
        feasibility: FeasibilityPolicy::Warn,
        tasks,
    }
}
