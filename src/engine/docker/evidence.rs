//! Collects the evidence of a failed container: its log and the output of its check.

use super::Docker;
use crate::engine::LogOptions;
use crate::model::{ContainerId, HealthReport};
use futures_util::StreamExt;
use std::time::Duration;

/// Lines of the log that are kept.
const LINES: u32 = 20;
/// Time limit for reading them: a log driver that hangs must not delay the roll-back.
const PATIENCE: Duration = Duration::from_secs(5);
/// A line or a check's output is cut here, in characters.
const WIDTH: usize = 2000;

impl Docker {
    /// The verdict with the last log lines and the last output of the health check. Never fails: if something cannot be read, the
    /// report says so.
    pub(super) async fn report(&self, container: &ContainerId, verdict: String) -> HealthReport {
        let (log, check) = tokio::join!(self.last_lines(container), self.last_check(container));
        HealthReport { verdict, log, check }
    }

    async fn last_lines(&self, container: &ContainerId) -> Vec<String> {
        let options = LogOptions { tail: Some(LINES), ..Default::default() };
        let mut stream = self.logs(container, &options);
        let mut lines = Vec::new();
        let read = async {
            while let Some(line) = stream.next().await {
                lines.push(line.map_or_else(|error| format!("({error})"), |line| cut(&line.text)));
            }
        };
        if tokio::time::timeout(PATIENCE, read).await.is_err() {
            lines.push("(the log driver does not answer)".to_owned());
        }
        lines
    }

    async fn last_check(&self, container: &ContainerId) -> Option<String> {
        let inspect = self.inspect(container.as_str()).await.ok()?;
        let last = inspect.state?.health?.log?.pop()?;
        let output = last.output.unwrap_or_default();
        Some(cut(output.trim())).filter(|text| !text.is_empty())
    }
}

fn cut(text: &str) -> String {
    text.chars().take(WIDTH).collect()
}
