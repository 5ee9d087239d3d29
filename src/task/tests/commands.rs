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
async fn an_exit_code_a_signal_and_what_is_not_json_fail_the_task() {
    for (script, message) in [
        ("echo broken >&2; echo '{}'; exit 3", "exit 3: broken"),
        ("kill -9 $$", "ended by signal 9 (SIGKILL)"),
        ("echo hello", "its output is not JSON (expected value at line 1 column 1): `hello\\n`"),
    ] {
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
            let message = format!("its output of {} bytes is more than the limit of {LIMIT}", bytes + 2);
            assert_eq!((notice.result, notice.error_message), (TaskResult::Failure, message));
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
    let stopped = runs.channel.stop(&TaskId::new("t"), Duration::from_secs(5), BOUND).await.unwrap();
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
    runs.channel.stop(&TaskId::new("t"), Duration::from_millis(300), BOUND).await.unwrap();
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
    let mut status = runs.channel.status(&TaskId::new("t"), BOUND).await.unwrap();
    while functions::cpu(&status) < Duration::from_millis(300) {
        assert!(status.elapsed < Some(BOUND), "{status:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        status = runs.channel.status(&TaskId::new("t"), BOUND).await.unwrap();
    }
    eprintln!("a program with a busy child: {:.1} % CPU, {} KiB", status.cpu_percent, status.memory_bytes / 1024);
    assert!(status.cpu_percent <= 210.0, "two processes: {status:?}");
    assert!(status.memory_bytes > 500_000, "{status:?}");
    runs.channel.stop(&TaskId::new("t"), Duration::from_millis(300), BOUND).await.unwrap();
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
