//! The exact, readable text of each kind of setting: what is compared, and what people read.

use super::quantity::{duration_text, size_text};
use super::spec::{Attachment, ConfigFile, Healthcheck, Mount, OnChange, Probe, Restart, Test, Ulimit};
use std::collections::BTreeMap;

/// Words as a JSON list, so that spaces and quotes in them are exact.
pub(super) fn words_text(words: &[String]) -> String {
    serde_json::to_string(words).unwrap_or_default()
}

pub(super) fn pairs_text(first: &str, pairs: &BTreeMap<String, String>) -> String {
    let mut text = first.to_owned();
    for (key, value) in pairs {
        text.push_str(&format!(" {key}={value}"));
    }
    text
}

pub(super) fn mount_text(mount: &Mount) -> String {
    let mode = |read_only: &bool| if *read_only { " ro" } else { "" };
    match mount {
        Mount::Volume { name, read_only } => format!("volume {name}{}", mode(read_only)),
        Mount::Bind { source, read_only, propagation } => {
            let propagation = propagation.as_deref().map(|word| format!(" {word}")).unwrap_or_default();
            format!("bind {source}{}{propagation}", mode(read_only))
        }
        Mount::Tmpfs { size, mode } => {
            let size = size.map(|bytes| format!(" size={}", size_text(bytes))).unwrap_or_default();
            let mode = mode.map(|bits| format!(" mode={bits:o}")).unwrap_or_default();
            format!("tmpfs{size}{mode}")
        }
    }
}

pub(super) fn config_text(file: &ConfigFile) -> String {
    let on_change = match &file.on_change {
        OnChange::Recreate => "",
        OnChange::Restart => " restart",
        OnChange::Signal(signal) => &format!(" signal={signal}"),
        OnChange::Nothing => " keep",
    };
    let short = file.oid.get(..12).unwrap_or(&file.oid);
    format!("{} @{short} {:04o} {}:{}{on_change}", file.source, file.mode, file.uid, file.gid)
}

/// A check that Setpoint makes itself; `none` where there is none, so that one that was never recorded is told from it.
pub(super) fn probe_text(probe: Option<&Probe>) -> String {
    let Some(Probe { http_path, port, interval, timeout, retries, start_period }) = probe else {
        return "none".to_owned();
    };
    let target = http_path.as_ref().map_or_else(|| format!("tcp {port}"), |path| format!("http :{port}{path}"));
    let start =
        if start_period.is_zero() { String::new() } else { format!(", from {} on", duration_text(*start_period)) };
    let (interval, timeout) = (duration_text(*interval), duration_text(*timeout));
    format!("{target} every {interval}, within {timeout}, {retries} tries{start}")
}

pub(super) fn attachment_text(attachment: &Attachment) -> String {
    let mut text = "connected".to_owned();
    if !attachment.aliases.is_empty() {
        let aliases: Vec<&str> = attachment.aliases.iter().map(String::as_str).collect();
        text.push_str(&format!(" as {}", aliases.join(",")));
    }
    for address in [&attachment.ipv4, &attachment.ipv6].into_iter().flatten() {
        text.push_str(&format!(" at {address}"));
    }
    text
}

pub(super) fn restart_text(restart: Restart) -> String {
    match restart {
        Restart::No => "no".to_owned(),
        Restart::Always => "always".to_owned(),
        Restart::UnlessStopped => "unless-stopped".to_owned(),
        Restart::OnFailure(0) => "on-failure".to_owned(),
        Restart::OnFailure(times) => format!("on-failure:{times}"),
    }
}

pub(super) fn swap_text(bytes: i64) -> String {
    u64::try_from(bytes).map_or_else(|_| "unlimited".to_owned(), size_text)
}

pub(super) fn ulimit_text(limit: &Ulimit) -> String {
    let text = |value: i64| if value < 0 { "unlimited".to_owned() } else { value.to_string() };
    if limit.soft == limit.hard { text(limit.soft) } else { format!("{}:{}", text(limit.soft), text(limit.hard)) }
}

pub(super) fn healthcheck_text(check: &Healthcheck) -> String {
    let mut text = match &check.test {
        Test::Disabled => return "disabled".to_owned(),
        Test::Inherit => "image's".to_owned(),
        Test::Exec(words) => words_text(words),
        Test::Shell(line) => line.clone(),
    };
    for (name, value) in
        [("interval", check.interval), ("timeout", check.timeout), ("start_period", check.start_period)]
    {
        if let Some(value) = value {
            text.push_str(&format!(" {name}={}", duration_text(value)));
        }
    }
    if let Some(retries) = check.retries {
        text.push_str(&format!(" retries={retries}"));
    }
    text
}
