//! Progress of pulls and pushes as lines for people.

use crate::engine::News;
use bollard::models::ProgressDetail;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Minimum time between two lines of one layer that differ only in numbers.
const EVERY: Duration = Duration::from_millis(500);

/// Converts status messages to lines, at a rate that can be read.
pub(super) struct Progress<'a> {
    news: &'a mpsc::Sender<News>,
    layers: HashMap<String, (String, Instant)>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(news: &'a mpsc::Sender<News>) -> Self {
        Self { news, layers: HashMap::new() }
    }

    pub(super) fn tell(&mut self, layer: Option<&str>, status: Option<&str>, detail: Option<&ProgressDetail>) {
        let Some(status) = status.map(str::trim).filter(|status| !status.is_empty()) else { return };
        let layer = layer.unwrap_or_default();
        let is_news = self.layers.get(layer).is_none_or(|(last, at)| last != status || at.elapsed() >= EVERY);
        if !is_news {
            return;
        }
        self.layers.insert(layer.to_owned(), (status.to_owned(), Instant::now()));
        let mut line = if layer.is_empty() { status.to_owned() } else { format!("{layer}: {status}") };
        let part = detail.and_then(|detail| detail.current.zip(detail.total)).filter(|(_, total)| *total > 0);
        if let Some((current, total)) = part {
            line.push_str(&format!(" {} %", current.saturating_mul(100) / total));
        }
        let _ = self.news.try_send(News::Line(line));
    }
}
