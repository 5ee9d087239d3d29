//! The vocabulary: plain data that every stage speaks, and nothing else.
//!
//! Nothing here reads a clock, a file, the environment or a socket, and nothing here logs. Names follow the table of
//! words in `ARCHITECTURE.md`; each type is written by one stage and read by those after it.

mod cadence;
mod cron;
mod desired;
mod field;
mod id;
mod location;
mod observed;
mod plain;
mod published;
mod quantity;
mod schedule;
mod secrecy;
mod settings;
mod spec;
mod suffix;
mod target;
mod task;
mod text;
mod time;
mod tree;

pub use cadence::{Cadence, CadenceError};
pub use desired::{
    BuildFile, BuildImage, BuildSettings, Condition, ContextFile, Dependency, Deployment, Desired, Image, ImageBuild,
    Network, Notice, PullPolicy, Registry, Role, Service, Strategy, Volume,
};
pub use field::{Change, Field, FieldKind, Fields, digest};
pub use id::{
    CommitId, ContainerId, DeploymentName, InstanceId, NodeName, OwnerId, ParseIdError, RunId, ScheduleName, ServiceId,
    ServiceRef, TaskId,
};
pub use location::Location;
pub use observed::{
    Address, Container, Health, HealthReport, ImageConfig, ImageState, NetworkState, Observed, Status, Unread,
    VolumeState,
};
pub use plain::{coloured, plain};
pub use published::{PublishedPort, PublishedPorts};
pub use quantity::{QuantityError, cpus_text, duration_text, nanos, parse_cpus, parse_duration, parse_size, size_text};
pub use schedule::{FeasibilityPolicy, Missed, Overlap, Schedule, Start};
pub use secrecy::{HIDDEN, looks_secret, masked, masked_lines, shown};
pub use settings::{DriftPolicy, OnFailure, Order, Prune, Settings, StrategyKind};
pub use spec::{
    Attachment, ConfigFile, ContainerSpec, Device, Healthcheck, Logging, Mount, OnChange, PortBinding, Probe, Protocol,
    Resources, Restart, Test, Ulimit, lifted_limits, limits_in_place,
};
pub use suffix::{MOVING, NEXT, PREV, reserved_suffix};
pub use target::{ServiceTarget, Target, TaskAddress};
pub use task::{Deadline, DeadlineFrom, Need, On, OnDeadline, RealTime, Release, Repeat, RtPolicy, Task, TaskProtocol};
pub use time::{Revision, Timestamp};
pub use tree::{FileEntry, FileKind, FileTree};
