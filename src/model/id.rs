//! Names and identities. Each is its own type so that one cannot be passed for another.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes a name as it is; what may stand in it is checked where it is read.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name! {
    /// The identifier of a deployment: letters, digits, `_ . -`, derived from its display name.
    DeploymentName
}
name! {
    /// The `id` of a service within its deployment.
    ServiceId
}
name! {
    /// The identifier of a schedule: letters, digits, `_ . -`, derived from its display name.
    ScheduleName
}
name! {
    /// The `id` of a task within its schedule.
    TaskId
}
name! {
    /// A machine that instances run on. Until there are several it is [`NodeName::local`].
    NodeName
}
name! {
    /// Who owns an object on an engine: `<installation>/<environment>`, in the label `dev.setpoint.owner`.
    OwnerId
}
name! {
    /// The full id of a commit: 40 hexadecimal digits, or 64; `worktree` marks the uncommitted files of a work tree.
    CommitId
}
name! {
    /// The id of a run of a schedule.
    RunId
}
name! {
    /// The engine's own id of a container (64 hexadecimal digits on Docker).
    ContainerId
}

impl NodeName {
    /// The machine that the daemon runs on.
    pub fn local() -> Self {
        Self::new("local")
    }

    /// Whether it is the machine that the daemon runs on.
    pub fn is_local(&self) -> bool {
        self.0 == "local"
    }
}

impl CommitId {
    /// The first seven digits, as git prints them.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }
}

impl ContainerId {
    /// The first twelve digits, as Docker prints them.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// A service named across deployments: `deployment/service`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ServiceRef {
    /// The deployment that holds it.
    pub deployment: DeploymentName,
    /// The service.
    pub service: ServiceId,
}

impl ServiceRef {
    /// The replica in `slot` (counted from 1).
    pub fn instance(&self, slot: u32) -> InstanceId {
        InstanceId { service: self.clone(), slot }
    }
}

impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.deployment, self.service))
    }
}

/// One replica of a service: `deployment/service/slot`, slots counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct InstanceId {
    /// The service it is a replica of.
    pub service: ServiceRef,
    /// Which replica, from 1.
    pub slot: u32,
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/{}", self.service, self.slot))
    }
}

/// A text that is not of the form `deployment/service` or `deployment/service/slot`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not of the form {form}")]
pub struct ParseIdError {
    text: String,
    form: &'static str,
}

impl FromStr for ServiceRef {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        match text.split_once('/') {
            Some((deployment, service)) if !deployment.is_empty() && !service.is_empty() && !service.contains('/') => {
                Ok(Self { deployment: DeploymentName::new(deployment), service: ServiceId::new(service) })
            }
            _ => Err(ParseIdError { text: text.to_owned(), form: "deployment/service" }),
        }
    }
}

impl FromStr for InstanceId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = || ParseIdError { text: text.to_owned(), form: "deployment/service/slot" };
        let (service, slot) = text.rsplit_once('/').ok_or_else(error)?;
        let service = service.parse().map_err(|_| error())?;
        match slot.parse() {
            Ok(slot) if slot > 0 => Ok(Self { service, slot }),
            _ => Err(error()),
        }
    }
}

impl ServiceId {
    /// The name of the container in `slot` unless the service fixes another: `<deployment>-<service>-<slot>`.
    pub fn container_name(&self, deployment: &DeploymentName, slot: u32) -> String {
        format!("{deployment}-{self}-{slot}")
    }
}

macro_rules! as_string {
    ($name:ident) => {
        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }
    };
}

as_string!(ServiceRef);
as_string!(InstanceId);
