//! SIGINT and SIGTERM: the first asks everything to end in order, the second ends the process immediately.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals that end the process, already caught: from [`Signals::catch`] on, none of them kills it by itself.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Catches both. Needs a running tokio runtime.
    ///
    /// # Errors
    /// When the kernel refuses the handler.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the first signal, cancels `stop`, and ends the process at the second.
    pub async fn drive(self, stop: CancellationToken) -> std::convert::Infallible {
        let say = |name| tracing::info!(signal = name, "stopping; a second signal ends the process immediately");
        self.drive_with(stop, say).await
    }

    /// The same; `say` is given the name of the first signal and says what follows from it.
    pub async fn drive_with(
        mut self,
        stop: CancellationToken,
        say: impl FnOnce(&'static str),
    ) -> std::convert::Infallible {
        let name = self.next().await.0;
        say(name);
        stop.cancel();
        let (name, code) = self.next().await;
        tracing::warn!(signal = name, "ended by a second signal");
        exit(code);
    }

    /// The next signal: its name and the exit code that shells give it.
    async fn next(&mut self) -> (&'static str, i32) {
        // Both arms are cancel-safe: a signal that came stays in its stream.
        tokio::select! {
            _ = self.interrupt.recv() => ("SIGINT", 130),
            _ = self.terminate.recv() => ("SIGTERM", 143),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "asked twice: no destructor may delay the end")]
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_signal_cancels() {
        let signals = Signals::catch().unwrap();
        let stop = CancellationToken::new();
        let waiting = stop.clone();
        // Both in one task: no second signal comes, so `drive` itself never returns.
        tokio::select! {
            never = signals.drive(stop) => match never {},
            () = async {
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
                waiting.cancelled().await;
            } => {}
        }
    }
}
