//! Anonymous volumes, and what happens to them when a container is replaced.

use super::instance::Instance;
use crate::model::Container;
use std::collections::BTreeMap;

impl Instance<'_, '_> {
    /// The old container's anonymous volumes that its replacement continues to use: those where nothing else is mounted now.
    pub(super) fn carried(&self, old: &Container) -> BTreeMap<String, String> {
        let free = |target: &&String| !self.wanted.service.spec.mounts.contains_key(*target);
        let volumes = old.anonymous_volumes.iter().filter(|(target, _)| free(target));
        volumes.map(|(target, volume)| (target.clone(), volume.clone())).collect()
    }

    /// What a replacement would leave behind: the content of anonymous volumes over which something else is mounted now.
    pub(super) fn left_behind(&self, old: &Container) -> Option<String> {
        let hidden = |target: &&String| self.wanted.service.spec.mounts.contains_key(*target);
        let targets: Vec<&str> = old.anonymous_volumes.keys().filter(hidden).map(String::as_str).collect();
        (!targets.is_empty()).then(|| format!("the data at {} (in an anonymous volume)", targets.join(", ")))
    }
}
