//! A handle without a daemon, for the tests of the API.

use super::handle::Handle;
use super::status::{DaemonStatus, Status};
use super::trigger::Triggers;
use crate::engine::Engine;
use crate::model::Timestamp;
pub(crate) use crate::plan::render::View;
use crate::store::Store;
use std::sync::Arc;
use tokio::sync::watch;

/// The ends that a daemon would write to.
pub(crate) type Ends = (Handle, watch::Sender<Arc<Status>>, watch::Sender<Option<Arc<View>>>);

/// A handle and the ends that a daemon would write to.
pub(crate) fn channel(store: &Store) -> Ends {
    let daemon = DaemonStatus {
        version: "0.0.0".to_owned(),
        pid: 1,
        started_at: Timestamp::UNIX_EPOCH,
        installation: store.installation().to_owned(),
    };
    let (status, view) = (watch::Sender::new(Arc::new(Status::new(Some(daemon), "/infra"))), watch::Sender::new(None));
    let handle = Handle {
        store: store.clone(),
        engine: Engine::at(Some("unix:///nonexistent/engine.sock")).unwrap(),
        status: status.subscribe(),
        view: view.subscribe(),
        triggers: Triggers::default(),
        asking: super::timing::requests().0,
        applies: super::asked::apply_requests().0,
    };
    (handle, status, view)
}
