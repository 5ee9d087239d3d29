//! A hundred containers that are as they should be: looking and planning, against the bare calls and docker-compose.

use crate::bare;
use crate::figures::{Times, note, verdict};
use crate::rig::{Rig, run, service};
use setpoint::apply::observe::scope;
use setpoint::engine::{Engine, Scope};
use setpoint::manifest::{Style, compile};
use setpoint::model::{CommitId, Desired, OwnerId, Revision, Timestamp};
use setpoint::plan::{PlanInput, Violation, lint, plan};
use setpoint::source::read_folder;
use setpoint::store::{Ledger, Store};
use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::Instant;

pub const CONTAINERS: usize = 100;
const LOOKS: usize = 41;
const PROCESSES: usize = 15;
const COMPOSES: usize = 5;

/// A hundred containers that the program applied, and what looking at them takes.
pub struct Fleet<'a> {
    pub rig: &'a Rig,
    desired: Desired,
    ledger: Ledger,
    owner: OwnerId,
    scope: Scope,
    revision: Revision,
    docker: Engine,
}

impl<'a> Fleet<'a> {
    pub async fn up(rig: &'a Rig) -> Self {
        rig.commit("spbench-fleet", CONTAINERS, "type: parallel, max_parallel: 8");
        rig.on_repo(&["apply", "--yes"]);
        let (tree, _) = read_folder(&rig.repo()).unwrap();
        let desired = compile(&tree).map_err(|report| report.render(Style::default())).unwrap();
        let ledger = Store::open(&rig.state()).unwrap().ledger(&desired.settings.environment);
        let owner = ledger.owner();
        let scope = scope(&desired, &owner);
        let revision = Revision {
            commit: CommitId::new("3f2a91c0".repeat(5)),
            reference: "main".to_owned(),
            summary: "fleet".to_owned(),
            author: "A <a@example.org>".to_owned(),
            time: Timestamp::UNIX_EPOCH,
        };
        Self { rig, desired, ledger, owner, scope, revision, docker: Engine::connect(None).await.unwrap() }
    }

    /// Ids of its containers.
    pub async fn ids(&self) -> Vec<String> {
        let observed = self.docker.observe(&self.scope).await.unwrap();
        let ours = observed.containers.iter().filter(|one| one.owner.as_ref() == Some(&self.owner));
        ours.map(|one| one.id.as_str().to_owned()).collect()
    }

    /// What one reconcile that finds nothing to do consists of.
    async fn reconcile(&self) {
        let observed = self.docker.observe(&self.scope).await.unwrap();
        let memory = self.ledger.memory(Timestamp::UNIX_EPOCH).unwrap();
        let input = PlanInput {
            desired: &self.desired,
            revision: &self.revision,
            observed: &observed,
            owner: &self.owner,
            memory: &memory,
            allow: &[],
        };
        let plan = plan(&input);
        assert_eq!(lint(&plan, &input), Vec::<Violation>::new());
        assert!(plan.is_empty() && plan.missing.is_empty() && plan.unchanged == CONTAINERS, "{plan:?}");
    }
}

/// Times of a look that finds nothing, for the comparison with others.
pub struct Ours {
    reconcile: Times,
    plan: Times,
    apply: Times,
}

pub async fn ours(fleet: &Fleet<'_>) -> Ours {
    let ids = fleet.ids().await;
    assert_eq!(ids.len(), CONTAINERS);
    let api = bare::api();
    let (mut bare, mut reconcile) = (Times::default(), Times::default());
    let (mut plan, mut apply) = (Times::default(), Times::default());
    for turn in 0..LOOKS {
        for is_bare in [turn % 2 == 0, turn % 2 != 0] {
            let begin = Instant::now();
            if is_bare {
                bare::look(&api, &ids).await;
                bare.add(begin.elapsed());
            } else {
                fleet.reconcile().await;
                reconcile.add(begin.elapsed());
            }
        }
    }
    for _ in 0..PROCESSES {
        for (words, times) in [(&["plan"][..], &mut plan), (&["apply", "--yes"][..], &mut apply)] {
            let begin = Instant::now();
            fleet.rig.on_repo(words);
            times.add(begin.elapsed());
        }
    }
    note(&format!("the bare list and inspect calls of {CONTAINERS} containers"), &bare.text());
    note("observe + plan + lint of them in a running process", &reconcile.text());
    note("`setpoint plan` as a whole process", &plan.text());
    note("`setpoint apply --yes` as a whole process, nothing to do", &apply.text());
    let ratio = reconcile.median() / bare.median();
    verdict("no-op reconcile against the bare calls", &format!("{ratio:.2} x"), "<= 1.3 x", ratio <= 1.3);
    Ours { reconcile, plan, apply }
}

/// The same containers under docker-compose.
pub async fn compose(rig: &Rig, ours: &Ours) {
    let mut text = "version: \"2.4\"\nnetworks: {net: {}}\nservices:\n".to_owned();
    for number in 0..CONTAINERS {
        let service = service();
        writeln!(text, "  s{number}: {{{service}, networks: [net]}}").unwrap();
    }
    let file = rig.path("docker-compose.yml");
    std::fs::write(&file, text).unwrap();
    let up = || {
        let mut command = Command::new("docker-compose");
        command.args(["-p", "spbench-compose", "-f"]).arg(&file).args(["up", "-d"]);
        run(command.stdout(Stdio::null()).stderr(Stdio::null()));
    };
    up();
    let mut noop = Times::default();
    for _ in 0..COMPOSES {
        let begin = Instant::now();
        up();
        noop.add(begin.elapsed());
    }
    rig.clear().await;
    note("`docker-compose up -d` as a whole process, nothing to do", &noop.text());
    let against = |times: &Times| noop.median() / times.median();
    let reconcile = against(&ours.reconcile);
    let measured = format!("{reconcile:.0} x faster");
    verdict("no-op reconcile in a running process against docker-compose", &measured, ">= 20 x", reconcile >= 20.0);
    note(
        "`setpoint plan` against docker-compose, both whole processes",
        &format!("{:.1} x faster", against(&ours.plan)),
    );
    note(
        "`setpoint apply --yes` against docker-compose, both whole processes",
        &format!("{:.1} x faster", against(&ours.apply)),
    );
}
