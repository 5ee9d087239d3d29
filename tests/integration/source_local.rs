//! Repositories on this machine: opened in place, read from objects, never written to.

use crate::support::git::{Repo, files_below, run};
use futures_util::StreamExt;
use setpoint::model::{CommitId, ContextFile, FileKind, FileTree};
use setpoint::source::{Blobs, ChangeKind, Source, SourceConfig, SourceError, read_folder, read_index};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

fn open(address: &str) -> Source {
    Source::open(SourceConfig::new(address).unwrap()).unwrap()
}

fn open_at(address: &Path, change: impl FnOnce(&mut SourceConfig)) -> Source {
    let mut config = SourceConfig::new(address.to_str().unwrap()).unwrap();
    change(&mut config);
    Source::open(config).unwrap()
}

fn text<'a>(files: &'a FileTree, path: &str) -> &'a str {
    std::str::from_utf8(files.get(path).unwrap().content.as_ref().unwrap()).unwrap()
}

#[tokio::test]
async fn a_path_a_bare_repository_and_a_file_address_show_the_same() {
    let repo = Repo::with_files();
    let head = repo.head();
    let work = repo.work();
    let addresses = [
        work.to_str().unwrap().to_owned(),
        work.join("images/api").to_str().unwrap().to_owned(),
        repo.bare().to_str().unwrap().to_owned(),
        format!("file://{}", repo.bare().display()),
        format!("file://{}", work.display()),
    ];
    for address in addresses {
        let source = open(&address);
        let revision = source.fetch().await.unwrap();
        assert_eq!((revision.commit.as_str(), revision.reference.as_str()), (head.as_str(), "main"), "{address}");
        assert_eq!((revision.summary.as_str(), revision.author.as_str()), ("first", "Ada Admin <ada@example.org>"));
        let (read, files) = source.read(revision.commit.as_str()).await.unwrap();
        assert_eq!(read, revision);
        let listed: Vec<(&str, FileKind)> = files.files.iter().map(|(path, file)| (path.as_str(), file.kind)).collect();
        assert_eq!(
            listed,
            [
                ("deployments/shop.yaml", FileKind::Regular),
                ("images/api/Dockerfile", FileKind::Regular),
                ("images/api/run.sh", FileKind::Executable),
                ("images/api/start", FileKind::Symlink),
            ]
        );
        assert_eq!(text(&files, "deployments/shop.yaml"), "deployment: {name: shop}\n");
        assert_eq!(text(&files, "images/api/start"), "run.sh");
        assert_eq!(files.get("images/api/run.sh").unwrap().oid, repo.git(&["rev-parse", "HEAD:images/api/run.sh"]));
    }
}

#[tokio::test]
async fn uncommitted_files_do_not_show_and_nothing_is_written() {
    let repo = Repo::with_files();
    repo.write("deployments/new.yaml", "x");
    let before: BTreeMap<_, _> = files_below(&repo.work().join(".git"))
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    let source = open(repo.work().to_str().unwrap());
    source.fetch().await.unwrap();
    let (_, files) = source.read("HEAD").await.unwrap();
    assert!(files.get("deployments/new.yaml").is_none());
    let after: BTreeMap<_, _> = files_below(&repo.work().join(".git"))
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    assert!(before == after);
}

#[tokio::test]
async fn branches_tags_ids_and_expressions_resolve() {
    let repo = Repo::with_files();
    let first = repo.head();
    repo.git(&["tag", "-a", "-m", "one", "v1"]);
    repo.git(&["branch", "stable/one"]);
    repo.write("deployments/shop.yaml", "deployment: {name: shop2}\n");
    let second = repo.commit("second");

    let source = open(repo.work().to_str().unwrap());
    for (rev, commit, reference) in [
        ("HEAD", &second, "main"),
        ("main", &second, "main"),
        ("HEAD~1", &first, "HEAD~1"),
        ("v1", &first, "v1"),
        ("refs/tags/v1", &first, "v1"),
        ("stable/one", &first, "stable/one"),
        (&first, &first, "main"),
        (&first[..8], &first, &first[..8]),
    ] {
        let (revision, _) = source.read(rev).await.unwrap();
        assert_eq!((revision.commit.as_str(), revision.reference.as_str()), (commit.as_str(), reference), "{rev}");
    }
    let tagged = open_at(&repo.work(), |config| config.reference = Some("v1".to_owned()));
    assert_eq!(tagged.fetch().await.unwrap().commit, CommitId::new(&*first));
}

#[tokio::test]
async fn a_missing_reference_is_told_with_what_is_similar() {
    let repo = Repo::with_files();
    repo.git(&["branch", "production"]);
    let source = open_at(&repo.work(), |config| config.reference = Some("prodction".to_owned()));
    let error = source.fetch().await.unwrap_err();
    assert!(
        error.to_string().ends_with("has no branch, tag or commit `prodction`; did you mean production?"),
        "{error}"
    );
    let error = source.read("zzz").await.unwrap_err();
    assert!(error.to_string().ends_with("`zzz`; there is main, production"), "{error}");
    let error = source.read(&"0123456789".repeat(4)).await.unwrap_err();
    assert!(matches!(error, SourceError::MissingReference { .. }), "{error}");
}

#[tokio::test]
async fn an_empty_repository_says_so_until_its_first_commit() {
    let repo = Repo::empty();
    let source = open(repo.work().to_str().unwrap());
    let error = source.fetch().await.unwrap_err();
    assert!(matches!(error, SourceError::Empty { .. }) && error.is_retryable(), "{error}");
    repo.write("a.yaml", "a");
    let commit = repo.commit("first");
    assert_eq!(source.fetch().await.unwrap().commit, CommitId::new(&*commit));
}

#[tokio::test]
async fn a_subfolder_is_the_root_and_a_missing_one_an_error() {
    let repo = Repo::with_files();
    let source = open_at(&repo.work(), |config| config.path = "./images/api/".to_owned());
    let (_, files) = source.read("HEAD").await.unwrap();
    assert_eq!(files.files.keys().collect::<Vec<_>>(), ["Dockerfile", "run.sh", "start"]);

    for folder in ["images/none", "images/api/run.sh"] {
        let source = open_at(&repo.work(), |config| config.path = folder.to_owned());
        let error = source.read("HEAD").await.unwrap_err();
        assert!(matches!(&error, SourceError::MissingFolder { folder: named, .. } if named == folder), "{error}");
    }
    let mut config = SourceConfig::new(repo.work().to_str().unwrap()).unwrap();
    config.path = "../work".to_owned();
    assert!(matches!(Source::open(config).unwrap_err(), SourceError::FolderPath { .. }));
}

#[tokio::test]
async fn what_is_no_repository_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("none")] {
        let error = Source::open(SourceConfig::new(path.to_str().unwrap()).unwrap()).unwrap_err();
        assert!(matches!(error, SourceError::NotARepository { .. }), "{error}");
    }
}

#[test]
fn a_repository_of_another_user_is_refused_with_the_remedy() {
    let repo = Repo::with_files();
    // Only root may give files away.
    if run(Command::new("id").arg("-u")) != "0" {
        eprintln!("skipped: needs root to give a repository to another user");
        return;
    }
    run(Command::new("chown").args(["-R", "12345"]).arg(repo.work()));
    let error = Source::open(SourceConfig::new(repo.work().to_str().unwrap()).unwrap()).unwrap_err();
    assert!(matches!(error, SourceError::Owner { .. }), "{error}");
    assert!(error.to_string().contains("safe.directory"), "{error}");
}

#[tokio::test]
async fn a_force_push_a_deleted_branch_and_a_recreated_repository_are_followed() {
    let repo = Repo::with_files();
    let bare = repo.bare();
    let source = open_at(&bare, |config| config.reference = Some("main".to_owned()));
    source.fetch().await.unwrap();

    repo.git(&["commit", "-q", "--amend", "-m", "rewritten"]);
    repo.push();
    assert_eq!(source.fetch().await.unwrap().summary, "rewritten");

    run(Command::new("git").arg("-C").arg(&bare).args(["update-ref", "-d", "refs/heads/main"]));
    assert!(source.fetch().await.unwrap_err().is_retryable());
    repo.push();
    assert_eq!(source.fetch().await.unwrap().summary, "rewritten");

    std::fs::remove_dir_all(&bare).unwrap();
    assert!(matches!(source.fetch().await.unwrap_err(), SourceError::NotARepository { .. }));
    run(Command::new("git").args(["clone", "-q", "--bare"]).arg(repo.work()).arg(&bare));
    assert_eq!(source.fetch().await.unwrap().summary, "rewritten");
}

#[tokio::test]
async fn a_damaged_repository_of_the_user_is_reported_and_left_alone() {
    let repo = Repo::with_files();
    let blob = repo.git(&["rev-parse", "HEAD:deployments/shop.yaml"]);
    let object = repo.work().join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    let mut permissions = object.metadata().unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(&object, permissions).unwrap();
    std::fs::write(&object, "garbage").unwrap();
    let source = open(repo.work().to_str().unwrap());
    let error = source.read("HEAD").await.unwrap_err();
    assert!(matches!(error, SourceError::Corrupt { .. }), "{error}");
    assert_eq!(std::fs::read(&object).unwrap(), b"garbage");
}

#[tokio::test]
async fn submodules_are_entries_and_large_files_have_no_content() {
    let repo = Repo::with_files();
    let id = repo.head();
    repo.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{id},vendor/other")]);
    repo.write("big.yaml", &"x".repeat((1 << 20) + 1));
    repo.git(&["add", "big.yaml"]);
    repo.git(&["commit", "-q", "-m", "submodule"]);
    let (_, files) = open(repo.work().to_str().unwrap()).read("HEAD").await.unwrap();
    let entry = files.get("vendor/other").unwrap();
    assert_eq!((entry.kind, entry.oid.as_str(), entry.content.is_none()), (FileKind::Submodule, id.as_str(), true));
    let big = files.get("big.yaml").unwrap();
    assert_eq!((big.size, big.content.is_none()), ((1 << 20) + 1, true));
}

#[tokio::test]
async fn a_tree_that_unfolds_without_end_is_refused() {
    let repo = Repo::empty();
    repo.write("f", "x");
    repo.commit("seed");
    // Ten entries on each of ten levels: 10^10 paths in eleven objects.
    let mut entry = format!("100644 blob {}\t", repo.git(&["rev-parse", "HEAD:f"]));
    for _ in 0..10 {
        let listing: String = (0..10).map(|n| format!("{entry}{n}\n")).collect();
        let file = repo.folder.path().join("listing");
        std::fs::write(&file, listing).unwrap();
        let tree = run(Command::new("sh").arg("-c").arg(format!(
            "git -C {} mktree < {}",
            repo.work().display(),
            file.display()
        )));
        entry = format!("040000 tree {tree}\t");
    }
    let tree = entry.split_whitespace().nth(2).unwrap().to_owned();
    let commit = repo.git(&["commit-tree", "-m", "bomb", &tree]);
    let error = open(repo.work().to_str().unwrap()).read(&commit).await.unwrap_err();
    assert!(matches!(error, SourceError::TooManyFiles { .. }), "{error}");
}

#[tokio::test]
async fn changes_and_commits_between_two_revisions() {
    let repo = Repo::with_files();
    let first = repo.head();
    repo.write("deployments/shop.yaml", "changed\n");
    repo.write("deployments/new.yaml", "new\n");
    let second = repo.commit("second");
    std::fs::remove_file(repo.work().join("images/api/start")).unwrap();
    let third = repo.commit("third");

    let source = open(repo.work().to_str().unwrap());
    let changed = source.changed_files(&first, &third).await.unwrap();
    let listed: Vec<_> = changed.iter().map(|file| (file.path.as_str(), file.change)).collect();
    assert_eq!(
        listed,
        [
            ("deployments/new.yaml", ChangeKind::Added),
            ("deployments/shop.yaml", ChangeKind::Modified),
            ("images/api/start", ChangeKind::Deleted),
        ]
    );
    let commits = source.commits_between(&first, "main", 10).await.unwrap();
    assert_eq!(
        commits.iter().map(|commit| &commit.commit).collect::<Vec<_>>(),
        [&CommitId::new(&*third), &CommitId::new(&*second)]
    );

    let folder = open_at(&repo.work(), |config| config.path = "deployments".to_owned());
    let changed = folder.changed_files(&first, &third).await.unwrap();
    assert_eq!(changed.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["new.yaml", "shop.yaml"]);
}

#[test]
fn a_folder_on_disk_reads_like_its_commit() {
    let repo = Repo::with_files();
    repo.write(".gitignore", "*.log\nforced.txt\n/target/\n");
    repo.write("forced.txt", "tracked although ignored\n");
    repo.git(&["add", "-f", "forced.txt"]);
    repo.commit("ignore");
    repo.write("noise.log", "x");
    repo.write("target/out", "x");
    repo.write(".hidden/new.yaml", "untracked: true\n");
    let (files, _) = read_folder(&repo.work()).unwrap();
    let names: Vec<_> = files.files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            ".gitignore",
            ".hidden/new.yaml",
            "deployments/shop.yaml",
            "forced.txt",
            "images/api/Dockerfile",
            "images/api/run.sh",
            "images/api/start"
        ]
    );
    for (path, file) in &files.files {
        if path != ".hidden/new.yaml" {
            assert_eq!(file.oid, repo.git(&["rev-parse", &format!("HEAD:{path}")]), "{path}");
        }
    }
    assert_eq!(files.get("images/api/run.sh").unwrap().kind, FileKind::Executable);
    assert_eq!(
        (files.get("images/api/start").unwrap().kind, text(&files, "images/api/start")),
        (FileKind::Symlink, "run.sh")
    );
    let (below, _) = read_folder(&repo.work().join("images")).unwrap();
    assert_eq!(below.files.keys().collect::<Vec<_>>(), ["api/Dockerfile", "api/run.sh", "api/start"]);
}

#[test]
fn a_folder_without_git_works_and_links_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.yaml"), "s").unwrap();
    std::fs::write(folder.path().join("a.yaml"), "a").unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("s.sock")).unwrap();
    let (files, _) = read_folder(folder.path()).unwrap();
    let listed: Vec<_> = files.files.iter().map(|(path, file)| (path.as_str(), file.kind)).collect();
    assert_eq!(listed, [("a.yaml", FileKind::Regular), ("out", FileKind::Symlink)]);
    std::fs::create_dir_all(folder.path().join("d/".repeat(70))).unwrap();
    assert!(matches!(read_folder(folder.path()).unwrap_err(), SourceError::TooManyFiles { .. }));
    assert!(matches!(read_folder(&folder.path().join("none")).unwrap_err(), SourceError::Folder { .. }));
}

#[test]
fn the_index_shows_what_is_staged() {
    let repo = Repo::with_files();
    repo.write("deployments/shop.yaml", "staged\n");
    repo.git(&["add", "deployments/shop.yaml"]);
    repo.write("deployments/shop.yaml", "not staged\n");
    repo.write("deployments/later.yaml", "later\n");
    repo.git(&["add", "--intent-to-add", "deployments/later.yaml"]);
    let (files, _) = read_index(&repo.work(), None, "").unwrap();
    assert_eq!(text(&files, "deployments/shop.yaml"), "staged\n");
    assert!(files.get("deployments/later.yaml").is_none());
    let (below, _) = read_index(&repo.work(), None, "deployments").unwrap();
    assert_eq!(below.files.keys().collect::<Vec<_>>(), ["shop.yaml"]);

    let other = repo.folder.path().join("other-index");
    run(Command::new("git").arg("-C").arg(repo.work()).env("GIT_INDEX_FILE", &other).args(["read-tree", "HEAD"]));
    // `run` drops GIT_INDEX_FILE, so the other index is made by hand.
    std::fs::copy(repo.work().join(".git/index"), &other).unwrap();
    repo.git(&["reset", "-q"]);
    let (files, _) = read_index(&repo.work(), Some(&other), "").unwrap();
    assert!(files.get("deployments/shop.yaml").is_some());
}

#[test]
fn a_conflict_in_the_index_is_told() {
    let repo = Repo::with_files();
    repo.git(&["checkout", "-q", "-b", "other"]);
    repo.write("deployments/shop.yaml", "theirs\n");
    repo.commit("theirs");
    repo.git(&["checkout", "-q", "main"]);
    repo.write("deployments/shop.yaml", "ours\n");
    repo.commit("ours");
    let merge = Command::new("git")
        .arg("-C")
        .arg(repo.work())
        .args(["-c", "user.name=a", "-c", "user.email=a@b", "merge", "-q", "other"])
        .output()
        .unwrap();
    assert!(!merge.status.success());
    let error = read_index(&repo.work(), None, "").unwrap_err();
    assert!(matches!(&error, SourceError::Conflict { paths } if paths == &["deployments/shop.yaml"]), "{error}");
}

fn context(files: &FileTree) -> Arc<[ContextFile]> {
    files
        .files
        .iter()
        .map(|(path, file)| ContextFile { path: path.clone(), oid: file.oid.clone(), kind: file.kind, size: file.size })
        .collect()
}

async fn collect(blobs: &Blobs, files: Arc<[ContextFile]>) -> std::io::Result<Vec<u8>> {
    let mut stream = blobs.archive(files);
    let mut all = Vec::new();
    while let Some(chunk) = stream.next().await {
        all.extend_from_slice(&chunk?);
    }
    Ok(all)
}

#[tokio::test]
async fn an_archive_from_git_and_from_disk_is_the_same_and_deterministic() {
    let repo = Repo::with_files();
    let long = format!("images/{}x", "long-name/".repeat(15));
    repo.write(&long, &"0123456789".repeat(50_000));
    repo.write("images/api/same", "run.sh");
    repo.commit("long");
    let source = open(repo.work().to_str().unwrap());
    let (_, files) = source.read("HEAD").await.unwrap();
    let (on_disk, folder) = read_folder(&repo.work()).unwrap();
    let tar = collect(&source.blobs(), context(&files)).await.unwrap();
    assert_eq!(tar, collect(&source.blobs(), context(&files)).await.unwrap());
    assert!(tar == collect(&folder, context(&on_disk)).await.unwrap());

    let mut seen = BTreeMap::new();
    for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        let header = entry.header();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0, 0, 0));
        let link = entry.link_name().unwrap().map(|link| link.display().to_string());
        seen.insert(entry.path().unwrap().display().to_string(), (header.mode().unwrap(), link, content));
    }
    assert_eq!(seen["images/api/run.sh"], (0o755, None, "#!/bin/sh\n".to_owned()));
    assert_eq!(seen["images/api/start"], (0o777, Some("run.sh".to_owned()), String::new()));
    assert_eq!(seen["images/api/same"], (0o644, None, "run.sh".to_owned()));
    assert_eq!(seen[&long].2.len(), 500_000);
    assert_eq!(seen.len(), files.files.len());
}

#[tokio::test]
async fn an_archive_waits_for_its_consumer_and_ends_with_it() {
    let repo = Repo::empty();
    repo.write("big", &"x".repeat(8 << 20));
    repo.commit("big");
    let source = open(repo.work().to_str().unwrap());
    let (_, files) = source.read("HEAD").await.unwrap();
    let mut stream = source.archive(context(&files));
    assert!(stream.next().await.unwrap().unwrap().len() <= 64 << 10);
    drop(stream);
    // The repository's own thread was never blocked by it.
    assert!(source.fetch().await.is_ok());
}

#[tokio::test]
async fn an_archive_of_missing_or_changed_files_fails() {
    let repo = Repo::with_files();
    let source = open(repo.work().to_str().unwrap());
    let none: Arc<[ContextFile]> =
        Arc::new([ContextFile { path: "gone.txt".to_owned(), oid: "12".repeat(20), kind: FileKind::Regular, size: 1 }]);
    let error = collect(&source.blobs(), none).await.unwrap_err();
    assert!(error.to_string().contains("gone.txt"), "{error}");

    let (files, blobs) = read_folder(&repo.work()).unwrap();
    repo.write("images/api/Dockerfile", "FROM other\n");
    let error = collect(&blobs, context(&files)).await.unwrap_err();
    assert!(error.to_string().contains("images/api/Dockerfile: the file changed"), "{error}");
}
