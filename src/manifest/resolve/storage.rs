//! What a container publishes and mounts: ports, volumes, tmpfs and files of the repo.

use super::Resolver;
use super::service::Draft;
use crate::manifest::cursor::Cursor;
use crate::manifest::raw::forms;
use crate::manifest::raw::service::{
    Config, MountKind, OnChange as RawOnChange, OnChangeName, PortEntry, ProtocolName, TmpfsEntry, VolumeEntry,
};
use crate::manifest::raw::text::OneOrMany;
use crate::model::{ConfigFile, FieldKind as K, Mount, OnChange, PortBinding, Protocol};
use std::sync::Arc;

/// Ports that one service may publish: the engine runs a process for each.
const PORTS: usize = 4096;

impl Resolver<'_> {
    pub(super) fn ports(&mut self, draft: &mut Draft<'_>, ports: Vec<PortEntry>) {
        let mut published = 0;
        for (index, entry) in ports.into_iter().enumerate() {
            let at = draft.at.key("ports").item(index);
            let bindings = match entry {
                PortEntry::Short(ports) => {
                    published += ports.0.count();
                    if published > PORTS {
                        let message = format!("this service publishes more than {PORTS} ports");
                        self.mistake("too-many-ports", at, message, "use `network_mode: host`, or fewer ports");
                        return;
                    }
                    ports.0.bindings().collect()
                }
                PortEntry::Long(port) => vec![PortBinding {
                    container_port: port.target.0,
                    protocol: match port.protocol {
                        None | Some(ProtocolName::Tcp) => Protocol::Tcp,
                        Some(ProtocolName::Udp) => Protocol::Udp,
                        Some(ProtocolName::Sctp) => Protocol::Sctp,
                    },
                    host_ip: port.host_ip.map(|ip| ip.0).filter(|ip| ip != "0.0.0.0"),
                    host_port: port.published.map(|port| port.0),
                }],
            };
            for binding in bindings {
                let key = format!("{}/{}", binding.container_port, binding.protocol.as_str());
                draft.set_entry(K::Port, &key, at);
                if !draft.spec.ports.insert(binding) {
                    self.mistake("duplicate-port", at, format!("`{key}` is published twice"), "remove one of the two");
                }
            }
        }
    }

    pub(super) fn mounts(
        &mut self,
        draft: &mut Draft<'_>,
        volumes: Vec<VolumeEntry>,
        tmpfs: Option<OneOrMany<TmpfsEntry>>,
    ) {
        for (index, entry) in volumes.into_iter().enumerate() {
            let at = draft.at.key("volumes").item(index);
            let (target, mount) = match entry {
                VolumeEntry::Short(text) => text.0,
                VolumeEntry::Long(volume) => {
                    let read_only = volume.read_only.unwrap_or(false);
                    let mount = match (volume.kind, volume.source) {
                        (Some(MountKind::Tmpfs), None) => Ok(Mount::Tmpfs { size: None, mode: None }),
                        (Some(MountKind::Tmpfs), Some(_)) => {
                            self.mistake("wrong-form", at.key("source"), "a tmpfs has no source", "remove `source`");
                            continue;
                        }
                        (_, None) => {
                            let help = "add `source`: the name of a volume, or an absolute path of the host";
                            self.mistake("missing-key", at, "this mount lacks `source`", help);
                            continue;
                        }
                        (_, Some(source)) => forms::bind_or_volume(&source.0, read_only, None),
                    };
                    let mount = match (mount, volume.kind) {
                        (Err(error), _) => {
                            self.mistake("wrong-form", at.key("source"), error.message, error.help);
                            continue;
                        }
                        (Ok(Mount::Bind { .. }), Some(MountKind::Volume))
                        | (Ok(Mount::Volume { .. }), Some(MountKind::Bind)) => {
                            let help =
                                "the `source` of a bind is an absolute path of the host, that of a volume is a name";
                            self.mistake(
                                "wrong-form",
                                at.key("type"),
                                "`type` and `source` contradict each other",
                                help,
                            );
                            continue;
                        }
                        (Ok(mount), _) => mount,
                    };
                    (volume.target.0, mount)
                }
            };
            self.mount(draft, target, mount, at);
        }
        for (index, entry) in tmpfs.map(OneOrMany::into_vec).unwrap_or_default().into_iter().enumerate() {
            let at = draft.at.key("tmpfs").item(index);
            let (target, mount) = match entry {
                TmpfsEntry::Short(text) => text.0,
                TmpfsEntry::Long(spec) => {
                    let mount = Mount::Tmpfs { size: spec.size.map(|size| size.0), mode: spec.mode.map(|mode| mode.0) };
                    (spec.target.0, mount)
                }
            };
            self.mount(draft, target, mount, at);
        }
    }

    pub(super) fn mount(&mut self, draft: &mut Draft<'_>, target: String, mount: Mount, at: Cursor<'_>) {
        draft.set_entry(K::Volume, &target, at);
        if draft.spec.mounts.contains_key(&target) {
            let message = format!("something is already mounted at `{target}`");
            self.mistake("duplicate-target", at, message, "give one of the two another path");
        }
        draft.spec.mounts.insert(target, mount);
    }

    pub(super) fn configs(&mut self, draft: &mut Draft<'_>, configs: Vec<Config>) {
        for (index, config) in configs.into_iter().enumerate() {
            let at = draft.at.key("configs").item(index);
            let target = config.target.0;
            draft.set_entry(K::Config, &target, at);
            if draft.spec.configs.contains_key(&target) || draft.spec.mounts.contains_key(&target) {
                let message = format!("something is already placed at `{target}`");
                self.mistake("duplicate-target", at.key("target"), message, "give one of the two another path");
            }
            let Some((source, entry)) = self.file(&config.file.0, "config file", at.key("file")) else { continue };
            let Some(content) = &entry.content else { continue };
            let file = ConfigFile {
                source,
                oid: entry.oid.clone(),
                content: Arc::clone(content),
                mode: config.mode.map_or(0o444, |mode| mode.0),
                uid: config.uid.unwrap_or(0),
                gid: config.gid.unwrap_or(0),
                on_change: match config.on_change {
                    None | Some(RawOnChange::Plain(OnChangeName::Recreate)) => OnChange::Recreate,
                    Some(RawOnChange::Plain(OnChangeName::Restart)) => OnChange::Restart,
                    Some(RawOnChange::Plain(OnChangeName::None)) => OnChange::Nothing,
                    Some(RawOnChange::Signal(signal)) => OnChange::Signal(signal.signal.0),
                },
            };
            draft.spec.configs.insert(target, file);
        }
    }
}
