//! Functions: the built-in ones, refusals, stops, panics, figures.

use super::*;
use crate::wire::{TaskState, TaskStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[tokio::test]
async fn the_built_in_functions_do_what_they_say() {
    let mut runs = Runs::one("echo").await;
    let notice = runs.run(json!({"a": [1, {"b": null}]})).await;
    assert_eq!((notice.result, notice.error_message.as_str()), (TaskResult::Success, ""));
    assert_eq!(output(&notice), json!({"a": [1, {"b": null}], "task_id": "t"}));

    let mut runs = Runs::one("sleep").await;
    for (parameters, least) in
        [(json!({"us": 700}), 700), (json!({"ms": 20}), 20_000), (json!({"seconds": 0.01}), 10_000)]
    {
        let notice = runs.run(parameters).await;
        assert!(output(&notice)["slept_us"].as_u64().unwrap() >= least, "{notice:?}");
        assert!(notice.duration.unwrap() >= Duration::from_micros(least));
    }
    let notice = runs.run(json!({"ms": 1, "us": 1})).await;
    let message = "exactly one of the parameters us, ms, seconds is needed";
    assert_eq!((notice.result, notice.error_message.as_str()), (TaskResult::Failure, message));
    assert!(runs.run(json!({"ms": -1})).await.error_message.starts_with("parameter `ms`: "));

    let mut runs = Runs::one("busy").await;
    let metrics = runs.run(json!({"ms": 60})).await.metrics(TaskProtocol::Json, LIMIT).unwrap().unwrap();
    let cpu = metrics["cpu_user_us"].as_u64().unwrap() + metrics["cpu_system_us"].as_u64().unwrap();
    assert!((1..=120_000).contains(&cpu), "{metrics}");
    assert!(metrics["memory_peak_bytes"].as_u64().unwrap() > 1_000_000, "{metrics}");
}

#[tokio::test]
async fn digests_are_those_of_other_programs() {
    // `printf abc | sha256sum` and so on; the last is 100000 bytes that count up from 0 to 255 again and again.
    let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let md5 = "900150983cd24fb0d6963f7d28e17f72";
    for (name, digest) in [("sha256", sha), ("md5", md5)] {
        let mut runs = Runs::one(name).await;
        for parameters in [json!({"text": "abc"}), json!({"bytes_base64": "YWJj"})] {
            assert_eq!(output(&runs.run(parameters).await), json!({"digest": digest, "size": 3}));
        }
        assert!(runs.run(json!({"bytes_base64": "?"})).await.error_message.starts_with("parameter `bytes_base64`: "));
    }
    let mut runs = Runs::one("md5").await;
    let made_up: Vec<u8> = (0..100_000u32).map(|at| (at % 256) as u8).collect();
    let expected = output(&runs.run(json!({"text": ""})).await)["digest"].clone();
    assert_eq!(expected, "d41d8cd98f00b204e9800998ecf8427e");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &made_up).unwrap();
    let told = std::process::Command::new("md5sum").arg(file.path()).output().unwrap().stdout;
    let digest = String::from_utf8(told).unwrap()[..32].to_owned();
    assert_eq!(output(&runs.run(json!({"size": 100_000})).await), json!({"digest": digest, "size": 100_000}));
}

#[tokio::test]
async fn a_start_outside_idle_is_refused_and_the_same_start_again_is_not_run_twice() {
    let mut runs = Runs::one("sleep").await;
    let first = start("t1", json!({"ms": 150}));
    let prepared = PreparedStart::new(&first, TaskProtocol::Json);
    let ack = runs.channel.start(&prepared, BOUND).await.unwrap();
    assert_eq!(runs.channel.status(&any("t1"), BOUND).await.unwrap().state, TaskState::Running);
    assert_eq!(refused(runs.start("t2", json!({"ms": 1})).await), "not in IDLE: running `t1`");
    assert_eq!(runs.channel.start(&prepared, BOUND).await.unwrap().started, ack.started, "while it runs");
    let notice = runs.end().await;
    let told = (notice.task_id.as_str(), notice.run_id.as_str(), notice.occurrence, notice.attempt);
    assert_eq!(told, ("t1", "run", 7, first.key.attempt), "the end is that of the request, not of the kind of work");
    assert_eq!(notice.start.map(|start| start.as_micros()), ack.started.map(|start| start.as_micros()));
    assert_eq!(runs.channel.start(&prepared, BOUND).await.unwrap().started, ack.started, "when it is over");
    runs.start("t2", json!({"ms": 1})).await.unwrap();
    assert_eq!(runs.end().await.task_id, "t2", "it was idle again, and nothing ran twice");
    for (task, state) in [("t1", TaskState::Completed), ("sleep", TaskState::Idle), ("x", TaskState::Unknown)] {
        assert_eq!(runs.channel.status(&any(task), BOUND).await.unwrap().state, state, "{task}");
    }
}

#[tokio::test]
async fn a_sleeping_function_stops_at_once() {
    let mut runs = Runs::one("sleep").await;
    runs.start("t", json!({"seconds": 60})).await.unwrap();
    let begin = tokio::time::Instant::now();
    let stopped = runs.channel.stop(&any("t"), Duration::from_secs(5), BOUND).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2) && stopped.at.is_some(), "{:?}", begin.elapsed());
    assert_eq!(runs.end().await.result, TaskResult::Cancelled);
    assert_eq!(runs.channel.status(&any("t"), BOUND).await.unwrap().state, TaskState::Stopped);
    let again = runs.channel.stop(&any("t"), Duration::ZERO, BOUND).await.unwrap();
    assert_eq!(again.message, "it had ended");
    let unknown = runs.channel.stop(&any("x"), Duration::ZERO, BOUND).await;
    assert!(matches!(unknown, Err(CallError::Refused { .. })), "{unknown:?}");
    // The server goes on: stopping a task stops nothing else.
    assert_eq!(runs.run(json!({"ms": 1})).await.result, TaskResult::Success);
}

#[tokio::test]
async fn a_function_that_does_not_listen_bounds_the_answer_and_its_end_is_told() {
    let enough = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&enough);
    let registry = Registry::new().function("deaf", move |_| {
        while !seen.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        Ok(json!("done"))
    });
    let mut runs = Runs::new(registry, |_| {}).await;
    runs.start("t", json!({})).await.unwrap();
    let begin = tokio::time::Instant::now();
    let answer = runs.channel.stop(&any("t"), Duration::from_millis(100), BOUND).await;
    assert!((100..2_000).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
    assert!(matches!(&answer, Err(CallError::Refused { message, .. }) if message.contains("still runs")), "{answer:?}");
    assert!(refused(runs.start("t2", json!({})).await).starts_with("not in IDLE"), "it does still run");
    enough.store(true, Ordering::Relaxed);
    let notice = runs.end().await;
    assert_eq!((notice.result, output(&notice)), (TaskResult::Cancelled, json!("done")));
    runs.close().await;
}

#[tokio::test]
async fn a_panic_is_a_failure_with_its_message_and_the_runner_goes_on() {
    let registry = Registry::new().function("f", |task| match task.parameter::<String>("say")? {
        Some(text) => panic!("wheel {text}"),
        None => Ok(Value::Null),
    });
    let mut runs = Runs::new(registry, |_| {}).await;
    let notice = runs.run(json!({"say": "fell off"})).await;
    let told = (notice.result, notice.error_message.as_str());
    assert_eq!(told, (TaskResult::Failure, "it panicked: wheel fell off"));
    assert_eq!(runs.channel.status(&any("t"), BOUND).await.unwrap().state, TaskState::Failed);
    let notice = runs.run(json!({})).await;
    assert_eq!((notice.result, output(&notice)), (TaskResult::Success, Value::Null));
}

#[tokio::test]
async fn an_output_beyond_the_limit_fails_the_task() {
    let mut runs = Runs::new(Registry::builtin(), |settings| {
        settings.names = vec!["echo".to_owned()];
        settings.max_output = 50;
    })
    .await;
    let notice = runs.run(json!({"text": "x".repeat(50)})).await;
    assert_eq!(notice.error_message, "its output of 75 bytes is more than the limit of 50");
    assert_eq!((notice.result, output(&notice)), (TaskResult::Failure, Value::Null));
}

#[tokio::test]
async fn two_kinds_are_told_apart_and_two_tasks_run_at_once() {
    let mut runs = Runs::new(Registry::builtin(), |settings| {
        settings.names = vec!["sleep".to_owned(), "echo".to_owned()];
        settings.parallel = std::num::NonZeroUsize::new(2).unwrap();
    })
    .await;
    runs.start("sleep", json!({"ms": 200})).await.unwrap();
    runs.start("t2", json!({"ms": 200, "task_type": "sleep"})).await.unwrap();
    assert_eq!(refused(runs.start("echo", json!({})).await), "not in IDLE: running `sleep`, `t2`");
    let (one, two) = (runs.end().await, runs.end().await);
    let [first, second] = [&one, &two].map(|notice| (notice.start.unwrap(), notice.end.unwrap()));
    assert!(first.0 < second.1 && second.0 < first.1, "they ran at once: {first:?} {second:?}");
    runs.start("echo", json!({"n": 1})).await.unwrap();
    assert_eq!(output(&runs.end().await), json!({"n": 1, "task_id": "echo"}));
    assert!(refused(runs.start("busy", json!({})).await).contains("is one of echo, sleep"));
}

/// CPU time that a status tells.
pub(super) fn cpu(status: &TaskStatus) -> Duration {
    status.elapsed.unwrap_or_default().mul_f64(status.cpu_percent / 100.0)
}

#[tokio::test]
async fn the_figures_of_a_busy_function_are_its_own() {
    // It works for a known CPU time, however much of the machine others have, and then waits.
    let registry = Registry::new().function("work", |task| {
        let before = usage::of_this_thread();
        let used = || {
            let used = usage::of_this_thread().since(before);
            used.user + used.system
        };
        while used() < Duration::from_millis(task.parameter("ms")?.unwrap_or_default()) {
            std::hint::black_box(0);
        }
        task.wait(Duration::from_secs(60))?;
        Ok(Value::Null)
    });
    let mut runs = Runs::new(registry, |_| {}).await;
    for ms in [300, 0] {
        runs.start("t", json!({"ms": ms})).await.unwrap();
        let mut status = runs.channel.status(&any("t"), BOUND).await.unwrap();
        while cpu(&status) < Duration::from_millis(ms.max(30) - 30) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            status = runs.channel.status(&any("t"), BOUND).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        status = runs.channel.status(&any("t"), BOUND).await.unwrap();
        assert_eq!(status.state, TaskState::Running);
        // Told in steps of 10 ms, and before as well as now.
        let right = Duration::from_millis(ms.max(30) - 30)..Duration::from_millis(ms + 30);
        assert!(right.contains(&cpu(&status)), "{ms} ms: {status:?}");
        assert!(status.memory_bytes > 1_000_000, "{status:?}");
        eprintln!("{ms} ms of work: {:.1} % CPU, {} KiB", status.cpu_percent, status.memory_bytes / 1024);
        runs.channel.stop(&any("t"), Duration::ZERO, BOUND).await.unwrap();
        runs.end().await;
    }
}

#[tokio::test]
async fn a_task_that_runs_too_long_times_out() {
    let limited = |settings: &mut RunnerSettings| {
        settings.names = vec!["sleep".to_owned()];
        settings.time_limit = Some(Duration::from_millis(50));
    };
    let mut runs = Runs::new(Registry::builtin(), limited).await;
    let notice = runs.run(json!({"seconds": 60})).await;
    let told = (notice.result, notice.error_message.as_str());
    assert_eq!(told, (TaskResult::Timeout, "it ran for longer than a task may"));
    assert_eq!(runs.run(json!({"ms": 1})).await.result, TaskResult::Success);
}

#[tokio::test]
async fn a_strict_runner_refuses_what_it_cannot_have_and_another_tells_it() {
    let nowhere = |strict| async move {
        let mut runs = Runs::new(Registry::builtin(), |settings| {
            settings.names = vec!["echo".to_owned()];
            settings.strict = strict;
        })
        .await;
        let mut start = start("t", json!({}));
        start.real_time.cpu = Some(100_000);
        let answer = runs.channel.start(&PreparedStart::new(&start, TaskProtocol::Json), BOUND).await;
        if strict {
            let why = refused(answer);
            assert!(why.starts_with("cpu 100000 was not applied"), "{why}");
        } else {
            let metrics = runs.end().await.metrics(TaskProtocol::Json, LIMIT).unwrap().unwrap();
            assert!(metrics["not_applied"][0].as_str().unwrap().starts_with("cpu 100000"), "{metrics}");
        }
        // The next one, which asks for nothing, has it all again.
        let metrics = runs.run(json!({})).await.metrics(TaskProtocol::Json, LIMIT).unwrap().unwrap();
        assert_eq!(metrics.get("not_applied"), None, "{metrics}");
    };
    nowhere(true).await;
    nowhere(false).await;
}

#[tokio::test]
async fn settings_of_one_task_do_not_stay_for_the_next() {
    let registry = Registry::new().function("cpus", |_| {
        let in_force = crate::rt::current().map_err(TaskError::failed)?;
        Ok(json!({"cpus": in_force.cpus, "policy": in_force.policy.name()}))
    });
    let mut runs = Runs::new(registry, |_| {}).await;
    let before = output(&runs.run(json!({})).await);
    let mut bound = start("t", json!({}));
    bound.real_time = RealTime { policy: RtPolicy::Fifo { priority: 5 }, cpu: Some(0) };
    runs.channel.start(&PreparedStart::new(&bound, TaskProtocol::Json), BOUND).await.unwrap();
    let notice = runs.end().await;
    assert_eq!(output(&notice)["cpus"], json!([0]));
    if notice.metrics(TaskProtocol::Json, LIMIT).unwrap().unwrap().get("not_applied").is_none() {
        assert_eq!(output(&notice)["policy"], "fifo");
    } else {
        eprintln!("skipped: no right to a real-time policy");
    }
    // One of the two workers still has them; this goes to the other, and then both are asked.
    for _ in 0..2 {
        assert_eq!(output(&runs.run(json!({})).await), before);
    }
}

#[tokio::test]
async fn a_name_that_is_not_registered_is_no_runner() {
    let mut settings = RunnerSettings::new(anywhere());
    settings.names = vec!["nothing".to_owned()];
    let error = Runner::new(settings, Registry::builtin()).bind().await.unwrap_err();
    let message = "there is no kind of task `nothing`; there are busy, echo, md5, sha256, sleep";
    assert_eq!(error.to_string(), message);
}

#[tokio::test]
async fn an_ending_runner_stops_its_tasks_and_tells_their_ends() {
    let mut runs = Runs::one("sleep").await;
    runs.start("t", json!({"seconds": 60})).await.unwrap();
    runs.close().await;
    assert_eq!(runs.end().await.result, TaskResult::Cancelled);
}
