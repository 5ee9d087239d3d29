//! Volumes, binds and memory file systems.

use crate::model::Mount;
use bollard::models;
use bollard::models::{HostConfig, MountBindOptions, MountTmpfsOptions, MountType};
use std::collections::BTreeMap;

/// Writes mounts into a host configuration.
///
/// A bind goes into `Binds`, where the engine makes a missing host folder, as people expect of `-v`; a path with a colon
/// cannot stand there and goes into `Mounts`.
pub(super) fn write(mounts: &BTreeMap<String, Mount>, host: &mut HostConfig) {
    let mut binds = Vec::new();
    let mut rest = Vec::new();
    for (target, mount) in mounts {
        let mut entry = models::Mount { target: Some(target.clone()), ..Default::default() };
        match mount {
            Mount::Volume { name, read_only } => {
                entry.typ = Some(MountType::VOLUME);
                entry.source = Some(name.clone());
                entry.read_only = Some(*read_only);
            }
            Mount::Bind { source, read_only, propagation } if !source.contains(':') && !target.contains(':') => {
                let mode = if *read_only { "ro" } else { "rw" };
                let propagation = propagation.as_deref().map(|word| format!(",{word}")).unwrap_or_default();
                binds.push(format!("{source}:{target}:{mode}{propagation}"));
                continue;
            }
            Mount::Bind { source, read_only, propagation } => {
                entry.typ = Some(MountType::BIND);
                entry.source = Some(source.clone());
                entry.read_only = Some(*read_only);
                entry.bind_options = propagation
                    .as_ref()
                    .map(|word| MountBindOptions { propagation: word.parse().ok(), ..Default::default() });
            }
            Mount::Tmpfs { size, mode } => {
                entry.typ = Some(MountType::TMPFS);
                entry.tmpfs_options = Some(MountTmpfsOptions {
                    size_bytes: size.and_then(|bytes| i64::try_from(bytes).ok()),
                    mode: mode.map(i64::from),
                    options: None,
                });
            }
        }
        rest.push(entry);
    }
    host.binds = (!binds.is_empty()).then_some(binds);
    host.mounts = (!rest.is_empty()).then_some(rest);
}

/// Reads the mounts that were requested at creation. Anonymous volumes, which the engine creates for the image's `VOLUME`s, are in
/// none of these lists.
pub(super) fn read(host: &HostConfig) -> BTreeMap<String, Mount> {
    let mut mounts = BTreeMap::new();
    mounts.extend(host.binds.iter().flatten().filter_map(|text| bind(text)));
    mounts.extend(host.mounts.iter().flatten().filter_map(entry));
    for (target, options) in host.tmpfs.iter().flatten() {
        mounts.insert(target.clone(), tmpfs(options));
    }
    mounts
}

/// `source:target[:options]`; a source that is not a path is the name of a volume.
fn bind(text: &str) -> Option<(String, Mount)> {
    let mut parts = text.splitn(3, ':');
    let (source, target) = (parts.next()?, parts.next()?);
    let words: Vec<&str> = parts.next().unwrap_or_default().split(',').collect();
    let read_only = words.contains(&"ro");
    let propagations = ["shared", "rshared", "slave", "rslave", "private", "rprivate"];
    let propagation = words.iter().find(|word| propagations.contains(*word)).map(|word| propagation(word));
    let mount = if source.starts_with('/') {
        Mount::Bind { source: source.to_owned(), read_only, propagation: propagation.flatten() }
    } else {
        Mount::Volume { name: source.to_owned(), read_only }
    };
    Some((target.to_owned(), mount))
}

/// `rprivate` is Docker's default.
fn propagation(word: &str) -> Option<String> {
    (word != "rprivate" && !word.is_empty()).then(|| word.to_owned())
}

fn entry(mount: &models::Mount) -> Option<(String, Mount)> {
    let target = mount.target.clone()?;
    let read_only = mount.read_only.unwrap_or(false);
    let source = mount.source.clone().unwrap_or_default();
    let mount = match mount.typ? {
        MountType::VOLUME if source.is_empty() => return None,
        MountType::VOLUME => Mount::Volume { name: source, read_only },
        MountType::BIND => {
            let word = mount.bind_options.as_ref().and_then(|options| options.propagation);
            Mount::Bind { source, read_only, propagation: word.and_then(|word| propagation(word.as_ref())) }
        }
        MountType::TMPFS => {
            let options = mount.tmpfs_options.as_ref();
            Mount::Tmpfs {
                size: options
                    .and_then(|options| options.size_bytes)
                    .and_then(|bytes| u64::try_from(bytes).ok())
                    .filter(|bytes| *bytes > 0),
                mode: options
                    .and_then(|options| options.mode)
                    .and_then(|bits| u32::try_from(bits).ok())
                    .filter(|bits| *bits > 0),
            }
        }
        MountType::CLUSTER | MountType::IMAGE | MountType::NPIPE => return None,
    };
    Some((target, mount))
}

/// The options of `--tmpfs`: `size=64m,mode=1777`.
fn tmpfs(options: &str) -> Mount {
    let value = |key: &str| options.split(',').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    Mount::Tmpfs {
        size: value("size").and_then(|text| crate::model::parse_size(text, 1).ok()),
        mode: value("mode").and_then(|text| u32::from_str_radix(text, 8).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_of_other_tools_are_read_as_well() {
        let host = HostConfig {
            binds: Some(vec![
                "/srv:/data:z,ro,rprivate".to_owned(),
                "cache:/cache".to_owned(),
                "/log:/log:rw,rslave".to_owned(),
            ]),
            tmpfs: Some([("/run".to_owned(), "rw,size=64m,mode=1777".to_owned())].into()),
            ..Default::default()
        };
        let bind = |source: &str, read_only, word: Option<&str>| Mount::Bind {
            source: source.to_owned(),
            read_only,
            propagation: word.map(str::to_owned),
        };
        let expected = BTreeMap::from([
            ("/data".to_owned(), bind("/srv", true, None)),
            ("/log".to_owned(), bind("/log", false, Some("rslave"))),
            ("/cache".to_owned(), Mount::Volume { name: "cache".to_owned(), read_only: false }),
            ("/run".to_owned(), Mount::Tmpfs { size: Some(64 << 20), mode: Some(0o1777) }),
        ]);
        assert_eq!(read(&host), expected);
    }

    #[test]
    fn a_path_with_a_colon_is_written_where_it_can_stand() {
        let mount = Mount::Bind { source: "/a:b".to_owned(), read_only: true, propagation: Some("rslave".to_owned()) };
        let mounts = BTreeMap::from([("/data".to_owned(), mount)]);
        let mut host = HostConfig::default();
        write(&mounts, &mut host);
        assert_eq!((host.binds.is_none(), read(&host)), (true, mounts));
    }
}
