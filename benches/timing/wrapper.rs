//! When a task begins at a task server that is not ours: the C++ gRPC server of `wrapper.cpp`, a synchronous one without
//! real-time settings, as the existing task servers are.

use crate::figures::{Times, note, verdict};
use crate::lateness::schedule;
use crate::process::Process;
use crate::rig::{listens, run as run_schedule};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const SERVER: &str = "127.0.0.1:50951";
const ORCHESTRATOR: &str = "127.0.0.1:50950";
const ROUNDS: usize = 3;

pub fn run() {
    let folder = tempfile::tempdir().unwrap();
    let Some(wrapper) = built(folder.path()) else {
        note("skipped", "no C++ gRPC here: install g++ pkg-config libgrpc++-dev protobuf-compiler-grpc");
        return;
    };
    let child = Command::new(wrapper).args([SERVER, ORCHESTRATOR]).stdout(Stdio::null()).spawn().unwrap();
    let _wrapper = Process(child);
    listens(|| std::net::TcpStream::connect(SERVER).is_ok());
    let mut p99 = Vec::new();
    for _ in 0..ROUNDS {
        let ran = run_schedule(folder.path(), &schedule(SERVER), &["--listen", ORCHESTRATOR]);
        let mut late = Times::default();
        for row in &ran.rows {
            let began: i128 = row.output["at_ns"].as_i64().unwrap().into();
            let due = ran.start + i128::from(row.released);
            late.add(Duration::from_nanos(u64::try_from(began - due).expect("no task begins early")));
        }
        note("true start at a C++ gRPC server", &late.micros());
        p99.push(late.quantile(0.99).as_secs_f64() * 1e3);
    }
    p99.sort_by(f64::total_cmp);
    let median = p99[p99.len() / 2];
    verdict("true start at an existing task server, p99", &format!("{median:.3} ms"), "<= 1 ms", median <= 1.0);
}

/// Builds the server; `None` when something that it needs is missing.
fn built(folder: &Path) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = here.join("tests/integration/interop");
    let plugin = found("grpc_cpp_plugin")?;
    let done = |command: &mut Command| command.status().ok().filter(std::process::ExitStatus::success);
    done(
        Command::new("protoc")
            .arg(format!("--cpp_out={}", folder.display()))
            .arg(format!("--grpc_out={}", folder.display()))
            .arg(format!("--plugin=protoc-gen-grpc={}", plugin.display()))
            .arg("-I")
            .arg(&proto)
            .arg("json_form.proto"),
    )?;
    let flags = Command::new("pkg-config").args(["--cflags", "--libs", "grpc++", "protobuf"]).output().ok()?;
    let flags = String::from_utf8(flags.stdout).ok()?;
    let wrapper = folder.join("wrapper");
    done(
        Command::new("g++")
            .args(["-O2", "-std=c++17", "-I"])
            .arg(folder)
            .arg(here.join("benches/timing/wrapper.cpp"))
            .arg(folder.join("json_form.pb.cc"))
            .arg(folder.join("json_form.grpc.pb.cc"))
            .args(flags.split_whitespace())
            .arg("-o")
            .arg(&wrapper),
    )?;
    Some(wrapper)
}

fn found(name: &str) -> Option<PathBuf> {
    let out = Command::new("sh").args(["-c", &format!("command -v {name}")]).output().ok()?;
    let path = String::from_utf8(out.stdout).ok()?;
    Some(PathBuf::from(path.trim())).filter(|path| path.exists())
}
