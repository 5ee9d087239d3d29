//! The subject of a step: an object and its node.

use crate::model::{DeploymentName, InstanceId, NodeName};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// The subject of a step or of a held change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Subject {
    /// A deployment as a whole; only ever held.
    Deployment(DeploymentName),
    /// A replica of a service.
    Instance(NodeName, InstanceId),
    /// A network by name.
    Network(NodeName, String),
    /// A volume by name.
    Volume(NodeName, String),
    /// An image by reference.
    Image(NodeName, String),
    /// A container by name that is no instance by itself: a leftover of an interrupted replacement.
    Container(NodeName, String),
}

impl Subject {
    /// The node that it is on. A deployment as a whole may be on several.
    pub fn node(&self) -> Option<&NodeName> {
        match self {
            Self::Deployment(_) => None,
            Self::Instance(node, _)
            | Self::Network(node, _)
            | Self::Volume(node, _)
            | Self::Image(node, _)
            | Self::Container(node, _) => Some(node),
        }
    }
}

/// `shop/api/1`, `network web`; a subject on another node than `local` names it: `network web on press-2`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = match self {
            Self::Deployment(name) => name.to_string(),
            Self::Instance(_, id) => id.to_string(),
            Self::Network(_, name) => format!("network {name}"),
            Self::Volume(_, name) => format!("volume {name}"),
            Self::Image(_, name) => format!("image {name}"),
            Self::Container(_, name) => format!("container {name}"),
        };
        if let Some(node) = self.node().filter(|node| !node.is_local()) {
            text.push_str(" on ");
            text.push_str(node.as_str());
        }
        f.pad(&text)
    }
}

/// The inverse of its text. A text that is nothing else is the name of a deployment.
impl FromStr for Subject {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let (object, node) = match text.rsplit_once(" on ") {
            Some((object, node)) => (object, NodeName::new(node)),
            None => (text, NodeName::local()),
        };
        let named = |kind: fn(NodeName, String) -> Self, name: &str| kind(node.clone(), name.to_owned());
        Ok(match object.split_once(' ') {
            Some(("network", name)) => named(Self::Network, name),
            Some(("volume", name)) => named(Self::Volume, name),
            Some(("image", name)) => named(Self::Image, name),
            Some(("container", name)) => named(Self::Container, name),
            _ => match object.parse::<InstanceId>() {
                Ok(id) => Self::Instance(node, id),
                Err(_) => Self::Deployment(DeploymentName::new(text)),
            },
        })
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

impl From<String> for Subject {
    fn from(text: String) -> Self {
        match text.parse() {
            Ok(subject) => subject,
            Err(never) => match never {},
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_text_reads_back_and_names_a_machine_only_when_it_is_another_one() {
        let instance: InstanceId = "shop/api/1".parse().unwrap();
        let (here, there) = (NodeName::local(), NodeName::new("press-2"));
        for (subject, text) in [
            (Subject::Deployment(DeploymentName::new("shop")), "shop"),
            (Subject::Instance(here.clone(), instance.clone()), "shop/api/1"),
            (Subject::Instance(there.clone(), instance), "shop/api/1 on press-2"),
            (Subject::Network(here.clone(), "web".to_owned()), "network web"),
            (Subject::Volume(there, "data".to_owned()), "volume data on press-2"),
            (Subject::Image(here.clone(), "r.example:5000/a:1".to_owned()), "image r.example:5000/a:1"),
            (Subject::Container(here, "shop-api-1.next".to_owned()), "container shop-api-1.next"),
        ] {
            assert_eq!(subject.to_string(), text);
            assert_eq!(text.parse(), Ok(subject));
        }
    }
}
