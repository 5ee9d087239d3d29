//! Pure computing: a repo of so many services is compiled and planned against a host that already runs as many.
//!
//! `cargo bench --bench plan`. Figures and reach stand in `benches/README.md`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up ends")]

use divan::Bencher;
use setpoint::manifest::compile;
use setpoint::model::{
    CommitId, Desired, FileEntry, FileKind, FileTree, Observed, OwnerId, Revision, Timestamp, digest,
};
use setpoint::plan::{Allow, AllowedGuard, Memory, Plan, PlanInput, Subject, lint, plan, pretend};
use std::fmt::Write;
use std::hint::black_box;
use std::sync::{Arc, OnceLock};

/// The one of the program, with its settings.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
#[expect(unsafe_code, reason = "as in the program")]
#[unsafe(export_name = "_rjem_malloc_conf")]
static ALLOCATOR_SETTINGS: &[u8] = setpoint::process::ALLOCATOR_SETTINGS;

/// How many services a repo has.
const SIZES: &[usize] = &[1_000, 10_000];
/// How many of them share one file.
const PER_FILE: usize = 10;

fn main() {
    for world in SIZES.iter().map(|size| World::of(*size)) {
        world.check();
    }
    divan::main();
}

/// What the commit changes against what runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Edit {
    Nothing,
    /// One variable of one service.
    One,
    /// One variable of every service.
    All,
}

/// One repo in three states, and the host that runs the first of them.
struct World {
    size: usize,
    same: FileTree,
    one: FileTree,
    all: FileTree,
    observed: Observed,
    memory: Memory,
    owner: OwnerId,
    revision: Revision,
}

impl World {
    /// Made once for each size.
    fn of(size: usize) -> &'static Self {
        static SMALL: OnceLock<World> = OnceLock::new();
        static LARGE: OnceLock<World> = OnceLock::new();
        if size == SIZES[0] { &SMALL } else { &LARGE }.get_or_init(|| Self::new(size))
    }

    fn new(size: usize) -> Self {
        let owner = OwnerId::new("f00d/prod");
        let revision = Revision {
            commit: CommitId::new("3f2a91c0".repeat(5)),
            reference: "main".to_owned(),
            summary: "all services".to_owned(),
            author: "A <a@example.org>".to_owned(),
            time: Timestamp::UNIX_EPOCH,
        };
        let same = tree(size, Edit::Nothing);
        let desired = compiled(&same);
        let (empty, nothing) = (Observed::empty(Timestamp::UNIX_EPOCH), Memory::default());
        let input = PlanInput {
            desired: &desired,
            revision: &revision,
            observed: &empty,
            owner: &owner,
            memory: &nothing,
            allow: &[],
        };
        let host = pretend(&plan(&input), &empty, &nothing, &owner);
        assert_eq!(host.refused, Vec::<String>::new());
        let (one, all) = (tree(size, Edit::One), tree(size, Edit::All));
        Self { size, same, one, all, observed: host.observed, memory: host.memory, owner, revision }
    }

    fn tree(&self, edit: Edit) -> &FileTree {
        match edit {
            Edit::Nothing => &self.same,
            Edit::One => &self.one,
            Edit::All => &self.all,
        }
    }

    fn input<'a>(&'a self, desired: &'a Desired) -> PlanInput<'a> {
        PlanInput {
            desired,
            revision: &self.revision,
            observed: &self.observed,
            owner: &self.owner,
            memory: &self.memory,
            allow: &[],
        }
    }

    fn plan(&self, desired: &Desired) -> Plan {
        plan(&self.input(desired))
    }

    /// What is measured is the work it claims to be.
    fn check(&self) {
        for (edit, steps) in [(Edit::Nothing, 0), (Edit::One, 1), (Edit::All, self.size)] {
            let plan = self.plan(&compiled(self.tree(edit)));
            assert_eq!((plan.steps.len(), plan.held.len(), plan.unchanged), (steps, 0, self.size - steps), "{edit:?}");
        }
    }
}

fn compiled(tree: &FileTree) -> Desired {
    compile(tree).map_err(|report| report.render(setpoint::manifest::Style::default())).unwrap()
}

/// A repo with so many services, ten in a deployment, each with what services commonly have.
fn tree(size: usize, edit: Edit) -> FileTree {
    let mut tree = FileTree::default();
    for file in 0..size.div_ceil(PER_FILE) {
        let text = deployment(file, PER_FILE.min(size - file * PER_FILE), edit);
        let content: Arc<[u8]> = Arc::from(text.as_bytes());
        let entry = FileEntry {
            oid: digest(&text),
            kind: FileKind::Regular,
            size: content.len() as u64,
            content: Some(content),
        };
        tree.files.insert(format!("deployments/group-{file:04}.yaml"), entry);
    }
    tree
}

fn deployment(file: usize, services: usize, edit: Edit) -> String {
    let mut text = format!(
        "deployment:\n  name: group-{file:04}\n  network: {{name: group-{file:04}-net}}\n  strategy: {{type: parallel, \
         max_parallel: 4}}\n  volumes:\n    group-{file:04}-data: {{}}\n  services:\n"
    );
    for slot in 0..services {
        let number = file * PER_FILE + slot;
        let changed = edit == Edit::All || (edit == Edit::One && number == 0);
        let release = if changed { "r2" } else { "r1" };
        let needs = if slot == 0 { String::new() } else { format!("      depends_on: [service-{}]\n", slot - 1) };
        let volume = if slot == 0 {
            format!("      volumes: [\"group-{file:04}-data:/var/lib/data\"]\n")
        } else {
            String::new()
        };
        write!(
            text,
            "    - id: service-{slot}\n      image: registry.example.org/team/service-{kind}:1.{slot}\n      \
             command: [serve, --port, \"8080\"]\n      env:\n        RELEASE: {release}\n        LOG_LEVEL: info\n        \
             DATABASE_URL: \"postgres://db-{number}.internal:5432/app\"\n        WORKERS: \"4\"\n      \
             ports: [\"{port}:8080\"]\n      labels: {{team: platform, tier: backend}}\n      \
             resources: {{cpu: 0.5, memory: 128, pids: 64}}\n      \
             healthcheck: {{command: \"wget -q -O /dev/null http://127.0.0.1:8080/\", interval: 5, timeout: 2, retries: \
             3}}\n      stop_grace_period: 5\n{volume}{needs}",
            kind = number % 50,
            port = 10_000 + number,
        )
        .unwrap();
    }
    text
}

fn both(bencher: Bencher<'_, '_>, size: usize, edit: Edit) {
    let world = World::of(size);
    let tree = world.tree(edit);
    bencher.bench(|| {
        let desired = compiled(black_box(tree));
        let plan = world.plan(&desired);
        (desired, plan)
    });
}

#[divan::bench(args = SIZES, max_time = 12)]
fn compile_and_plan_unchanged(bencher: Bencher<'_, '_>, size: usize) {
    both(bencher, size, Edit::Nothing);
}

#[divan::bench(args = SIZES, max_time = 12)]
fn compile_and_plan_one_change(bencher: Bencher<'_, '_>, size: usize) {
    both(bencher, size, Edit::One);
}

#[divan::bench(args = SIZES, max_time = 12)]
fn compile_and_plan_all_change(bencher: Bencher<'_, '_>, size: usize) {
    both(bencher, size, Edit::All);
}

#[divan::bench(args = SIZES, max_time = 8)]
fn compile_alone(bencher: Bencher<'_, '_>, size: usize) {
    let tree = World::of(size).tree(Edit::Nothing);
    bencher.bench(|| compiled(black_box(tree)));
}

#[divan::bench(args = SIZES, max_time = 8)]
fn plan_alone_unchanged(bencher: Bencher<'_, '_>, size: usize) {
    let world = World::of(size);
    let desired = compiled(world.tree(Edit::Nothing));
    bencher.bench(|| world.plan(black_box(&desired)));
}

#[divan::bench(args = SIZES, max_time = 8)]
fn plan_alone_all_change(bencher: Bencher<'_, '_>, size: usize) {
    let world = World::of(size);
    let desired = compiled(world.tree(Edit::All));
    bencher.bench(|| world.plan(black_box(&desired)));
}

/// Nothing is wanted any more, and all of it may go.
#[divan::bench(args = SIZES, max_time = 8)]
fn plan_alone_all_dropped(bencher: Bencher<'_, '_>, size: usize) {
    let world = World::of(size);
    let desired = compiled(&FileTree::default());
    let allow = [Allow { guard: AllowedGuard::Prune, scope: None }];
    let input = PlanInput { allow: &allow, ..world.input(&desired) };
    let removals = |plan: &Plan| plan.steps.iter().filter(|step| matches!(step.subject, Subject::Instance(..))).count();
    assert_eq!(removals(&plan(&input)), size);
    bencher.bench(|| plan(black_box(&input)));
}

#[divan::bench(args = SIZES, max_time = 8)]
fn lint_all_change(bencher: Bencher<'_, '_>, size: usize) {
    let world = World::of(size);
    let desired = compiled(world.tree(Edit::All));
    let plan = world.plan(&desired);
    bencher.bench(|| lint(black_box(&plan), &world.input(&desired)));
}
