//! The built-in functions.
//!
//! | name | parameters | output |
//! | --- | --- | --- |
//! | `sleep` | one of `us`, `ms`, `seconds` | `slept_us` |
//! | `busy` | one of `us`, `ms` | `busy_us`, `rounds` |
//! | `sha256`, `md5` | one of `text`, `bytes_base64`, `size` (bytes that are made up) | `digest` in hex, `size` |
//! | `echo` | any | its parameters |

use super::context::TaskContext;
use super::error::TaskError;
use super::registry::Registry;
use crate::rt::Monotonic;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::Duration;

/// Bytes between two checks whether to stop: well below a millisecond of hashing.
const CHUNK: usize = 64 * 1024;

impl Registry {
    /// The built-in functions: `sleep`, `busy`, `sha256`, `md5`, `echo`.
    pub fn builtin() -> Self {
        Self::new()
            .function("sleep", sleep)
            .function("busy", busy)
            .function("sha256", hash::<Sha256>)
            .function("md5", hash::<Md5>)
            .function("echo", |task| Ok(Value::Object(task.take_parameters())))
    }
}

fn sleep(task: &mut TaskContext<'_>) -> Result<Value, TaskError> {
    let (begin, time) = (Monotonic::now(), time(task, &["us", "ms", "seconds"])?);
    task.wait(time)?;
    Ok(json!({"slept_us": micros(Monotonic::now().since(begin))}))
}

fn busy(task: &mut TaskContext<'_>) -> Result<Value, TaskError> {
    let (begin, time) = (Monotonic::now(), time(task, &["us", "ms"])?);
    let (end, mut rounds) = (begin + time, 0u64);
    while Monotonic::now() < end {
        if task.cancelled() {
            return Err(TaskError::Cancelled);
        }
        rounds += 1;
    }
    Ok(json!({"busy_us": micros(Monotonic::now().since(begin)), "rounds": rounds}))
}

fn hash<D: Digest>(task: &mut TaskContext<'_>) -> Result<Value, TaskError> {
    let mut state = D::new();
    let size = match one(task, &["text", "bytes_base64", "size"])? {
        ("size", _) => {
            let size: u64 = task.parameter("size")?.unwrap_or_default();
            let pattern: Vec<u8> = (0..=u8::MAX).cycle().take(CHUNK).collect();
            let mut left = size;
            while left > 0 {
                if task.cancelled() {
                    return Err(TaskError::Cancelled);
                }
                let chunk = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
                state.update(&pattern[..chunk]);
                left -= chunk as u64;
            }
            size
        }
        (name, value) => {
            let text = value.as_str().ok_or_else(|| TaskError::parameter(name, "it is not a text"))?;
            let bytes = match name {
                "text" => text.as_bytes().to_vec(),
                _ => STANDARD.decode(text).map_err(|fault| TaskError::parameter(name, fault))?,
            };
            state.update(&bytes);
            bytes.len() as u64
        }
    };
    Ok(json!({"digest": hex(&state.finalize()), "size": size}))
}

/// The one of these parameters that is given.
fn one<'a>(task: &'a TaskContext<'_>, names: &[&'static str]) -> Result<(&'static str, &'a Value), TaskError> {
    let given = names.iter().filter_map(|name| Some((*name, task.parameters().get(*name)?)));
    match given.collect::<Vec<_>>()[..] {
        [only] => Ok(only),
        _ => Err(TaskError::Failed(format!("exactly one of the parameters {} is needed", names.join(", ")))),
    }
}

/// A time, in the unit that its parameter is named by.
fn time(task: &TaskContext<'_>, names: &[&'static str]) -> Result<Duration, TaskError> {
    let (name, _) = one(task, names)?;
    let number: f64 = task.parameter(name)?.unwrap_or_default();
    let unit = match name {
        "us" => 1e-6,
        "ms" => 1e-3,
        _ => 1.0,
    };
    Duration::try_from_secs_f64(number * unit).map_err(|fault| TaskError::parameter(name, fault))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
