//! Values that can be written in several ways, as the engine takes and reports them: what is the same is no difference.

use super::tests::{mistakes, only, service};
use crate::model::ContainerSpec;

/// The settings of a service with these further lines.
fn spec(lines: &[&str]) -> ContainerSpec {
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let text = format!("services:\n  - id: a\n    image: b\n{lines}");
    service(&only(&[("deployments/a.yaml", &text)]), "a").spec.clone()
}

#[test]
fn a_working_dir_is_written_as_the_engine_reports_it() {
    for (written, expected) in
        [("/bin/", "/bin"), ("/a//b/../c/.", "/a/c"), ("/", "/"), ("/../a", "/a"), ("/srv", "/srv")]
    {
        let spec = spec(&[&format!("working_dir: {written}")]);
        assert_eq!(spec.working_dir.as_deref(), Some(expected), "{written}");
    }
}

#[test]
fn an_empty_entrypoint_takes_the_images_away_and_other_empty_values_say_nothing() {
    for written in ["''", "['']", "[]"] {
        let entrypoint = spec(&[&format!("entrypoint: {written}")]).entrypoint;
        assert_eq!(entrypoint, Some(Vec::new()), "{written}");
        assert_eq!(spec(&[&format!("command: {written}")]).command, None, "{written}");
    }
    assert_eq!(spec(&[]).entrypoint, None);
    let empty = spec(&["user: ''", "working_dir: ''"]);
    assert_eq!((empty.user, empty.working_dir), (None, None));
}

#[test]
fn every_address_of_version_6_is_another_wish_than_every_address() {
    let host_ip = |port: &str| spec(&[&format!("ports: ['{port}']")]).ports.first().unwrap().host_ip.clone();
    assert_eq!(host_ip("[::]:8080:80").as_deref(), Some("::"));
    assert_eq!(host_ip("0.0.0.0:8080:80"), None);
    assert_eq!(host_ip("8080:80"), None);
}

#[test]
fn a_container_name_does_not_take_the_endings_of_a_replacement() {
    for name in ["front.next", "back.prev"] {
        let text = format!("services:\n  - {{id: a, image: b, container_name: {name}}}\n");
        let report = mistakes(&[("deployments/a.yaml", &text)]);
        assert!(report.starts_with("error[reserved-name] deployments/a.yaml:2:"), "{report}");
    }
    let fine = spec(&["container_name: next"]);
    assert_eq!(fine.image, "b:latest");
}

#[test]
fn a_comment_behind_a_value_of_an_env_file_is_none_of_it() {
    let file =
        "LEVEL=debug # why\nQUOTED=\"a # b\"\nBOTH='a # b' # why\nEMPTY= # why\nPLACE=http://x/#top\nTAB=a\t# why\n";
    let text = "services:\n  - {id: a, image: b, env_file: a.env}\n";
    let deployment = only(&[("deployments/a.yaml", text), ("a.env", file)]);
    let env = &service(&deployment, "a").spec.env;
    let expected = [
        ("LEVEL", "debug"),
        ("QUOTED", "a # b"),
        ("BOTH", "a # b"),
        ("EMPTY", ""),
        ("PLACE", "http://x/#top"),
        ("TAB", "a"),
    ];
    for (name, value) in expected {
        assert_eq!(env[name], value, "{name}");
    }
}
