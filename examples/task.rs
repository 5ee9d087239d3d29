//! A task server with a Rust function, which listens on the given address: `task 127.0.0.1 50051`.

use serde_json::json;
use setpoint::model::TaskAddress;
use setpoint::task::{Registry, Runner, RunnerError, RunnerSettings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), RunnerError> {
    let mut arguments = std::env::args().skip(1);
    let host = arguments.next().unwrap_or_else(|| "127.0.0.1".to_owned());
    let port = arguments.next().and_then(|port| port.parse().ok()).unwrap_or(50051);
    let registry = Registry::new().function("double", |task| {
        let number: i64 = task.parameter("number")?.ok_or("`number` is missing")?;
        Ok(json!({"doubled": 2 * number}))
    });
    Runner::new(RunnerSettings::new(TaskAddress::Tcp(host, port)), registry).serve().await
}
