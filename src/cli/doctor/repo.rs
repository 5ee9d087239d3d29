//! The config repo: with a daemon's settings its address, log-in, host keys and branch.

use super::finding::{Finding, State};
use super::subject::Subject;
use crate::daemon::SettingsError;
use crate::daemon::settings::{orchestrator, source_config};
use crate::process::error::chain;
use crate::source::{Source, SourceError, repository_around};

pub(super) async fn check(subject: &Subject, findings: &mut Vec<Finding>) {
    let Some(settings) = &subject.settings else {
        let around = std::env::current_dir().ok().and_then(|folder| repository_around(&folder));
        findings.push(match around {
            Some(path) => Finding::good("repo", path.display().to_string()),
            None => {
                Finding::note("repo", "not looked at: name the daemon's settings with --config, or stand in a repo")
            }
        });
        return;
    };
    if let Err(error) = orchestrator(settings.orchestrator.clone().unwrap_or_default()) {
        findings.push(unusable("settings", &error));
    }
    // Its own cache: the daemon's belongs to the daemon's user.
    let Ok(cache) = tempfile::tempdir() else { return };
    let config = match source_config(settings, cache.path()) {
        Ok(config) => config,
        Err(error) => return findings.push(unusable("repo", &error)),
    };
    let reference = config.reference.clone().unwrap_or_else(|| "HEAD".to_owned());
    let asked = match Source::open(config) {
        Ok(source) => source.ask().await.map(|commit| (source.place(), commit)),
        Err(error) => Err(error),
    };
    findings.push(match asked {
        Ok((place, commit)) => Finding::good("repo", format!("{place}: {reference} is at {}", commit.short())),
        Err(error) => Finding::not("repo", State::Bad, chain(&error), remedy(&error)),
    });
}

fn unusable(topic: &'static str, error: &SettingsError) -> Finding {
    Finding::not(topic, State::Bad, chain(error), error.hint().unwrap_or("correct the settings"))
}

/// What to do; many errors say it themselves.
fn remedy(error: &SourceError) -> &'static str {
    match error {
        SourceError::Authentication { .. } => {
            "as it says; the secret is read from where daemon.kdl says, as the user that runs this"
        }
        SourceError::Unreachable { .. } | SourceError::TimedOut { .. } => {
            "check name resolution, routes and firewalls from this machine (`git ls-remote` with the same address)"
        }
        SourceError::MissingReference { .. } => "correct `branch` or `tag` in daemon.kdl, or push it",
        _ => "as it says",
    }
}
