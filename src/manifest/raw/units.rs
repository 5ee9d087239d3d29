//! Texts with a form of their own: each is a type that reads itself from the text of the file.

use super::forms;
pub use super::forms::FormError;
use crate::model::{
    Device, Mount, Restart, ServiceRef, TaskAddress, Timestamp, parse_cpus, parse_duration, parse_size,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

/// Defines the types, and [`check`], which parses a text as the type of that name.
macro_rules! units {
    ($($(#[$doc:meta])* $name:ident($inner:ty), $kind:literal, $example:tt, $parse:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Deserialize)]
            #[serde(try_from = "String")]
            pub struct $name(pub $inner);

            impl TryFrom<String> for $name {
                type Error = FormError;

                fn try_from(text: String) -> Result<Self, FormError> {
                    let parse: fn(&str) -> Result<$inner, FormError> = $parse;
                    parse(&text).map(Self)
                }
            }

            impl JsonSchema for $name {
                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn inline_schema() -> bool {
                    true
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    let types: &[&str] = if $kind == "text" { &["string"] } else { &["string", "number"] };
                    json_schema!({ "type": types, "x-unit": stringify!($name), "examples": serde_json::json!($example) })
                }
            }
        )*

        /// Parses `text` as the unit called `unit`.
        ///
        /// # Errors
        /// When it is not of that form.
        pub fn check(unit: &str, text: &str) -> Result<(), FormError> {
            match unit {
                $(stringify!($name) => $name::try_from(text.to_owned()).map(drop),)*
                _ => Ok(()),
            }
        }
    };
}

units! {
    /// A time; a bare number is seconds.
    Seconds(Duration), "number", [30, "500ms", "5m"], |text| Ok(parse_duration(text, Duration::from_secs(1))?);
    /// A size; a bare number is megabytes (of 1024 × 1024 bytes).
    Megabytes(u64), "number", [512, "512MiB", "1G"], |text| Ok(parse_size(text, 1 << 20)?);
    /// A size; a bare number is bytes.
    Bytes(u64), "number", [67108864, "64MiB"], |text| Ok(parse_size(text, 1)?);
    /// Memory and swap; a bare number is megabytes, `-1` is unlimited swap.
    Swap(i64), "number", [1024, "2G", -1], forms::swap;
    /// A number of CPUs.
    Cpus(u64), "number", [0.5, 2], |text| Ok(parse_cpus(text)?);
    /// A share in percent.
    Percent(u8), "number", ["20%"], forms::percent;
    /// A port.
    Port(u16), "number", [8080], forms::port;
    /// Published ports: `[address:][host:]container[/protocol]`, each a port or a range.
    Ports(forms::PortRange), "number", ["8080:80", "127.0.0.1:5353:53/udp", "8000-8003:80-83"], forms::ports;
    /// A limit; `-1` or `unlimited` means no limit.
    Limit(i64), "number", [65536, "unlimited"], forms::limit;
    /// Memory that may be locked; a bare number is bytes, `-1` or `unlimited` means no limit.
    Memlock(i64), "number", [67108864, "64MiB", -1], forms::memlock;
    /// Permission bits, octal.
    Mode(u32), "number", ["0644"], forms::mode;
    /// A name: letters, digits, `_ . -`, starting with a letter or digit.
    Name(String), "text", ["api"], forms::name;
    /// A host name or network alias.
    HostName(String), "text", ["api.internal"], forms::host_name;
    /// An image reference; without tag and digest it means `:latest`.
    ImageName(String), "text", ["postgres:17"], forms::image;
    /// An image's tag.
    Tag(String), "number", ["latest", "1.5"], forms::tag;
    /// An absolute path in the container.
    TargetPath(String), "text", ["/etc/app.toml"], forms::target_path;
    /// A mount: `volume:/path[:ro]` or `/host/path:/path[:ro]`.
    MountText((String, Mount)), "text", ["data:/var/lib/data", "/etc/ssl:/etc/ssl:ro"], forms::mount;
    /// A tmpfs: `/path[:size=64m,mode=1777]`.
    TmpfsText((String, Mount)), "text", ["/run", "/tmp:size=64m"], forms::tmpfs;
    /// A device: `/dev/host[:/dev/container[:rwm]]`.
    DeviceText(Device), "text", ["/dev/fuse"], forms::device;
    /// Whether the engine restarts the process when it ends.
    RestartText(Restart), "text", ["unless-stopped", "always", "on-failure:5", "no"], forms::restart;
    /// A signal.
    Signal(String), "number", ["SIGTERM"], forms::signal;
    /// CPUs by number.
    Cpuset(String), "number", ["0-2,4"], forms::cpuset;
    /// A Linux capability.
    Capability(String), "text", ["NET_ADMIN"], forms::capability;
    /// A line of `/etc/hosts`.
    ExtraHost(String), "text", ["db:10.0.0.5", "host.docker.internal:host-gateway"], forms::extra_host;
    /// An IP address.
    IpAddress(String), "text", ["10.0.0.5"], forms::ip;
    /// A network with its prefix length.
    Subnet(String), "text", ["10.5.0.0/24"], forms::subnet;
    /// `host`, `none`, `bridge` or `container:<name>`.
    NetworkMode(String), "text", ["host"], forms::network_mode;
    /// `host` or `container:<name>`.
    PidMode(String), "text", ["host"], forms::pid_mode;
    /// `private`, `shareable`, `host`, `none` or `container:<name>`.
    IpcMode(String), "text", ["shareable"], forms::ipc_mode;
    /// A port and an HTTP path to request.
    HttpTarget((u16, String)), "number", [":8080/health"], forms::http_target;
    /// `address:port` to listen on.
    ListenAddress((String, u16)), "text", ["0.0.0.0:50051"], forms::listen_address;
    /// A time; a bare number is microseconds.
    Micros(Duration), "number", [1000000, "100ms"], |text| Ok(parse_duration(text, Duration::from_micros(1))?);
    /// A time with its unit.
    Timespan(Duration), "text", ["100ms", "5s", "1h"], forms::timespan;
    /// An instant with its offset from UTC.
    Instant(Timestamp), "text", ["2026-03-01T06:00:00+01:00", "2026-03-01T05:00:00Z"], forms::instant;
    /// The address of a task server: `host:port`, `tls://host:port` or `unix:/path`.
    TaskAddressText(TaskAddress), "text", ["task1:50051", "tls://task1:50051", "unix:/run/task1.sock"], forms::task_address;
    /// A service of a deployment, with a port of its container if it publishes several ports.
    ServicePath((ServiceRef, Option<u16>)), "text", ["grpc/task1", "grpc/task1:50051"], forms::service_path;
    /// The address of a registry: host and port.
    RegistryAddress(String), "text", ["registry.example.org"], forms::registry;
}
