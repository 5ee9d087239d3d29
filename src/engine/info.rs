//! Facts about an engine and its host.

/// The facts that `doctor` and `status` show about an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineInfo {
    pub version: String,
    /// Version of the API in use.
    pub api_version: String,
    /// Storage driver (`overlay2`).
    pub storage_driver: String,
    /// Folder of the engine's data on its host.
    pub data_root: String,
    /// 1 or 2, as the engine reports it.
    pub cgroup_version: String,
    /// Log driver of containers that do not name one.
    pub log_driver: String,
    pub hostname: String,
    pub kernel: String,
    pub cpus: u32,
    /// Memory of the host in bytes.
    pub memory: u64,
    /// Warnings of the engine about itself (`No swap limit support`).
    pub warnings: Vec<String>,
    /// Whether it is rootless and has its own network.
    pub rootless: bool,
    /// Whether it runs in the virtual machine of Docker Desktop.
    pub desktop: bool,
    /// The name of the product: `Docker` or `Podman`.
    pub product: &'static str,
    /// How it differs from Docker.
    pub gaps: &'static [Gap],
}

/// A difference from Docker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What does not work.
    pub what: &'static str,
    /// What happens, and how to avoid it.
    pub instead: &'static str,
}
