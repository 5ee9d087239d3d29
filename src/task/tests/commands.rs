//! Programs: what they are told, what comes of them, and that nothing of them stays.

use super::*;
use std::path::Path;
use std::process::Command;

fn gone(pid: &str) -> bool {
    !Path::new("/proc").join(pid.trim()).exists()
        || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| stat.contains(") Z"))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[tokio::test]
async fn a_program_gets_its_parameters_and_gives_an_output() {
    let script = r#"input=$(cat)
        printf '{"input": %s, "same": %s, "id": "%s", "n": "%s", "run": "%s", "arg": "%s"}\n' \
        "$input" "$TASK_PARAMETERS" "$TASK_ID" "$TASK_PARAM_MY_N" "$RUN_ID/$OCCURRENCE" "$1"; echo noise >&2"#;
    let mut runs = Runs::command(&["sh", "-c", script, "sh", "{{my-n}} $(id)"]).await;
    let notice = runs.run(json!({"my-n": 5, "o": {"a": "b c"}})).await;
    assert_eq!((notice.result, notice.error_message.as_str()), (TaskResult::Success, ""));
    let parameters = json!({"my-n": 5, "o": {"a": "b c"}, "task_id": "t"});
    let expected =
        json!({"input": parameters, "same": parameters, "id": "t", "n": "5", "run": "run/7", "arg": "5 $(id)"});
    assert_eq!(output(&notice), expected);
}

#[tokio::test]
async fn a_text_is_an_output_like_another() {
    let mut runs = Runs::command(&["echo", "hello"]).await;
    let notice = runs.run(json!({})).await;
    assert_eq!((notice.result, output(&notice)), (TaskResult::Success, json!("hello")));
}

#[tokio::test]
async fn a_program_finds_nothing_of_the_runners_own_environment_but_what_is_documented() {
    // `env` itself, so that no shell adds anything.
    let mut runs = Runs::command(&["env"]).await;
    let notice = runs.run(json!({"a": 1})).await;
    let text = output(&notice).as_str().unwrap().to_owned();
    let names: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO")), "this process has more");
    for name in &names {
        let documented = ["PATH", "HOME", "LANG", "TZ", "RUN_ID", "OCCURRENCE", "ATTEMPT"].contains(name)
            || name.starts_with("SETPOINT_")
            || name.starts_with("TASK_");
        assert!(documented, "{name} leaked: {text}");
    }
    assert!(names.contains(&"PATH") && names.contains(&"SETPOINT_TASK") && names.contains(&"TASK_PARAM_A"), "{text}");
}

#[tokio::test]
async fn an_exit_code_or_a_signal_fails_the_task() {
    for (script, message) in
        [("echo broken >&2; echo '{}'; exit 3", "exit 3: broken"), ("kill -9 $$", "ended by signal 9 (SIGKILL)")]
    {
        let mut runs = Runs::command(&["sh", "-c", script]).await;
        let notice = runs.run(json!({})).await;
        let told = (notice.result, notice.error_message.as_str(), output(&notice));
        assert_eq!(told, (TaskResult::Failure, message, Value::Null));
    }
    let mut runs = Runs::command(&["/nonexistent/program"]).await;
    let notice = runs.run(json!({})).await;
    assert!(notice.error_message.starts_with("cannot start `/nonexistent/program`: No such file"), "{notice:?}");
    let mut runs = Runs::command(&["true"]).await;
    let notice = runs.run(json!({})).await;
    assert_eq!((notice.result, output(&notice)), (TaskResult::Success, Value::Null), "no output is none");
}

#[tokio::test]
async fn a_large_output_comes_whole_up_to_the_limit_and_not_beyond() {
    for (bytes, fits) in [(LIMIT - 3, true), (5 * LIMIT, false)] {
        let script = format!("printf '\"'; head -c {bytes} /dev/zero | tr '\\0' x; printf '\"'");
        let mut runs = Runs::command(&["sh", "-c", &script]).await;
        let notice = runs.run(json!({"large": "y".repeat(500_000)})).await;
        if fits {
            assert_eq!(output(&notice).as_str().map(str::len), Some(bytes), "{}", notice.error_message);
        } else {
            assert_eq!((notice.result, output(&notice)), (TaskResult::Success, Value::Null), "its exit code decides");
            let metrics = notice.metrics(TaskProtocol::Json, LIMIT).unwrap().unwrap();
            let told = metrics["not_applied"][0].as_str().unwrap().to_owned();
            let start = format!("its output of {} bytes is more than the limit of {LIMIT}", bytes + 2);
            assert!(told.starts_with(&start), "{told}");
        }
    }
}

#[tokio::test]
async fn a_stop_ends_a_program_and_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    // The program tells that it was asked; what it started does not listen.
    let script = "trap 'echo asked > asked; exit 0' TERM; (trap '' TERM; echo $BASHPID > child; sleep 60) & \
                  echo $$ > leader; for i in $(seq 1000); do sleep 0.02; done";
    let script = format!("cd {}; {script}", folder.path().display());
    let mut runs = Runs::command(&["bash", "-c", &script]).await;
    runs.start("t", json!({})).await.unwrap();
    eventually(|| !text(&file("child")).is_empty() && !text(&file("leader")).is_empty()).await;
    let stopped = runs.channel.stop(&any("t"), Duration::from_secs(5), BOUND).await.unwrap();
    assert!(stopped.at.is_some());
    assert_eq!(text(&file("asked")), "asked\n");
    assert_eq!(runs.end().await.result, TaskResult::Cancelled);
    assert!(!Path::new("/proc").join(text(&file("leader")).trim()).exists(), "not even a zombie");
    eventually(|| gone(&text(&file("child")))).await;
}

#[tokio::test]
async fn a_program_that_does_not_listen_is_killed_after_the_grace() {
    let mut runs = Runs::command(&["bash", "-c", "trap '' TERM; for i in $(seq 400); do sleep 0.05; done"]).await;
    runs.start("t", json!({})).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begin = tokio::time::Instant::now();
    runs.channel.stop(&any("t"), Duration::from_millis(300), BOUND).await.unwrap();
    assert!((300..5_000).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
    let notice = runs.end().await;
    assert_eq!((notice.result, notice.error_message.as_str()), (TaskResult::Cancelled, "ended by signal 9 (SIGKILL)"));
}

#[tokio::test]
async fn what_a_program_leaves_behind_ends_with_it() {
    let script = "sleep 60 & echo $!";
    let mut runs = Runs::command(&["sh", "-c", script]).await;
    let begin = tokio::time::Instant::now();
    let left = output(&runs.run(json!({})).await).to_string();
    assert!(begin.elapsed() < Duration::from_secs(5), "its end is not that of what holds its output open");
    eventually(|| gone(&left)).await;
}

#[tokio::test]
async fn the_end_of_the_runner_ends_its_programs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("trap '' TERM; echo $$ > {}; for i in $(seq 400); do sleep 0.05; done", file.display());
    let mut runs = Runs::command(&["sh", "-c", &script]).await;
    runs.start("t", json!({})).await.unwrap();
    eventually(|| !text(&file).is_empty()).await;
    runs.close().await;
    assert!(gone(&text(&file)));
    assert_eq!(runs.end().await.result, TaskResult::Cancelled);
}

#[tokio::test]
async fn the_figures_of_a_program_are_those_of_all_it_started() {
    let script = "timeout --foreground 20 sh -c 'while :; do :; done' & for i in $(seq 200); do sleep 0.1; done";
    let mut runs = Runs::command(&["sh", "-c", script]).await;
    runs.start("t", json!({})).await.unwrap();
    // The leader waits nearly all the time; that this comes at all is its child.
    let mut status = runs.channel.status(&any("t"), BOUND).await.unwrap();
    while functions::cpu(&status) < Duration::from_millis(300) {
        assert!(status.elapsed < Some(BOUND), "{status:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        status = runs.channel.status(&any("t"), BOUND).await.unwrap();
    }
    eprintln!("a program with a busy child: {:.1} % CPU, {} KiB", status.cpu_percent, status.memory_bytes / 1024);
    assert!(status.cpu_percent <= 210.0, "two processes: {status:?}");
    assert!(status.memory_bytes > 500_000, "{status:?}");
    runs.channel.stop(&any("t"), Duration::from_millis(300), BOUND).await.unwrap();
    runs.end().await;
}

#[tokio::test]
async fn a_program_has_the_policy_and_the_cpu_that_its_task_asks_for() {
    let able = Command::new("chrt").args(["-f", "1", "true"]).status().is_ok_and(|status| status.success());
    if !able {
        eprintln!("skipped: no chrt, or no right to a real-time policy");
        return;
    }
    // The policy comes right after the start.
    let script = r#"sleep 0.1; printf '["%s", "%s", %s]' "$(chrt -p $$ | grep -o SCHED_FIFO)" \
        "$(taskset -pc $$ | sed 's/.*: //')" "$(cat /proc/$$/timerslack_ns)""#;
    let mut runs = Runs::command(&["sh", "-c", script]).await;
    let mut start = start("t", json!({}));
    start.real_time = RealTime { policy: RtPolicy::Fifo { priority: 3 }, cpu: Some(0) };
    runs.channel.start(&PreparedStart::new(&start, TaskProtocol::Json), BOUND).await.unwrap();
    let notice = runs.end().await;
    let output = output(&notice);
    assert_eq!((&output[0], &output[1]), (&json!("SCHED_FIFO"), &json!("0")), "{notice:?}");
    // Newer kernels say 0 for a real-time thread; it is not the nanosecond of the worker.
    assert_ne!(output[2], json!(1), "{notice:?}");
}

#[tokio::test]
async fn a_reservation_is_the_programs_own_while_it_runs_and_nobodys_after_it() {
    let policy = RtPolicy::Deadline {
        runtime: Duration::from_millis(180),
        deadline: Duration::from_millis(200),
        period: Duration::from_millis(200),
    };
    let cpus = std::thread::available_parallelism().unwrap();
    let line = CommandLine::new(["sh", "-c", "sleep 0.2; chrt -p $$"]).unwrap();
    let mut runs = Runs::new(Registry::new().command("program", line), |settings| settings.parallel = cpus).await;
    // All together they are what the machine has to give in this way: reserved twice, or kept by a worker that waits, it
    // would be refused to the next.
    for _ in 0..2 {
        for task in 0..cpus.get() {
            let mut start = start(&format!("t{task}"), json!({}));
            (start.real_time, start.strict) = (RealTime { policy, cpu: None }, true);
            match runs.channel.start(&PreparedStart::new(&start, TaskProtocol::Json), BOUND).await {
                Ok(_) => {}
                Err(CallError::Refused { message, .. }) if message.contains("CAP_SYS_NICE") => {
                    eprintln!("skipped: {message}");
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        }
        for _ in 0..cpus.get() {
            let notice = runs.end().await;
            assert_eq!(notice.result, TaskResult::Success, "{notice:?}");
            assert!(output(&notice).as_str().unwrap().contains("SCHED_DEADLINE"), "{notice:?}");
        }
        assert_eq!(workers_with(libc::SCHED_DEADLINE), 0, "a worker that waits holds CPU time");
    }
}

/// Worker threads of this process with a policy.
fn workers_with(policy: i32) -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let has = |thread: &std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // Field 41 of proc_pid_stat(5); the name in brackets is the second.
        stat.contains(" (task-")
            && stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.split(' ').nth(38))
                .is_some_and(|found| found == policy.to_string())
    };
    threads.filter_map(Result::ok).filter(has).count()
}
