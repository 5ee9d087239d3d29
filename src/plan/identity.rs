//! The identity of a plan: a digest of everything that affects how it is carried out, and of nothing else.
//!
//! Each type is taken apart without `..`, so that the compiler reports every new field: it is either written, or left out with an
//! underscore. The time of the observation, the texts for people and the places in files are left out.

use super::action::{Action, Gate, Guard, Launch, Update};
use super::id::PlanId;
use super::step::{FieldChange, Held, HeldReason, Need, Plan, Step};
use super::subject::Subject;
use crate::model::{
    Attachment, ConfigFile, ImageBuild, Network, OnChange, Probe, Resources, Restart, Revision, Strategy, Volume,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::time::Duration;

/// The identity of a plan; its own `id` is ignored.
pub(super) fn identity(plan: &Plan) -> PlanId {
    let Plan { id: _, environment, revision, observed_at: _, missing, steps, held, unchanged: _, strategies } = plan;
    // The commit itself is written with each container that is launched: another one with the same content is the same.
    let Revision { commit: _, reference: _, summary: _, author: _, time: _ } = revision;
    let mut out = Writer(Sha256::new());
    out.text(environment);
    out.each(missing, Writer::text);
    out.each(steps, step);
    out.each(held, held_wish);
    out.each(strategies, |out, (name, of)| {
        out.text(name.as_str());
        strategy(out, of);
    });
    PlanId::new(out.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Writes values so that no two sequences of values give the same bytes.
struct Writer(Sha256);

impl Writer {
    fn text(&mut self, text: impl AsRef<str>) {
        self.bytes(text.as_ref().as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.number(u64::from(flag));
    }

    fn time(&mut self, time: Duration) {
        self.bytes(&time.as_nanos().to_be_bytes());
    }

    /// An optional value; absent is not empty.
    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn each<T>(
        &mut self,
        list: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        write: impl Fn(&mut Self, T),
    ) {
        let list = list.into_iter();
        self.number(list.len() as u64);
        for item in list {
            write(self, item);
        }
    }

    fn texts(&mut self, map: &BTreeMap<String, String>) {
        self.each(map, |out, (key, value)| {
            out.text(key);
            out.text(value);
        });
    }
}

fn subject(out: &mut Writer, subject: &Subject) {
    out.text(match subject {
        Subject::Deployment(_) => "deployment",
        Subject::Instance(..) => "instance",
        Subject::Network(..) => "network",
        Subject::Volume(..) => "volume",
        Subject::Image(..) => "image",
        Subject::Container(..) => "container",
    });
    out.text(subject.to_string());
}

fn step(out: &mut Writer, of: &Step) {
    let Step {
        id,
        subject: of_subject,
        deployment,
        action: of_action,
        guard: of_guard,
        needs,
        changes,
        reason: _,
        disruption,
    } = of;
    out.number(*id as u64);
    subject(out, of_subject);
    out.option(deployment.as_ref(), |out, name| out.text(name.as_str()));
    action(out, of_action);
    guard(out, of_guard);
    out.each(needs, |out, Need { step, until }| {
        out.number(*step as u64);
        out.number(*until as u64);
    });
    out.each(changes, change);
    out.number(*disruption as u64);
}

fn change(out: &mut Writer, change: &FieldChange) {
    let FieldChange { field, old, new, origin, at: _, hidden: _ } = change;
    out.text(field.to_string());
    out.option(old.as_ref(), Writer::text);
    out.option(new.as_ref(), Writer::text);
    out.number(*origin as u64);
}

fn held_wish(out: &mut Writer, held: &Held) {
    let Held { subject: of, wanted, why, changes } = held;
    subject(out, of);
    out.text(wanted);
    held_reason(out, why);
    out.each(changes, change);
}

fn held_reason(out: &mut Writer, why: &HeldReason) {
    match why {
        HeldReason::Quarantined { revision, verdict: _ } => {
            out.text("quarantined");
            out.text(revision.as_str());
        }
        HeldReason::PruneDisabled => out.text("prune disabled"),
        HeldReason::PruneBudget { wanted, allowed } => {
            out.text("prune budget");
            out.number(*wanted as u64);
            out.number(*allowed as u64);
        }
        HeldReason::DriftReported => out.text("drift reported"),
        HeldReason::Incomplete => out.text("incomplete"),
        HeldReason::Suspended => out.text("suspended"),
        HeldReason::NameTaken { name } => {
            out.text("name taken");
            out.text(name);
        }
        HeldReason::PortTaken { port, holder } => {
            out.text("port taken");
            out.text(port);
            out.text(holder);
        }
        HeldReason::Foreign => out.text("foreign"),
        HeldReason::ExternalMissing => out.text("external missing"),
        HeldReason::ImageMissing { reference } => {
            out.text("image missing");
            out.text(reference);
        }
        HeldReason::Needs(of) => {
            out.text("needs");
            subject(out, of);
        }
        HeldReason::NotReached { needs, condition } => {
            out.text("not reached");
            subject(out, needs);
            out.number(*condition as u64);
        }
        HeldReason::Flapping { times: _ } => out.text("flapping"),
        HeldReason::BeingRemoved => out.text("being removed"),
        HeldReason::DataLoss { lost } => {
            out.text("data loss");
            out.text(lost);
        }
        HeldReason::InUseByForeign { holder } => {
            out.text("in use by foreign");
            out.text(holder);
        }
        HeldReason::Circle(path) => {
            out.text("circle");
            out.each(path, subject);
        }
    }
}

fn guard(out: &mut Writer, guard: &Guard) {
    match guard {
        Guard::Nothing => out.text("nothing"),
        Guard::NameFree(name) => {
            out.text("name free");
            out.text(name);
        }
        Guard::Ours { container, owner } => {
            out.text("ours");
            out.text(container.as_str());
            out.text(owner.as_str());
        }
    }
}

fn action(out: &mut Writer, action: &Action) {
    match action {
        Action::PullImage { reference, also_tag } => {
            out.text("pull");
            out.text(reference);
            out.option(also_tag.as_ref(), Writer::text);
        }
        Action::BuildImage(of) => {
            out.text("build");
            build(out, of);
        }
        Action::CreateNetwork { network: of, deployment } => {
            out.text("create network");
            network(out, of);
            out.text(deployment.as_str());
        }
        Action::RecreateNetwork { network: of, deployment, old, attached } => {
            out.text("recreate network");
            network(out, of);
            out.text(deployment.as_str());
            out.text(old);
            out.each(attached, |out, (container, of)| {
                out.text(container.as_str());
                attachment(out, of);
            });
        }
        Action::RemoveNetwork { name, id } => {
            out.text("remove network");
            out.text(name);
            out.text(id);
        }
        Action::CreateVolume { volume: of, deployment } => {
            out.text("create volume");
            volume(out, of);
            out.text(deployment.as_str());
        }
        Action::RecreateVolume { volume: of, deployment, users } => {
            out.text("recreate volume");
            volume(out, of);
            out.text(deployment.as_str());
            out.each(users, |out, (container, grace)| {
                out.text(container.as_str());
                out.time(*grace);
            });
        }
        Action::CreateInstance(of) => {
            out.text("create");
            launch(out, of);
        }
        Action::ReplaceInstance { old, launch: of, stop_first, grace, rollback } => {
            out.text("replace");
            out.text(old.as_str());
            launch(out, of);
            out.flag(*stop_first);
            out.time(*grace);
            out.flag(*rollback);
        }
        Action::UpdateInstance { container, updates, gate: of } => {
            out.text("update");
            out.text(container.as_str());
            out.each(updates, update);
            gate(out, of);
        }
        Action::StopInstance { container, grace } => {
            out.text("stop");
            out.text(container.as_str());
            out.time(*grace);
        }
        Action::RemoveInstance { container, grace } => {
            out.text("remove");
            out.text(container.as_str());
            out.time(*grace);
        }
        Action::DiscardLeftover { container } => {
            out.text("discard");
            out.text(container.as_str());
        }
        Action::RestoreInstance { container, name } => {
            out.text("restore");
            out.text(container.as_str());
            out.text(name);
        }
        Action::AwaitInstance { container, gate: of } => {
            out.text("await");
            out.text(container.as_str());
            gate(out, of);
        }
    }
}

/// The commit is left out: two commits that want the same of a container launch the same.
fn launch(out: &mut Writer, launch: &Launch) {
    let Launch { instance, name, owner, revision: _, spec, applied, needs, carried, gate: of } = launch;
    out.text(instance.to_string());
    out.text(name);
    out.text(owner.as_str());
    // Every setting of the container; see `ContainerSpec::fields`, which takes it apart likewise.
    out.each(&spec.fields(), |out, (field, value)| {
        out.text(field.to_string());
        out.text(value);
    });
    out.each(&spec.configs, |out, (target, file)| {
        out.text(target);
        config(out, file);
    });
    out.texts(applied);
    out.each(needs, |out, service| out.text(service.to_string()));
    out.texts(carried);
    gate(out, of);
}

fn config(out: &mut Writer, file: &ConfigFile) {
    let ConfigFile { source: _, oid, content: _, mode, uid, gid, on_change } = file;
    out.text(oid);
    for number in [mode, uid, gid] {
        out.number(u64::from(*number));
    }
    match on_change {
        OnChange::Recreate => out.text("recreate"),
        OnChange::Restart => out.text("restart"),
        OnChange::Signal(signal) => {
            out.text("signal");
            out.text(signal);
        }
        OnChange::Nothing => out.text("nothing"),
    }
}

fn gate(out: &mut Writer, gate: &Gate) {
    match gate {
        Gate::Started => out.text("started"),
        Gate::Healthy { timeout, window, probe: of } => {
            out.text("healthy");
            out.time(*timeout);
            out.time(*window);
            out.option(of.as_ref(), probe);
        }
        Gate::Completed { timeout } => {
            out.text("completed");
            out.time(*timeout);
        }
    }
}

fn probe(out: &mut Writer, probe: &Probe) {
    let Probe { http_path, port, interval, timeout, retries, start_period } = probe;
    out.option(http_path.as_ref(), Writer::text);
    out.number(u64::from(*port));
    for time in [interval, timeout, start_period] {
        out.time(*time);
    }
    out.number(u64::from(*retries));
}

fn update(out: &mut Writer, update: &Update) {
    match update {
        Update::Limits { resources: of, restart: policy } => {
            out.text("limits");
            resources(out, of);
            restart(out, *policy);
        }
        Update::Rename(name) => {
            out.text("rename");
            out.text(name);
        }
        Update::Connect { network, attachment: of } => {
            out.text("connect");
            out.text(network);
            attachment(out, of);
        }
        Update::Disconnect { network } => {
            out.text("disconnect");
            out.text(network);
        }
        Update::WriteConfig { target, file } => {
            out.text("config");
            out.text(target);
            config(out, file);
        }
        Update::Signal(signal) => {
            out.text("signal");
            out.text(signal);
        }
        Update::Unpause => out.text("unpause"),
        Update::Start => out.text("start"),
        Update::Restart { grace } => {
            out.text("restart");
            out.time(*grace);
        }
    }
}

fn resources(out: &mut Writer, resources: &Resources) {
    let Resources { nano_cpus, memory, memory_reservation, memory_swap, pids, cpuset, cpu_shares } = resources;
    for number in [nano_cpus, memory, memory_reservation, pids, cpu_shares] {
        out.option(*number, Writer::number);
    }
    out.option(*memory_swap, |out, bytes| out.bytes(&bytes.to_be_bytes()));
    out.option(cpuset.as_ref(), Writer::text);
}

fn restart(out: &mut Writer, restart: Restart) {
    match restart {
        Restart::No => out.text("no"),
        Restart::Always => out.text("always"),
        Restart::UnlessStopped => out.text("unless stopped"),
        Restart::OnFailure(times) => {
            out.text("on failure");
            out.number(u64::from(times));
        }
    }
}

fn attachment(out: &mut Writer, attachment: &Attachment) {
    let Attachment { aliases, ipv4, ipv6 } = attachment;
    out.each(aliases, Writer::text);
    for address in [ipv4, ipv6] {
        out.option(address.as_ref(), Writer::text);
    }
}

fn network(out: &mut Writer, network: &Network) {
    let Network { name, driver, options, internal, subnet, gateway, labels, external, at: _ } = network;
    out.text(name);
    out.text(driver);
    out.texts(options);
    out.flag(*internal);
    for address in [subnet, gateway] {
        out.option(address.as_ref(), Writer::text);
    }
    out.texts(labels);
    out.flag(*external);
}

fn volume(out: &mut Writer, volume: &Volume) {
    let Volume { name, former: _, driver, options, labels, external, at: _ } = volume;
    out.text(name);
    out.text(driver);
    out.texts(options);
    out.texts(labels);
    out.flag(*external);
}

/// The files of a build are part of its digest.
fn build(out: &mut Writer, build: &ImageBuild) {
    let ImageBuild { repository, tag, context, dockerfile, args, target, no_cache, digest, files: _ } = build;
    for text in [repository, tag, context, dockerfile, digest] {
        out.text(text);
    }
    out.texts(args);
    out.option(target.as_ref(), Writer::text);
    out.flag(*no_cache);
}

fn strategy(out: &mut Writer, strategy: &Strategy) {
    let Strategy { kind, max_parallel, wait_for_healthy, startup_timeout, stability_window, on_failure } = strategy;
    out.number(*kind as u64);
    out.number(u64::from(*max_parallel));
    out.flag(*wait_for_healthy);
    out.time(*startup_timeout);
    out.time(*stability_window);
    out.number(*on_failure as u64);
}
