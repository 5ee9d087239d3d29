//! All files together: names that must be unique, and the finished [`Desired`].

use super::cursor::Cursor;
use super::files::{Files, Raw};
use super::report::{Certainty, Diagnostic, Report};
use super::resolve::{self, Draft, Resolved, Resolver, Servers, meaning};
use super::{check, clash, raw, waits};
use crate::model::{
    Condition, Dependency, DeploymentName, Desired, FileTree, Order, Schedule, ScheduleName, Service, ServiceId,
    ServiceRef, Settings,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Puts the files of a revision together.
///
/// # Errors
/// The report of all mistakes.
pub(super) fn link(tree: &FileTree, files: Files) -> Result<Desired, Report> {
    let Files { manifests, mistakes, notices } = files;
    let mut cx = Resolver { tree, mistakes, notices, env_files: BTreeSet::new() };
    let mut settings = Settings::default();
    let partial = Partial {
        files: manifests.iter().filter(|file| file.partial).map(|file| Arc::clone(file.source.path())).collect(),
        settings: manifests.iter().any(|file| file.partial && matches!(file.raw, Raw::Settings(_))),
    };
    let (places, raws): (Vec<_>, Vec<_>) =
        manifests.into_iter().map(|manifest| ((manifest.source, manifest.tree), manifest.raw)).unzip();
    let mut rest = Vec::new();
    for ((source, tree), raw) in places.iter().zip(raws) {
        let at = Cursor::new(source, tree);
        match raw {
            // The settings first: they are the defaults of the deployments.
            Raw::Settings(raw) => settings = resolve::settings(*raw, at),
            raw => rest.push((raw, at)),
        }
    }
    let mut resolved: Vec<Resolved<'_>> = Vec::new();
    let (mut builds, mut timelines) = (Vec::new(), Vec::new());
    for (raw, at) in rest {
        match raw {
            Raw::Deployment(file) => {
                let at = at.key("deployment");
                resolved.push(resolve::deployment(&mut cx, file.deployment, at, &settings));
            }
            Raw::Fragment(raw) => resolved.push(resolve::deployment(&mut cx, *raw, at, &settings)),
            Raw::Builder(file) => builds.push(resolve::builder(&mut cx, file.builder, at.key("builder"))),
            Raw::Schedule(file) => timelines.push((file.schedule, at.key("schedule"))),
            Raw::Timeline(raw) => timelines.push((*raw, at)),
            Raw::Settings(_) => {}
        }
    }
    // Before the schedules: while files have mistakes, a task server that is not found may stand in one of them.
    unique(&mut cx, &resolved);
    let broken = !cx.mistakes.is_empty();
    let schedules = schedules(&mut cx, timelines, &Servers::new(&resolved, broken));
    let edges = waits::edges(&mut cx, &resolved, broken);
    waits::cycles(&mut cx, &edges);
    // Before the checks of single services: what is waited for until its end is not restarted.
    waits::completions(&mut cx, &mut resolved, &edges);
    for deployment in &resolved {
        for draft in &deployment.drafts {
            check::service(&mut cx, draft);
        }
    }
    clash::clashes(&mut cx, &resolved);
    if !cx.mistakes.is_empty() {
        cx.mistakes.retain(|mistake| !partial.explains(mistake));
        return Err(Report::new(cx.mistakes));
    }
    let mut depends: BTreeMap<ServiceRef, BTreeMap<ServiceRef, Dependency>> = BTreeMap::new();
    let mut waited: BTreeSet<ServiceRef> = BTreeSet::new();
    for edge in edges {
        if edge.condition == Condition::Completed {
            waited.insert(edge.to.clone());
        }
        let dependency = Dependency { condition: edge.condition, at: edge.at.location() };
        depends.entry(edge.from).or_default().insert(edge.to, dependency);
    }
    let deployments = resolved
        .into_iter()
        .map(|Resolved { mut deployment, drafts, .. }| {
            let name = deployment.name.clone();
            deployment.services = drafts
                .into_iter()
                .map(|draft| {
                    let id = ServiceRef { deployment: name.clone(), service: draft.id.clone() };
                    let (depends_on, one_shot) = (depends.remove(&id).unwrap_or_default(), waited.contains(&id));
                    finish(draft, depends_on, one_shot)
                })
                .collect();
            (name, deployment)
        })
        .collect();
    cx.notices.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(Desired { settings, deployments, schedules, builds, notices: cx.notices, env_files: cx.env_files })
}

/// The schedules by their names, which are unique.
fn schedules(
    cx: &mut Resolver<'_>,
    timelines: Vec<(raw::schedule::Schedule, Cursor<'_>)>,
    servers: &Servers,
) -> BTreeMap<ScheduleName, Schedule> {
    let mut schedules: BTreeMap<ScheduleName, Schedule> = BTreeMap::new();
    let mut places: BTreeMap<ScheduleName, Cursor<'_>> = BTreeMap::new();
    for (raw, at) in timelines {
        let schedule = resolve::schedule(cx, raw, at, servers);
        if let Some(first) = places.get(&schedule.name) {
            let message = format!("two schedules are called `{}`", schedule.name);
            let help = "give one of the two another `name`; names are compared in lower case with `-` for spaces";
            let mistake = meaning("duplicate-schedule", &at.key("name").place(), message).help(help);
            cx.add(mistake.label("again here").also(first.key("name").place(), "first here"));
        } else {
            places.insert(schedule.name.clone(), at);
            schedules.insert(schedule.name.clone(), schedule);
        }
    }
    schedules
}

/// Files of which something was left out because of a mistake.
struct Partial {
    files: BTreeSet<Arc<str>>,
    settings: bool,
}

impl Partial {
    /// Whether a mistake may be about what was left out: it says that something is not there or has no effect.
    fn explains(&self, mistake: &Diagnostic) -> bool {
        const ABSENCE: [&str; 10] = [
            "missing-key",
            "missing-image",
            "missing-value",
            "missing-registry",
            "unknown-network",
            "unknown-service",
            "unknown-task",
            "unknown-deployment",
            "no-effect",
            "read-only-config",
        ];
        let absence = mistake.certainty == Certainty::Meaning && ABSENCE.contains(&mistake.code);
        (absence && self.files.contains(&mistake.location.file)) || (self.settings && mistake.code == "no-effect")
    }
}

/// Names of deployments, and ids of services within one, are unique.
fn unique(cx: &mut Resolver<'_>, resolved: &[Resolved<'_>]) {
    let mut deployments: BTreeMap<&DeploymentName, &Resolved<'_>> = BTreeMap::new();
    for deployment in resolved {
        let name = &deployment.deployment.name;
        if let Some(first) = deployments.get(name) {
            let message = format!("two deployments are called `{name}`");
            let help = "give one of the two another `name`; names are compared in lower case with `-` for spaces";
            let mistake = meaning("duplicate-deployment", &deployment.at.key("name").place(), message).help(help);
            cx.add(mistake.label("again here").also(first.at.key("name").place(), "first here"));
        } else {
            deployments.insert(name, deployment);
        }
        let mut services: BTreeMap<&ServiceId, &Draft<'_>> = BTreeMap::new();
        for draft in &deployment.drafts {
            if let Some(first) = services.get(&draft.id) {
                let message = format!("two services of `{name}` are called `{}`", draft.id);
                let mistake = meaning("duplicate-service", &draft.at.key("id").place(), message);
                let mistake = mistake.label("again here").help("give one of the two another `id`");
                cx.add(mistake.also(first.at.key("id").place(), "first here"));
            } else {
                services.insert(&draft.id, draft);
            }
        }
    }
}

fn finish(draft: Draft<'_>, depends_on: BTreeMap<ServiceRef, Dependency>, one_shot: bool) -> Service {
    let source = draft.at.source();
    let origins = draft.spans.into_iter().map(|(field, span)| (field, source.location(span.start))).collect();
    Service {
        id: draft.id,
        role: draft.role,
        at: draft.at.location(),
        image: draft.image,
        spec: draft.spec,
        container_name: draft.container_name,
        replicas: draft.replicas,
        one_shot,
        depends_on,
        probe: draft.probe,
        order: draft.order.unwrap_or(Order::Auto),
        origins,
        hidden: draft.hidden,
    }
}
