//! Logs: `tracing` to stderr, as text or as JSON lines. Standard output belongs to data.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not valid.
    #[error("log level `{filter}` is not valid; write a level (error, warn, info, debug, trace) or target=level pairs")]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something in this process set up logs before.
    #[error("logs are already set up in this process")]
    AlreadySet,
}

/// Sends logs that pass `filter` (a level, or `target=level` pairs joined by commas) to stderr.
///
/// # Errors
/// When the filter is not valid or logs are already set up.
pub fn init(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let levels = parse(filter)?;
    let builder = tracing_subscriber::fmt().with_env_filter(levels).with_writer(std::io::stderr);
    let result = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
    };
    result.map_err(|_| TelemetryError::AlreadySet)
}

/// A lone word must be a level: `EnvFilter` would take `inof` for a target and then log everything of it and nothing else.
fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    let word = filter.trim();
    let known = ["off", "error", "warn", "info", "debug", "trace"];
    let checked = if word.contains('=') || known.contains(&word.to_ascii_lowercase().as_str()) { word } else { "=" };
    let levels = EnvFilter::builder().parse(checked);
    let levels = levels.map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
    QUIET.iter().try_fold(levels, |levels, quiet| {
        let quiet = quiet.parse().map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
        Ok(levels.add_directive(quiet))
    })
}

/// What is never logged at lower levels: bollard logs whole requests there, with the secrets of environments and logins in
/// them; the others log each connection, among which nothing else could be found.
const QUIET: [&str; 5] = ["bollard=info", "hyper=info", "hyper_util=info", "h2=info", "rustls=info"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked() {
        assert!(parse("info").is_ok());
        for loud in ["trace", "bollard=trace"] {
            let filter = parse(loud).map(|filter| filter.to_string()).unwrap_or_default();
            assert!(filter.contains("bollard=info") && !filter.contains("bollard=trace"), "{filter}");
            assert!(filter.contains("hyper_util=info"), "{filter}");
        }
        assert!(parse("setpoint::daemon=debug,info").is_ok());
        let error = parse("inof").unwrap_err();
        assert!(error.to_string().contains("`inof`"), "{error}");
        assert!(parse("setpoint=verbose").is_err());
    }
}
