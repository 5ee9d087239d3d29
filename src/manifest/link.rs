//! All files together: names that must be unique, services that wait for each other, and the finished [`Desired`].

use super::cursor::Cursor;
use super::files::{Files, Raw};
use super::report::{Certainty, Diagnostic, Report};
use super::resolve::paths::SUGGESTED;
use super::resolve::{self, Context, Draft, Resolved, Servers, meaning};
use super::suggest::nearest;
use super::{check, clash, raw};
use crate::model::{
    Condition, Dependency, DeploymentName, Desired, Field, FieldKind, FileTree, Order, Restart, Schedule, ScheduleName,
    Service, ServiceId, ServiceRef, Settings,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Puts the files of a revision together.
///
/// # Errors
/// The report of all mistakes.
pub(super) fn link(tree: &FileTree, files: Files) -> Result<Desired, Report> {
    let Files { manifests, mistakes, notices } = files;
    let mut cx = Context { tree, mistakes, notices, env_files: BTreeSet::new() };
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
    unique(&mut cx, &resolved);
    let broken = !cx.mistakes.is_empty();
    let schedules = schedules(&mut cx, timelines, &Servers::new(&resolved, broken));
    let edges = wait_edges(&mut cx, &resolved, broken);
    check::cycles(&mut cx, &edges);
    completions(&mut cx, &mut resolved, &edges);
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
    cx: &mut Context<'_>,
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

/// A service waits for another.
#[derive(Clone, Debug)]
pub(super) struct Edge<'a> {
    /// Who waits.
    pub from: ServiceRef,
    /// For whom.
    pub to: ServiceRef,
    /// Until what.
    pub condition: Condition,
    /// Where it is written.
    pub at: Cursor<'a>,
}

/// Names of deployments, and ids of services within one, are unique.
fn unique(cx: &mut Context<'_>, resolved: &[Resolved<'_>]) {
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

/// Every wait with both ends; one that names nothing is a mistake. References into other deployments are not judged while
/// some file could not be read: what they name may stand in it.
fn wait_edges<'a>(cx: &mut Context<'_>, resolved: &[Resolved<'a>], broken: bool) -> Vec<Edge<'a>> {
    let index: BTreeMap<&DeploymentName, BTreeSet<&ServiceId>> = resolved
        .iter()
        .map(|deployment| (&deployment.deployment.name, deployment.drafts.iter().map(|draft| &draft.id).collect()))
        .collect();
    let mut edges = joins(resolved);
    for deployment in resolved {
        let own = &deployment.deployment.name;
        for draft in &deployment.drafts {
            for wait in &draft.waits {
                let (name, service) = match wait.target.split_once('/') {
                    Some((name, service)) => (DeploymentName::new(name), ServiceId::new(service)),
                    None => (own.clone(), ServiceId::new(&*wait.target)),
                };
                let from = ServiceRef { deployment: own.clone(), service: draft.id.clone() };
                let Some(services) = index.get(&name) else {
                    if !broken {
                        let near = nearest(name.as_str(), index.keys().map(|name| name.as_str()));
                        let near = near.map(|near| format!("{near}/{service}"));
                        let message = format!("there is no deployment `{name}`");
                        cx.add(unknown(
                            "unknown-deployment",
                            wait.at,
                            message,
                            near.as_deref(),
                            "name a deployment of this repo",
                        ));
                    }
                    continue;
                };
                if !services.contains(&service) {
                    if broken && name != *own {
                        continue;
                    }
                    let looked_at = if cx.mistakes.len() < SUGGESTED { services.len() } else { 0 };
                    let candidates =
                        services.iter().take(looked_at).map(|id| id.as_str()).filter(|id| *id != draft.id.as_str());
                    let near = nearest(service.as_str(), candidates);
                    let near = near.map(|near| if name == *own { near.to_owned() } else { format!("{name}/{near}") });
                    let message = if name == *own {
                        format!("`{service}` is not a service of this deployment")
                    } else {
                        format!("`{service}` is not a service of `{name}`")
                    };
                    let known: Vec<&str> = services.iter().take(20).map(|id| id.as_str()).collect();
                    let more = if services.len() > known.len() { ", …" } else { "" };
                    let help = format!("its services are {}{more}", known.join(", "));
                    cx.add(unknown("unknown-service", wait.at, message, near.as_deref(), &help));
                    continue;
                }
                let to = ServiceRef { deployment: name, service };
                edges.push(Edge { from, to, condition: wait.condition, at: wait.at });
            }
        }
    }
    edges
}

/// Who shares a namespace of another (`container:<name>`) waits until that one runs.
fn joins<'a>(resolved: &[Resolved<'a>]) -> Vec<Edge<'a>> {
    let all = || {
        resolved.iter().flat_map(|deployment| {
            let name = &deployment.deployment.name;
            deployment.drafts.iter().map(move |draft| (name, draft))
        })
    };
    let reference =
        |name: &DeploymentName, draft: &Draft<'_>| ServiceRef { deployment: name.clone(), service: draft.id.clone() };
    let mut edges = Vec::new();
    for (name, draft) in all() {
        for (kind, container) in draft.spec.joined() {
            let holder = all().find(|(name, holder)| match &holder.container_name {
                Some(fixed) => fixed == container,
                None => (1..=holder.replicas).any(|slot| holder.id.container_name(name, slot) == container),
            });
            if let Some((there, holder)) = holder {
                let (from, to) = (reference(name, draft), reference(there, holder));
                edges.push(Edge { from, to, condition: Condition::Started, at: draft.at.key(kind.as_str()) });
            }
        }
    }
    edges
}

/// A reference to nothing.
pub(super) fn unknown(
    code: &'static str,
    at: Cursor<'_>,
    message: String,
    near: Option<&str>,
    help: &str,
) -> Diagnostic {
    let mistake = meaning(code, &at.place(), message);
    match near {
        Some(near) => mistake.label(format!("did you mean `{near}`?")).help(format!("write `{near}`, or remove it")),
        None => mistake.label("no such name").help(help),
    }
}

/// What others wait to complete runs to its end: it is not restarted, and a policy that restarts it is a mistake.
fn completions(cx: &mut Context<'_>, resolved: &mut [Resolved<'_>], edges: &[Edge<'_>]) {
    let mut waits: BTreeMap<&ServiceRef, Cursor<'_>> = BTreeMap::new();
    for edge in edges.iter().filter(|edge| edge.condition == Condition::Completed) {
        waits.entry(&edge.to).or_insert(edge.at);
    }
    for deployment in resolved {
        for draft in &mut deployment.drafts {
            let id = ServiceRef { deployment: deployment.deployment.name.clone(), service: draft.id.clone() };
            let Some(at) = waits.get(&id) else { continue };
            if !draft.restart_given {
                draft.spec.restart = Restart::No;
            } else if matches!(draft.spec.restart, Restart::Always | Restart::UnlessStopped) {
                let message =
                    format!("`{}` is restarted whenever it ends, but others wait for it to complete", draft.id);
                let help = "set `restart: no` or `on-failure`, or wait for `started` or `healthy`";
                let place = draft.place(&Field::one(FieldKind::Restart));
                cx.add(meaning("never-completes", &place, message).help(help).also(at.place(), "waited for here"));
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
