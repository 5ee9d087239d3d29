//! Networks and volumes.

use crate::support::Rig;
use setpoint::model::{Location, Network};
use setpoint::plan::Action;
use std::collections::BTreeMap;

pub fn network(name: &str) -> Network {
    Network {
        name: name.to_owned(),
        driver: "bridge".to_owned(),
        options: BTreeMap::new(),
        internal: false,
        subnet: None,
        gateway: None,
        labels: BTreeMap::new(),
        external: false,
        at: location(),
    }
}

pub fn location() -> Location {
    Location { file: "deployments/test.yaml".into(), line: 1, column: 1 }
}

pub async fn create(rig: &Rig, name: &str) {
    rig.act(Action::CreateNetwork { network: network(name), deployment: rig.deployment() }).await.unwrap();
}
