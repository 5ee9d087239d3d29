//! What every part of the running process shares: settings from the environment, the clock, tasks, shutdown, logs, errors,
//! backoff, locks between processes, Unix sockets.
//!
//! Adapters and everything after them in the flow may use it; the vocabulary and the pure stages may not. Each of the
//! things that a library could do anywhere and that this program does in one place only lives here: asking for the time
//! ([`clock`]), starting a task ([`supervise`]), reading the environment ([`config`]).

pub mod backoff;
pub mod boot;
pub mod clock;
pub mod config;
pub mod error;
pub mod interfaces;
pub mod limits;
pub mod lock;
pub mod marked;
pub mod orphans;
pub mod shutdown;
pub mod socket;
pub mod state_folder;
pub mod supervise;
pub mod telemetry;

/// Settings of jemalloc, as C reads them: two arenas and small caches of each thread, because a daemon that waits should hold
/// little. The caches keep pieces of up to 2 KiB (2¹¹ bytes), so that sending a start waits for no other thread's memory.
/// `benches/README.md` says what it costs.
pub const ALLOCATOR_SETTINGS: &[u8] = b"narenas:2,dirty_decay_ms:1000,tcache_nslots_small_max:20,lg_tcache_max:11\0";

pub use backoff::Backoff;
pub use state_folder::{StateFolder, StateFolderError};
pub use supervise::{Lost, Policy, Supervisor};
