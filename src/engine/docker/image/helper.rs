//! Docker's credential helpers: programs that get a registry and print a login. A helper may ask a person for a passphrase, but
//! nobody can answer: so it has a time limit, and is killed after that.

use crate::process::clock;
use docker_credential::DockerCredential;
use serde::Deserialize;
use std::io::{Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Time limit of a helper.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Maximum size of a login.
const LIMIT: u64 = 64 << 10;
/// Interval at which the end of a helper is checked.
const LOOK: Duration = Duration::from_millis(10);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks the helper `docker-credential-<name>` for the login of a registry; `None` if it has none. Blocks.
pub(super) fn ask(name: &str, registry: &str, patience: Duration) -> Result<Option<DockerCredential>, String> {
    run(&format!("docker-credential-{name}"), registry, patience)
}

fn run(program: &str, registry: &str, patience: Duration) -> Result<Option<DockerCredential>, String> {
    let piped =
        |command: &mut Command| command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child =
        piped(Command::new(program).arg("get")).map_err(|error| format!("the helper {program}: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read its input may still answer.
        drop(input.write_all(registry.as_bytes()));
    }
    let (sender, printed) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        let read = move || {
            let mut text = String::new();
            let _ = output.take(LIMIT).read_to_string(&mut text);
            let _ = sender.send(text);
        };
        std::thread::Builder::new().name("login-helper".to_owned()).spawn(read).map_err(|error| error.to_string())?;
    }
    let until = clock::monotonic() + patience;
    let status: ExitStatus = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if clock::monotonic() < until => std::thread::sleep(LOOK),
            Ok(None) => {
                drop(child.kill());
                drop(child.wait());
                return Err(format!(
                    "the helper {program} did not answer within {} s; it may be asking for a passphrase. Use a login that needs no input: `password_env`, or one in Docker's config file",
                    patience.as_secs()
                ));
            }
            Err(error) => return Err(format!("the helper {program}: {error}")),
        }
    };
    let text = printed.recv_timeout(LOOK.max(until.saturating_duration_since(clock::monotonic()))).unwrap_or_default();
    if !status.success() {
        // A helper without a login for this registry reports that as a failure; any other output may be secret.
        return if text.contains("not found") { Ok(None) } else { Err(format!("the helper {program} failed")) };
    }
    let answer: Answer =
        serde_json::from_str(&text).map_err(|_| format!("the helper {program} printed no readable login"))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => DockerCredential::IdentityToken(answer.secret),
        _ => DockerCredential::UsernamePassword(answer.username, answer.secret),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn helper(folder: &std::path::Path, script: &str) -> String {
        let path = folder.join("docker-credential-test");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    #[test]
    fn a_helper_answers_knows_nothing_or_fails() {
        let folder = tempfile::tempdir().unwrap();
        let patience = Duration::from_secs(30);
        let answers = helper(
            folder.path(),
            r#"read registry; printf '{"ServerURL":"x","Username":"ada","Secret":"for-%s"}' "$registry""#,
        );
        let Some(DockerCredential::UsernamePassword(user, secret)) =
            run(&answers, "r.example.org\n", patience).unwrap()
        else {
            panic!("no login")
        };
        assert_eq!((user.as_str(), secret.as_str()), ("ada", "for-r.example.org"));
        let nothing = helper(folder.path(), "echo 'credentials not found in native keychain'; exit 1");
        assert!(run(&nothing, "r", patience).unwrap().is_none());
        let fails = helper(folder.path(), "echo hunter2; exit 1");
        let error = run(&fails, "r", patience).unwrap_err();
        assert!(error.contains("failed") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_helper_that_waits_for_a_person_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let waits = helper(folder.path(), &format!("echo $$ > {}/pid; exec sleep 600", folder.path().display()));
        let error = run(&waits, "r", Duration::from_secs(1)).unwrap_err();
        assert!(error.contains("did not answer within 1 s") && error.contains("passphrase"), "{error}");
        let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
        assert!(!std::path::Path::new("/proc").join(pid.trim()).exists(), "it still runs");
    }
}
