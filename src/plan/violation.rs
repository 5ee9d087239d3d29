//! A rule that a plan breaks.

use super::step::StepId;
use super::subject::Subject;
use crate::model::{ContainerId, InstanceId, Protocol};

/// A rule that every plan must keep and this one breaks: a bug of the planner. Its text is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The number of a step is not its position.
    #[error("step {step} is at position {position}")]
    Misnumbered { step: StepId, position: usize },
    /// A step needs one that does not come before it.
    #[error("step {step} ({subject}) needs step {needs}, which does not come before it")]
    OutOfOrder { step: StepId, subject: Subject, needs: StepId },
    /// Two steps are about the same object.
    #[error("{0} has more than one step")]
    Repeated(Subject),
    /// A step changes a container of somebody else, by name.
    #[error("step {step} changes `{container}`, which this environment does not own")]
    ForeignContainer { step: StepId, container: String },
    /// A step changes a container that the observation does not have.
    #[error("step {step} changes container {}, which was not observed", .container.short())]
    Unobserved { step: StepId, container: ContainerId },
    /// A step changes a container and does not check before that it is still ours.
    #[error("step {step} changes container {} without a guard for it", .container.short())]
    Unguarded { step: StepId, container: ContainerId },
    /// A step changes a network of somebody else.
    #[error("step {step} changes {network}, which this environment does not own")]
    ForeignNetwork { step: StepId, network: Subject },
    /// A step removes a volume of somebody else.
    #[error("step {step} removes {volume}, which this environment does not own")]
    ForeignVolume { step: StepId, volume: Subject },
    /// A step removes something although the observation is incomplete.
    #[error("step {step} removes {subject} although the engine could not be read in full")]
    RemovesUnread { step: StepId, subject: Subject },
    /// A step loses data that nobody allowed to be lost.
    #[error("step {step} ({subject}) would lose data without permission")]
    LosesData { step: StepId, subject: Subject },
    /// A step removes an instance that is wanted.
    #[error("step {step} removes {instance}, which is wanted")]
    RemovesWanted { step: StepId, instance: InstanceId },
    /// A wanted instance does not exist, and nothing is done about it.
    #[error("{0} is wanted and does not exist, but is neither planned nor held")]
    Forgotten(InstanceId),
    /// Two containers of one node would have the same host port.
    #[error("host port {port}/{} would be used by both {first} and {second}", .protocol.as_str())]
    PortTwice { port: u16, protocol: Protocol, first: String, second: String },
}
