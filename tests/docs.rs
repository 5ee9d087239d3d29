//! The documentation is held against the program: blocks compile, keys exist and are all described, commands and their
//! options are known, links lead somewhere. `ARCHITECTURE.md` says how a block is written.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test program: a panic is how it reports")]

use setpoint::manifest::{self, Kind, Style};
use setpoint::model::{Desired, FileEntry, FileKind, FileTree};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Every Markdown file that people read, by its path from the root.
fn documents() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::from(ROOT)];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !matches!(name, "target" | "src" | "tests" | "fuzz") && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(".md") {
                let key = path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned();
                found.insert(key, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(found.len() > 5, "the walk found only {:?}", found.keys());
    found
}

/// A fenced block of a document.
#[derive(Debug)]
struct Block {
    /// `docs/x.md:12`.
    at: String,
    language: String,
    /// What its first line names.
    path: Option<String>,
    /// Whether that line says that the file is broken on purpose.
    broken: bool,
    text: String,
}

fn blocks(name: &str, text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        match line.strip_prefix("```") {
            Some(_) if open => open = false,
            Some(language) => {
                open = true;
                let at = format!("{name}:{}", number + 1);
                let language = language.to_owned();
                found.push(Block { at, language, path: None, broken: false, text: String::new() });
            }
            None if open => {
                let block = found.last_mut().unwrap();
                if block.text.is_empty() {
                    let title = line.trim_start_matches(['#', '/', '<', '!', '-', ' ']).trim_end_matches(" -->");
                    let (title, broken) = title.strip_suffix(" (broken)").map_or((title, false), |title| (title, true));
                    block.broken = broken;
                    block.path = (title.contains(['.', '/']) && !title.contains(' ')).then(|| title.to_owned());
                }
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!open, "{name}: a block is not closed");
    found
}

#[test]
fn the_documented_unit_is_one_that_systemd_takes() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("docs/daemon.md")).unwrap();
    let unit = blocks("docs/daemon.md", &text).into_iter().find(|block| block.language == "ini").unwrap().text;
    for line in ["Restart=always", "RestartSec=", "StartLimitIntervalSec=0", "StateDirectoryMode=0700", "User="] {
        assert!(unit.contains(line), "{line} is missing");
    }
    // The program need not be installed here, nor its user and group exist.
    let true_program = unit.replace("/usr/local/bin/setpoint", "/bin/true");
    let known = true_program
        .replace("User=setpoint", "User=daemon")
        .replace("SupplementaryGroups=docker", "SupplementaryGroups=tty");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("setpoint-documented.service");
    std::fs::write(&path, known).unwrap();
    let run = |words: &[&str]| {
        Command::new("systemd-analyze").args(words).arg(&path).env("SYSTEMD_LOG_LEVEL", "warning").output()
    };
    let Ok(output) = run(&["verify", "--man=no"]) else {
        println!("skipped: systemd-analyze is not installed");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let about: Vec<&str> = said.lines().filter(|line| line.contains("setpoint-documented")).collect();
    assert!(output.status.success() && about.is_empty(), "{said}");
    // 0 is the safest; the unit of the first version had 96.
    let output = run(&["security", "--offline=true", "--threshold=25"]).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn entry(content: &[u8], kind: FileKind) -> FileEntry {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let content: std::sync::Arc<[u8]> = content.into();
    FileEntry { oid: format!("{:040x}", hasher.finish()), kind, size: content.len() as u64, content: Some(content) }
}

/// A folder as a revision would have it.
fn folder(path: &str) -> FileTree {
    let root = Path::new(ROOT).join(path);
    let mut tree = FileTree::default();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let key = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                // What `prepare` puts there is committed nowhere.
                folders.extend(Some(path).filter(|_| key != "images/base"));
            } else if !key.ends_with("/busybox") {
                tree.files.insert(key, entry(&std::fs::read(&path).unwrap(), FileKind::Regular));
            }
        }
    }
    tree
}

fn compiled(what: &str, tree: &FileTree) -> Desired {
    manifest::compile(tree).unwrap_or_else(|report| panic!("{what}:\n{}", report.render(Style::default())))
}

#[test]
fn every_block_of_a_config_file_compiles() {
    let (mut good, mut broken) = (0, 0);
    for (name, text) in documents() {
        let blocks = blocks(&name, &text);
        let is_config = |block: &Block| matches!(block.language.as_str(), "yaml" | "kdl");
        let support: Vec<&Block> = blocks.iter().filter(|block| !is_config(block) && block.path.is_some()).collect();
        for (index, block) in blocks.iter().enumerate().filter(|(_, block)| is_config(block)) {
            let Block { at, path, text, .. } = block;
            let path = path.as_ref().unwrap_or_else(|| panic!("{at}: the first line must be a comment with the path"));
            if path.starts_with("daemon.") {
                let read = manifest::daemon_config(path, text);
                read.unwrap_or_else(|report| panic!("{at}:\n{}", report.render(Style::default())));
                good += 1;
                continue;
            }
            let files = support.iter().map(|file| (file.path.clone().unwrap(), &file.text));
            let files = files.chain([(path.clone(), text)]);
            let files = files.map(|(path, text)| (path, entry(text.as_bytes(), FileKind::Regular))).collect();
            let tree = FileTree { files };
            if block.broken {
                let report = manifest::compile(&tree).expect_err(&format!("{at}: this compiles"));
                let shown = blocks.get(index + 1).filter(|next| next.language == "text");
                let shown = shown.unwrap_or_else(|| panic!("{at}: the report must follow as a block `text`"));
                assert_eq!(shown.text.trim(), report.render(Style::default()).trim(), "{}", shown.at);
                broken += 1;
                continue;
            }
            let desired = compiled(at, &tree);
            let something = !desired.deployments.is_empty()
                || !desired.builds.is_empty()
                || !desired.schedules.is_empty()
                || !desired.notices.is_empty()
                || desired.settings.at.is_some()
                || path.starts_with('.');
            assert!(something, "{at}: nothing was read; does the path lead into a folder of manifests?");
            good += 1;
        }
    }
    assert!(good > 10 && broken > 0, "only {good} good blocks and {broken} broken ones were found");
}

/// The property names of a schema.
fn keys(kind: Kind) -> BTreeSet<String> {
    fn collect(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
        if let Some(properties) = schema.get("properties").and_then(|value| value.as_object()) {
            found.extend(properties.keys().cloned());
        }
        match schema {
            serde_json::Value::Object(map) => map.values().for_each(|value| collect(value, found)),
            serde_json::Value::Array(list) => list.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(&manifest::schema(kind), &mut found);
    found
}

#[test]
fn every_key_is_described_and_every_described_key_exists() {
    let documents = documents();
    for (kind, document) in [
        (Kind::Deployment, "docs/deployment-file.md"),
        (Kind::Schedule, "docs/schedules.md"),
        (Kind::Builder, "docs/builder-file.md"),
        (Kind::Settings, "docs/settings.md"),
        (Kind::Daemon, "docs/daemon.md"),
    ] {
        let text = &documents[document];
        let keys = keys(kind);
        // `a.b` and `a[].b` describe `b`.
        let spoken = text.split('`').skip(1).step_by(2);
        let spoken: BTreeSet<&str> =
            spoken.flat_map(|code| code.split([',', ' ', '.', '[', ']', '{', '}', ':'])).collect();
        let missing: Vec<_> = keys.iter().filter(|key| !spoken.contains(key.as_str())).collect();
        assert!(missing.is_empty(), "{document} does not describe {missing:?}");
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let rows = rows.map(|(key, _)| key.rsplit('.').next().unwrap_or(key).trim_end_matches("[]"));
        let unknown: Vec<_> = rows.filter(|key| !keys.contains(*key)).collect();
        assert!(unknown.is_empty(), "{document} describes keys that do not exist: {unknown:?}");
    }
}

/// The words after `$ setpoint` in the blocks `console`; a `|`, `>` or `&` ends a command.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (name, text) in documents() {
        for block in blocks(&name, &text).iter().filter(|block| block.language == "console") {
            for line in block.text.lines().filter_map(|line| line.strip_prefix("$ ")) {
                for command in line.split(['|', '>', '&', ';']) {
                    if let Some(words) = command.trim().strip_prefix("setpoint ") {
                        let words = words.split(" #").next().unwrap_or(words);
                        found.push((block.at.clone(), words.split_whitespace().map(str::to_owned).collect()));
                    }
                }
            }
        }
    }
    found
}

#[test]
fn every_command_and_option_that_is_shown_exists() {
    let commands = commands();
    assert!(commands.len() > 5, "only {} commands were found", commands.len());
    let mut help: BTreeMap<String, String> = BTreeMap::new();
    for (at, words) in commands {
        let Some(command) = words.first().filter(|word| !word.starts_with('-')) else { continue };
        let help = help.entry(command.clone()).or_insert_with(|| {
            let out = Command::new(env!("CARGO_BIN_EXE_setpoint")).args([command, "--help"]).output().unwrap();
            assert!(out.status.success(), "{at}: `setpoint {command}` is no command");
            String::from_utf8(out.stdout).unwrap()
        });
        for option in words.iter().filter(|word| word.starts_with('-') && word.len() > 1) {
            let option = option.split('=').next().unwrap_or(option);
            let known = help.split([' ', ',', '\n', '[', ']', '=']).any(|word| word == option);
            assert!(known, "{at}: `setpoint {command}` has no option {option}");
        }
    }
}

#[test]
fn what_does_not_work_on_podman_is_the_same_in_the_docs_and_in_doctor() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("docs/engines.md")).unwrap();
    let section = text.split("## Podman").nth(1).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(2);
    let rows: Vec<String> = rows.map(str::to_owned).collect();
    let gaps = setpoint::engine::PODMAN_GAPS;
    let listed: Vec<String> = gaps.iter().map(|gap| format!("| {} | {} |", gap.what, gap.instead)).collect();
    assert_eq!(rows, listed);
}

#[test]
fn every_link_leads_somewhere() {
    for (name, text) in documents() {
        let folder = Path::new(ROOT).join(&name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(link, _)| link)) {
            if link.contains("://") || link.starts_with('#') {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = folder.join(path);
            assert!(target.exists(), "{name}: {link} does not exist");
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let slug = |heading: &str| {
                    let kept = heading.trim_start_matches(['#', ' ']).to_lowercase();
                    let kept = kept.chars().filter(|sign| sign.is_alphanumeric() || matches!(sign, ' ' | '-' | '_'));
                    kept.map(|sign| if sign == ' ' { '-' } else { sign }).collect::<String>()
                };
                assert!(headings.map(slug).any(|slug| slug == anchor), "{name}: {link}: no such heading");
            }
        }
    }
}

#[test]
fn the_example_repo_compiles() {
    let tree = folder("examples/infra-repo");
    let desired = compiled("examples/infra-repo", &tree);
    let names: Vec<&str> = desired.deployments.keys().map(setpoint::model::DeploymentName::as_str).collect();
    assert_eq!(names, ["grpc-orchestrator", "notes", "shop", "timed"]);
    assert_eq!(desired.builds.len(), 1);
    assert_eq!(desired.settings.environment, "demo");
    let mut containers: Vec<String> = Vec::new();
    let mut ports: Vec<u16> = Vec::new();
    for (name, deployment) in &desired.deployments {
        for service in &deployment.services {
            containers.extend((1..=service.replicas).map(|slot| service.container_name(name, slot)));
            ports.extend(service.spec.ports.iter().filter_map(|port| port.host_port));
        }
    }
    containers.sort();
    let tasks = ["grpc_orchestrator", "grpc_task1", "grpc_task2", "grpc_task3"];
    let rest = ["notes-pages-1", "notes-pages-2", "shop-db-1", "shop-web-1"].map(str::to_owned);
    let presses = (1..=5).map(|press| format!("timed-press{press}-1"));
    let tasks = tasks.map(str::to_owned).into_iter();
    assert_eq!(containers, tasks.chain(rest).chain(presses).collect::<Vec<_>>());
    ports.sort_unstable();
    assert_eq!(ports, [18080, 50050, 50051, 50052, 50053, 50061, 50062, 50063, 50064, 50065]);
    let schedules: Vec<&str> = desired.schedules.keys().map(setpoint::model::ScheduleName::as_str).collect();
    assert_eq!(schedules, ["hybrid", "sequential", "template", "three-tasks", "timed"]);
    // Nothing needs a registry.
    for dockerfile in tree.files.iter().filter(|(path, _)| path.ends_with("/Dockerfile")) {
        let text = String::from_utf8(dockerfile.1.content.as_deref().unwrap().to_vec()).unwrap();
        assert!(text.contains("\nFROM scratch\n") && text.contains("busybox /bin/busybox"), "{}", dockerfile.0);
    }
    assert!(desired.notices.is_empty(), "{:?}", desired.notices);
}

#[test]
fn the_realtime_example_compiles() {
    let desired = compiled("examples/realtime", &folder("examples/realtime"));
    let control = desired.deployments.values().next().expect("one deployment");
    let task = control.services.iter().find(|service| service.id.as_str() == "critical_task").expect("the task");
    assert_eq!(task.spec.ulimits["memlock"].hard, 4_096_000_000);
    assert_eq!(task.spec.ulimits["rttime"].soft, -1);
    assert!(task.spec.cap_add.contains("SYS_NICE"));
    assert!(task.spec.command.as_ref().is_some_and(|words| words.join(" ").contains("--policy fifo --priority 90")));
}

#[test]
fn the_schemas_that_files_name_exist() {
    let mut count = 0;
    for example in ["examples/infra-repo", "examples/realtime"] {
        for (path, entry) in folder(example).files.iter().filter(|(path, _)| path.ends_with(".yaml")) {
            let text = String::from_utf8(entry.content.as_deref().unwrap().to_vec()).unwrap();
            let Some(schema) = text.split("yaml-language-server: $schema=").nth(1) else { continue };
            let schema = schema.lines().next().unwrap_or_default();
            let file = Path::new(ROOT).join(example).join(path).parent().unwrap().join(schema);
            assert!(file.exists(), "{example}/{path}: {schema} does not exist");
            count += 1;
        }
    }
    assert!(count >= 4, "only {count} files name their schema");
}

/// What is followed when the settings of a daemon name neither branch nor tag.
#[test]
fn the_branch_that_is_followed_by_default_is_the_one_that_docs_and_schema_name() {
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("infra.git");
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(args).current_dir(folder.path());
        assert!(command.output().unwrap().status.success(), "git {args:?}");
    };
    git(&["init", "--quiet", "-b", "main", "work"]);
    git(&["-C", "work", "commit", "--quiet", "--allow-empty", "-m", "first"]);
    git(&["-C", "work", "branch", "trunk"]);
    git(&["clone", "--quiet", "--bare", "work", "infra.git"]);
    git(&["-C", "infra.git", "symbolic-ref", "HEAD", "refs/heads/trunk"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for address in [bare.display().to_string(), format!("file://{}", bare.display())] {
        let mut config = setpoint::source::SourceConfig::new(&address).unwrap();
        config.cache_dir = folder.path().join("cache");
        let source = setpoint::source::Source::open(config).unwrap();
        let followed = runtime.block_on(source.fetch()).unwrap();
        assert_eq!(followed.reference, "trunk", "{address}");
    }
    let row = "| `repo.branch` | the branch to follow | what the server names; of a repo on this machine, its HEAD |";
    assert!(documents()["docs/daemon.md"].contains(row), "docs/daemon.md says something else");
    let schema = manifest::schema(Kind::Daemon).to_string();
    assert!(schema.contains("default the one that the server (a repo on this machine: its HEAD) names"), "{schema}");
}
