//! The output of containers, line by line.

use super::Docker;
use crate::engine::{EngineError, LogLine, LogOptions, LogStream};
use crate::model::ContainerId;
use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use bytes::BytesMut;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::collections::VecDeque;

impl Docker {
    /// The log of a container. Ends with the container, or at the last line when nothing is followed.
    pub fn logs(
        &self,
        container: &ContainerId,
        options: &LogOptions,
    ) -> BoxStream<'static, Result<LogLine, EngineError>> {
        let since = options.since.map_or(0, |at| i32::try_from(at.as_second()).unwrap_or(i32::MAX));
        let request = LogsOptions {
            follow: options.follow,
            stdout: true,
            stderr: true,
            since,
            timestamps: options.timestamps,
            tail: options.tail.map_or_else(|| "all".to_owned(), |count| count.to_string()),
            ..Default::default()
        };
        let name = container.short().to_owned();
        let chunks = self.api.logs(container.as_str(), Some(request)).boxed();
        let lines = Lines {
            chunks: Some(chunks),
            partial: Default::default(),
            ready: VecDeque::new(),
            stamped: options.timestamps,
        };
        stream::unfold(lines, move |mut lines| {
            let name = name.clone();
            async move {
                let next = lines.next().await?;
                Some((next.map_err(|source| EngineError::ReadLog { name, source: source.into() }), lines))
            }
        })
        .boxed()
    }
}

/// A line that has no end by then is handed out in parts of this size.
const LINE_LIMIT: usize = 1 << 20;

type Chunks = BoxStream<'static, Result<LogOutput, bollard::errors::Error>>;

/// Puts lines together: the engine cuts long ones, and a terminal's output anywhere.
struct Lines {
    chunks: Option<Chunks>,
    partial: [BytesMut; 2],
    ready: VecDeque<LogLine>,
    stamped: bool,
}

impl Lines {
    async fn next(&mut self) -> Option<Result<LogLine, bollard::errors::Error>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            match self.chunks.as_mut()?.next().await {
                Some(Ok(LogOutput::StdErr { message })) => self.take(LogStream::Stderr, &message),
                Some(Ok(
                    LogOutput::StdOut { message } | LogOutput::Console { message } | LogOutput::StdIn { message },
                )) => {
                    self.take(LogStream::Stdout, &message);
                }
                Some(Err(error)) => {
                    self.chunks = None;
                    return Some(Err(error));
                }
                None => {
                    self.chunks = None;
                    self.rest();
                    if self.ready.is_empty() {
                        return None;
                    }
                }
            }
            if self.chunks.is_none() && self.ready.is_empty() {
                return None;
            }
        }
    }

    fn take(&mut self, stream: LogStream, bytes: &[u8]) {
        let partial = &mut self.partial[stream as usize];
        // Only what is new can hold an end: the rest was searched before.
        let mut searched = partial.len();
        partial.extend_from_slice(bytes);
        while let Some(end) = partial.get(searched..).and_then(|new| new.iter().position(|byte| *byte == b'\n')) {
            let line = partial.split_to(searched + end + 1);
            self.ready.push_back(self::line(stream, &line, self.stamped));
            searched = 0;
        }
        while partial.len() >= LINE_LIMIT {
            let part = partial.split_to(LINE_LIMIT);
            self.ready.push_back(self::line(stream, &part, self.stamped));
        }
    }

    fn rest(&mut self) {
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let partial = self.partial[stream as usize].split();
            if !partial.is_empty() {
                self.ready.push_back(line(stream, &partial, self.stamped));
            }
        }
    }
}

fn line(stream: LogStream, bytes: &[u8], stamped: bool) -> LogLine {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\n', '\r']);
    if stamped
        && let Some((at, rest)) = text.split_once(' ')
        && let Ok(at) = at.parse()
    {
        return LogLine { stream, at: Some(at), text: rest.to_owned() };
    }
    LogLine { stream, at: None, text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Lines {
        Lines { chunks: None, partial: Default::default(), ready: VecDeque::new(), stamped: false }
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let mut lines = lines();
        let chunk = vec![b'x'; 16 << 10];
        for _ in 0..1000 {
            lines.take(LogStream::Stdout, &chunk);
            assert!(lines.partial[0].len() < LINE_LIMIT);
        }
        assert_eq!(lines.ready.len(), (1000 * chunk.len()) / LINE_LIMIT);
        assert!(lines.ready.iter().all(|line| line.text.len() == LINE_LIMIT));
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let text = b"one\n\ntwo three\nfour";
        for size in 1..text.len() {
            let mut lines = lines();
            for chunk in text.chunks(size) {
                lines.take(LogStream::Stderr, chunk);
            }
            lines.rest();
            let texts: Vec<&str> = lines.ready.iter().map(|line| line.text.as_str()).collect();
            assert_eq!(texts, ["one", "", "two three", "four"], "in chunks of {size}");
        }
    }
}
