//! One crate has no compiler walls between its modules, so this test is the wall: every path in `src/**/*.rs` is held
//! against the tables below, which are section «Direction» of `ARCHITECTURE.md`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test program: a panic is how it reports")]

#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/rooms.rs"]
mod rooms;

use paths::{Path, Source};
use std::collections::BTreeSet;

/// Left to right; a module may use what stands to its left, never its own row: neighbours do not know each other.
const DIRECTION: [&[&str]; 10] = [
    &["model"],
    &["manifest", "placement", "plan", "schedule"],
    &["event"],
    &["source", "engine", "rt", "store", "wire", "forge"],
    &["task"],
    &["runs", "apply"],
    &["daemon", "agent"],
    &["api", "web"],
    &["cli"],
    &["main", "lib"],
];
/// Stages whose result follows from their arguments alone.
const PURE: [&str; 6] = ["model", "manifest", "placement", "plan", "schedule", "event"];
/// What a pure stage must not name: it would wait, reach out of its arguments, or log.
const IMPURE: [&str; 16] = [
    "tokio",
    "tokio_util",
    "futures_util",
    "bollard",
    "git2",
    "notify",
    "tonic",
    "axum",
    "hyper",
    "tracing",
    "rusqlite",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "rustix",
];
/// The one place of the pure stages where threads share work: their number changes no result.
const THREADS: (&str, &str) = ("manifest/parallel.rs", "std::thread");
/// The clock and the network within crates that a pure stage may otherwise use.
const IMPURE_ITEMS: [&str; 8] = [
    "std::time::SystemTime",
    "std::time::Instant",
    "jiff::Zoned::now",
    "jiff::Timestamp::now",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
];
/// Each third-party crate and the folders that may name it. One folder is the rule; `*` and longer lists say why.
const CRATES: &[(&str, &[&str], &str)] = &[
    ("serde", &["*"], "derives on the vocabulary and on every external form"),
    ("serde_json", &["*"], "the same"),
    ("thiserror", &["*"], "error types everywhere"),
    ("jiff", &["*"], "the type of an instant; the clock itself is `process::clock`"),
    ("tracing", &["*"], "logs; the pure stages are kept from it by the table above"),
    ("tokio", &["*"], "the runtime; likewise"),
    ("tokio_util", &["*"], "cancellation tokens; likewise"),
    ("futures_util", &["*"], "streams; likewise"),
    (
        "bytes",
        &["source", "engine", "wire", "apply", "daemon", "api"],
        "build contexts stream from git to the engine; messages",
    ),
    ("secrecy", &["*"], "a secret has no Debug wherever it passes"),
    (
        "sha2",
        &["model", "manifest", "plan", "source", "task"],
        "digests of fields, of plans, of build contexts, of clone folders",
    ),
    ("strsim", &["manifest", "source", "cli"], "«did you mean» for keys, branches and names of services"),
    ("fastrand", &["process", "source", "engine", "store", "runs", "daemon", "task"], "jitter and ids"),
    (
        "rustix",
        &["process", "rt", "wire", "engine", "cli", "task"],
        "users and permissions of files; threads; the name of this host",
    ),
    ("tempfile", &["engine", "cli", "runs"], "the demo's repo; elsewhere tests only"),
    ("git2", &["source"], ""),
    ("libgit2_sys", &["source"], ""),
    ("percent_encoding", &["source", "api"], "addresses of repositories; paths of the local API"),
    ("openssl_probe", &["source"], ""),
    ("hmac", &["source"], ""),
    ("sha1", &["source"], ""),
    ("base64", &["source", "task"], ""),
    ("libz_sys", &[], "named in Cargo.toml to link zlib statically, never in code"),
    ("notify", &["source"], ""),
    ("ignore", &["manifest", "source"], "`.dockerignore` where the context is digested and where a folder is walked"),
    ("saphyr_parser", &["manifest"], ""),
    ("kdl", &["manifest"], ""),
    ("miette", &["manifest"], ""),
    ("shlex", &["manifest"], ""),
    ("schemars", &["manifest"], ""),
    ("bollard", &["engine"], ""),
    ("hyperlocal", &["engine"], ""),
    ("docker_credential", &["engine"], ""),
    ("tar", &["source", "engine"], "contexts are written by source, config files by engine"),
    ("hyper", &["engine", "wire", "api"], "the HTTP probe; connections to task servers; the local API and its client"),
    ("hyper_util", &["engine", "wire", "api"], "the same"),
    ("http_body_util", &["engine", "api"], "the same"),
    ("tower_service", &["engine"], "the connector that waits for an engine that is restarted"),
    ("axum", &["api"], ""),
    ("tonic", &["wire"], ""),
    ("tonic_prost", &["wire"], ""),
    ("prost", &["wire"], ""),
    ("tokio_stream", &["wire"], ""),
    ("rustls", &["source", "wire"], "why a git server's certificate is refused; the task protocol"),
    ("tokio_rustls", &["wire"], ""),
    ("croner", &["model"], "a cadence is checked where the file is read"),
    ("rusqlite", &["store"], ""),
    ("tracing_subscriber", &["process"], ""),
    ("libc", &["process", "rt", "task"], "the scheduling calls that rustix lacks"),
    ("nix", &["task"], "getrusage, which rustix lacks"),
    ("procfs", &["process", "task"], "zombies that are left to this process; what tasks use"),
    ("hdrhistogram", &["rt"], ""),
    ("md5", &["task"], "a built-in function of existing task servers"),
    ("tikv_jemallocator", &["main"], "the allocator of the program; a user of the library keeps their own"),
    ("similar", &["cli"], ""),
    ("anstyle", &["plan", "schedule", "cli"], "colour as data in renderings; `anstream` prints it"),
    ("anstream", &["cli"], ""),
    ("clap", &["cli"], ""),
    ("include_dir", &["cli"], ""),
    ("clap_complete", &["cli"], ""),
    ("clap_mangen", &["cli"], ""),
    ("indicatif", &["cli"], ""),
    ("comfy_table", &["cli"], ""),
];

/// Who may name `serde::Serialize`: nothing else can leave the process or reach the database as JSON. A folder ends with `/`.
const SERIALISED: &[(&str, &str)] = &[
    ("api/dto/", "the forms of the API and of `--json`"),
    ("cli/printer.rs", "prints any of these forms"),
    ("event.rs", "facts, as the database keeps them"),
    ("store/", "rows, as the database keeps them"),
    ("model/id.rs", "names within facts and rows"),
    ("model/observed.rs", "health within facts and rows"),
    ("model/time.rs", "the commit within facts"),
    ("plan/id.rs", "the id within facts"),
    ("plan/subject.rs", "the subject within facts"),
    ("schedule/timeline/signal.rs", "verdicts within rows of runs"),
];

/// Lines of a file, of a `mod.rs` and of a function outside of tests, at most.
const LINES_OF_FILE: usize = 400;
const LINES_OF_MOD: usize = 120;
const LINES_OF_FUNCTION: usize = 80;
/// What is longer all the same, until it is cut.
const LONG: &[&str] = &["apply/execute.rs fn execute", "plan/identity.rs", "plan/identity.rs fn action"];
/// Files that use each other in a circle, until data goes one way there.
const CIRCLES: &[&str] = &[];

fn row(module: &str) -> Option<usize> {
    DIRECTION.iter().position(|row| row.contains(&module))
}

/// Why `from` may not use `to`.
fn wrong_direction(from: &str, to: &str) -> Option<String> {
    if from == to || from == "lib" {
        return None;
    }
    let remedy = "return a value and let the next stage take it as an argument";
    match (from, to, row(from), row(to)) {
        (_, "process", Some(user), _) if user >= 3 => None,
        (_, "process", ..) => Some(format!("`process` is for adapters and what uses them; {remedy}")),
        ("process", "model", ..) => None,
        ("process", ..) => Some("`process` knows `model` at most; pass what it needs as an argument".to_owned()),
        (.., Some(user), Some(used)) if used < user => None,
        (.., Some(user), Some(used)) if used == user => {
            Some(format!("neighbours do not know each other; join them in a module to their right, or {remedy}"))
        }
        (.., Some(_), Some(_)) => Some(format!("that is against the direction; {remedy}")),
        _ => Some("a module is missing from DIRECTION in tests/architecture.rs; give it a place".to_owned()),
    }
}

/// The rule that a path breaks.
fn broken_rule(source: &Source, path: &Path) -> Option<String> {
    let module = source.module.as_str();
    if path.segments.last().is_some_and(|last| last == "*") && path.top_level.is_some() {
        return Some("a wildcard hides what is used; name the items".to_owned());
    }
    if path.in_test {
        return None;
    }
    if let Some(used) = &path.top_level {
        return wrong_direction(module, used);
    }
    let text = path.segments.join("::");
    let starts = |prefix: &&&str| text == **prefix || text.starts_with(&format!("{prefix}::"));
    if PURE.contains(&module)
        && !(source.file == THREADS.0 && text.starts_with(THREADS.1))
        && let Some(impure) = IMPURE.iter().chain(&IMPURE_ITEMS).find(starts)
    {
        return Some(format!("`{module}` is pure and must not name `{impure}`; take the value as an argument"));
    }
    let (name, folders, why) = CRATES.iter().find(|(name, ..)| path.segments[0] == *name)?;
    let allowed = folders.contains(&"*") || folders.contains(&module) || module == *name;
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    let place = if folders.is_empty() { "no folder".to_owned() } else { folders.join(", ") };
    (!allowed).then(|| format!("`{name}` belongs to {place}{why}; call that folder, or add a reason to CRATES"))
}

#[test]
fn every_path_follows_the_direction() {
    let sources = paths::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    assert!(sources.len() > 10, "the walk found only {} files", sources.len());
    let broken: BTreeSet<String> = sources
        .iter()
        .flat_map(|source| source.paths.iter().map(move |path| (source, path)))
        .filter_map(|(source, path)| {
            let rule = broken_rule(source, path)?;
            Some(format!("src/{}:{}: `{}`: {rule}", source.file, path.line, path.segments.join("::")))
        })
        .collect();
    let lines: Vec<&str> = broken.iter().map(String::as_str).collect();
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), lines.join("\n"));
}

/// The entry of `SERIALISED` by which a file may name `serde::Serialize`; `None` when it does not name it.
fn serialises(source: &Source) -> Option<Result<&'static str, String>> {
    let names = |path: &&Path| {
        path.segments[0] == "serde" && path.segments.get(1).is_some_and(|item| item.starts_with("Ser") || item == "ser")
    };
    let path = source.paths.iter().filter(|path| !path.in_test).find(names)?;
    let listed = SERIALISED
        .iter()
        .map(|(place, _)| *place)
        .find(|place| source.file == *place || place.ends_with('/') && source.file.starts_with(place));
    let remedy = "give it a form in `api::dto`, or one of its own where it is stored";
    Some(listed.ok_or_else(|| format!("src/{}:{}: it is serialised; {remedy}", source.file, path.line)))
}

#[test]
fn only_forms_are_serialised() {
    let sources = paths::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let found: Vec<_> = sources.iter().filter(|source| !source.is_test).filter_map(serialises).collect();
    let mut broken: Vec<String> = found.iter().filter_map(|one| one.clone().err()).collect();
    let stale = SERIALISED.iter().filter(|(place, _)| !found.iter().any(|one| one.as_ref() == Ok(place)));
    broken.extend(stale.map(|(place, _)| format!("{place} serialises nothing; take it out of SERIALISED")));
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let seen = |file: &str, code: &str| serialises(&paths::scan(file, code, false)).is_some_and(|one| one.is_err());
    for code in [
        "use serde::{Deserialize, Serialize}; #[derive(Serialize)] struct A;",
        "#[derive(Clone, serde::Serialize)] struct A;",
        "use serde as s; impl serde::Serialize for A {}",
        "fn f<S: serde::Serializer>(to: S) {}",
        "use serde::ser::SerializeStruct;",
    ] {
        assert!(seen("plan/step.rs", code) && seen("cli/doctor.rs", code), "{code}");
        assert!(!seen("api/dto/plan.rs", code) && !seen("event.rs", code), "{code}");
    }
    assert!(!seen("plan/step.rs", "use serde::Deserialize;"));
}

#[test]
fn no_circle_comes_and_none_stays_listed_that_is_gone() {
    let sources = paths::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let found: BTreeSet<String> = rooms::circles(&sources).iter().map(|circle| join(circle.iter())).collect();
    let known: BTreeSet<String> = CIRCLES.iter().map(|circle| (*circle).to_owned()).collect();
    let (new, gone) = (found.difference(&known), known.difference(&found));
    let lines: Vec<String> =
        new.map(|circle| format!("new: {circle}")).chain(gone.map(|it| format!("gone: {it}"))).collect();
    assert!(lines.is_empty(), "let data go one way, or take what is gone out of CIRCLES:\n{}", lines.join("\n"));
}

#[test]
fn no_file_or_function_grows_beyond_its_bound() {
    let sources = paths::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut found = BTreeSet::new();
    for source in sources.iter().filter(|source| !source.is_test) {
        let bound = if source.file.ends_with("mod.rs") { LINES_OF_MOD } else { LINES_OF_FILE };
        if source.lines > bound {
            found.insert(source.file.clone());
        }
        let long = source.functions.iter().filter(|(_, lines)| *lines > LINES_OF_FUNCTION);
        found.extend(long.map(|(name, _)| format!("{} fn {name}", source.file)));
    }
    let known: BTreeSet<String> = LONG.iter().map(|entry| (*entry).to_owned()).collect();
    let (new, gone) = (found.difference(&known), known.difference(&found));
    let lines: Vec<String> =
        new.map(|entry| format!("new: {entry}")).chain(gone.map(|it| format!("gone: {it}"))).collect();
    assert!(lines.is_empty(), "cut it by concept, or take what is gone out of LONG:\n{}", lines.join("\n"));
}

/// The lint `missing_docs` cannot tell fields and variants, whose names often say enough, from types and functions.
fn without_docs(sources: &[Source]) -> Vec<String> {
    let items = sources.iter().flat_map(|source| {
        source.undocumented.iter().map(move |(line, name)| format!("src/{}:{line}: `{name}`", source.file))
    });
    let silent = sources.iter().filter(|source| !source.is_test && !source.says_what_it_is);
    items.chain(silent.map(|source| format!("src/{}: the file itself (`//!`)", source.file))).collect()
}

#[test]
fn every_file_and_every_public_type_and_function_has_docs() {
    let sources = paths::read(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let lines = without_docs(&sources);
    assert!(lines.is_empty(), "say what these are for:\n{}", lines.join("\n"));
}

#[test]
fn missing_docs_are_seen_and_fields_need_none() {
    let lines = |code: &str| without_docs(&[paths::scan("plan/probe.rs", code, false)]);
    for code in [
        "//! File.\npub struct Plan;",
        "//! File.\n#[derive(Debug)]\npub enum Step { A }",
        "//! File.\n// Not docs.\npub async fn act() {}",
        "//! File.\npub const LIMIT: usize = 1;",
        "//! File.\n/// Docs of the type.\npub struct Plan { pub id: u32 }\nimpl Plan { pub const fn id(&self) -> u32 { 1 } }",
        "/// Docs.\npub struct Plan;",
    ] {
        assert_eq!(lines(code).len(), 1, "{code}: {:?}", lines(code));
    }
    for code in [
        "//! File.\n/// Docs.\n#[derive(Debug)]\npub struct Plan { pub id: u32 }\nmod a; pub mod b; pub use a::A; pub(crate) fn f() {}",
        "//! File.\n/// Docs.\n#[must_use]\n#[inline]\npub const fn f() {}\n#[cfg(test)]\nmod tests { pub fn g() {} }",
        "//! File.\nmacro_rules! unit { ($(#[$doc:meta])* $name:ident) => { $(#[$doc])* pub struct $name; }; }",
    ] {
        assert!(lines(code).is_empty(), "{code}: {:?}", lines(code));
    }
}

#[test]
fn a_circle_is_seen_and_what_is_handed_on_is_none() {
    let room = |files: &[(&str, &str)]| {
        let sources: Vec<Source> = files.iter().map(|(file, code)| paths::scan(file, code, false)).collect();
        rooms::circles(&sources).iter().map(|circle| join(circle.iter())).collect::<Vec<_>>()
    };
    let hands_on = ("plan/mod.rs", "mod a; mod b; pub use a::A; pub(super) use b::B;");
    assert!(room(&[hands_on, ("plan/a.rs", "use super::B;"), ("plan/b.rs", "fn f() {}")]).is_empty());
    assert!(
        room(&[
            hands_on,
            ("plan/a.rs", "use super::B;"),
            ("plan/b.rs", "#[cfg(test)] mod tests { use super::super::A; }")
        ])
        .is_empty()
    );
    let circle =
        room(&[hands_on, ("plan/a.rs", "use super::B;"), ("plan/b.rs", "fn f() { crate::plan::a::A::new() }")]);
    assert_eq!(circle, ["plan/a.rs plan/b.rs"]);
    let long = paths::scan("plan/a.rs", &format!("fn short() {{}}\nfn long() {{\n{}}}\n", "f();\n".repeat(90)), false);
    assert_eq!(
        long.functions.iter().map(|(name, lines)| (name.as_str(), *lines)).collect::<Vec<_>>(),
        [("short", 1), ("long", 92)]
    );
}

fn join<'a>(files: impl Iterator<Item = &'a String>) -> String {
    files.map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_dependency_has_its_folder() {
    let manifest = include_str!("../Cargo.toml");
    let dependencies = manifest.split("\n[").find_map(|section| section.strip_prefix("dependencies]\n"));
    let named = dependencies.unwrap_or_default().lines().filter_map(|line| line.split_once(" = "));
    let named: BTreeSet<String> = named.map(|(name, _)| name.trim_start_matches("# ").replace('-', "_")).collect();
    let listed: BTreeSet<String> = CRATES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert!(named.len() > 10, "no dependencies found in Cargo.toml");
    let missing: Vec<_> = named.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&named).collect();
    assert!(missing.is_empty(), "give these crates a folder in CRATES of tests/architecture.rs: {missing:?}");
    assert!(stale.is_empty(), "these crates left Cargo.toml; take them out of CRATES: {stale:?}");
}

#[test]
fn a_broken_rule_is_seen() {
    let broken = |module: &str, code: &str| {
        let source = paths::scan(&format!("{module}/probe.rs"), code, false);
        source.paths.iter().find_map(|path| broken_rule(&source, path).map(|rule| (path.line, rule)))
    };
    for (module, code) in [
        ("engine", "use crate::source::Source;"),
        ("plan", "use crate::{model::Field, engine::docker};"),
        ("model", "fn f() { let _ = crate::plan::plan(); }"),
        ("model", "use super::super::plan::Plan;"),
        ("model", "use crate::process::clock;"),
        ("plan", "use std::{fmt, fs::File};"),
        ("manifest", "fn f() { tracing::info!(\"x\"); }"),
        ("event", "use std::time::{Duration, SystemTime};"),
        ("daemon", "use git2::Repository;"),
        ("cli", "use rusqlite as sql;"),
        ("cli", "use crate::daemon::*;"),
        ("cli", "#[cfg(test)] mod tests { use crate::daemon::*; }"),
        ("novelty", "use crate::model::Field;"),
    ] {
        assert!(broken(module, code).is_some(), "{module}: {code}");
    }
    for (module, code) in [
        ("plan", "use crate::model::{Field, self};\n// crate::engine\n/* use git2::X; /* nested */ std::fs */"),
        ("plan", "const T: &str = \"crate::engine::x\"; const R: &str = r#\"git2::\" tokio::\"#;"),
        ("engine", "use crate::process::backoff; use crate::plan::Step; use bollard::Docker;"),
        ("model", "#[cfg(test)]\nmod tests { use super::*; use crate::plan::Plan; use tokio::time; }"),
        ("manifest", "mod kdl; fn f<'a>(c: char) -> bool { c == '\"' || kdl::parse(c) }"),
    ] {
        assert_eq!(broken(module, code), None, "{module}: {code}");
    }
    assert_eq!(broken("source", "\n\nuse crate::engine::X;").map(|(line, _)| line), Some(3));
}
