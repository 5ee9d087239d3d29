//! The router of end notices, opened when the first run needs it: not before, and not for runs whose task servers are all ours.

use super::error::RunError;
use super::notice_router::NoticeRouter;
use crate::model::{RealTime, TaskAddress};
use crate::process::interfaces;
use crate::wire::Tls;
use std::sync::{Arc, Mutex, PoisonError};

/// The port that existing task servers know.
const PORT: u16 = 50050;
/// The bridges by which containers reach their host (`host-gateway`): Docker's, and those of Podman.
const BRIDGES: [&str; 3] = ["docker0", "podman0", "cni-podman0"];

/// Where end notices are received, and the router there once it is open.
#[derive(Debug)]
pub struct LazyNoticeRouter {
    listen: Option<TaskAddress>,
    real_time: RealTime,
    output_limit: usize,
    tls: Option<Tls>,
    open: Mutex<Option<Arc<NoticeRouter>>>,
}

impl LazyNoticeRouter {
    /// Nothing is open yet. Without `listen`, notices are received at port 50050 of the loopback address and of the engine's
    /// bridge: from this machine and its containers, and from nowhere else. The others as for [`NoticeRouter::open`].
    pub fn new(listen: Option<TaskAddress>, real_time: RealTime, output_limit: usize, tls: Option<Tls>) -> Self {
        Self { listen, real_time, output_limit, tls, open: Mutex::new(None) }
    }

    /// The router, opened if it is not open, or no longer.
    ///
    /// # Errors
    /// When it cannot listen at its first address.
    pub fn get(&self) -> Result<Arc<NoticeRouter>, RunError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(router) = open.as_ref().filter(|router| router.is_open()) {
            return Ok(Arc::clone(router));
        }
        let listen = self.listen.clone().map_or_else(near, |address| vec![address]);
        let router = NoticeRouter::open(&listen, self.real_time, self.output_limit, self.tls.clone())?;
        let router = Arc::new(router);
        tracing::info!(address = router.addresses(), "listening for end notices of task servers");
        Ok(Arc::clone(open.insert(router)))
    }
}

/// The addresses that only this machine and its containers reach.
fn near() -> Vec<TaskAddress> {
    let bridges = BRIDGES.iter().flat_map(|bridge| interfaces::addresses(bridge)).map(|address| address.to_string());
    std::iter::once("127.0.0.1".to_owned()).chain(bridges).map(|host| TaskAddress::Tcp(host, PORT)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_setting_nobody_from_another_machine_is_listened_to() {
        for address in near() {
            let TaskAddress::Tcp(host, PORT) = &address else { panic!("{address}") };
            let ip: std::net::Ipv4Addr = host.parse().unwrap();
            assert!(ip.is_loopback() || ip.is_private(), "{address}");
        }
    }
}
