//! Words and variables.

use super::*;
use crate::model::TaskId;
use proptest::prelude::*;
use serde_json::json;

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("an object") };
    object
}

#[test]
fn only_names_in_braces_are_replaced_and_words_stay_whole() {
    let parameters = object(json!({"file": "a b; rm *", "n": 3, "l": [1, "x"], "program": "evil"}));
    let words = ["{{program}}", "--in={{file}}", "{{n}}{{l}}", "{{.Names}}", "{print $1}", "{{ n }}", "{{", "{{{{n}}"];
    let line = CommandLine::new(words).unwrap();
    assert_eq!(line.program(), "{{program}}", "no parameter chooses the program");
    let filled = line.arguments(&parameters).unwrap();
    assert_eq!(filled, ["--in=a b; rm *", "3[1,\"x\"]", "{{.Names}}", "{print $1}", "{{ n }}", "{{", "{{3"]);
    let line = CommandLine::new(["true", "{{missing}}"]).unwrap();
    assert_eq!(line.arguments(&parameters).unwrap_err().to_string(), "parameter `missing`: it is missing");
    assert_eq!(CommandLine::new([""; 1]), None);
    assert_eq!(CommandLine::new(Vec::<String>::new()), None);
}

#[test]
fn scalars_become_variables_and_what_is_too_large_or_no_text_does_not() {
    let long = "x".repeat(MAX_VARIABLE + 1);
    let parameters = object(json!({"my-key.2": true, "o": {"a": 1}, "long": long, "zero": "a\u{0}b", "none": null}));
    let key = AttemptKey { run_id: "r".to_owned(), task_id: TaskId::new("t"), occurrence: 4, attempt: 2 };
    let line = CommandLine::new(["true"]).unwrap().environment([("MODE".to_owned(), "fast".to_owned())]);
    let variables = line.variables(&key, &parameters, "{}");
    let names: Vec<&str> = variables.keys().map(String::as_str).collect();
    for name in &names {
        let known = INHERITED.contains(name) || name.starts_with("TASK_") || name.starts_with("SETPOINT_");
        assert!(known || ["MODE", "RUN_ID", "OCCURRENCE", "ATTEMPT"].contains(name), "{name} is the runner's own");
    }
    for (name, value) in [
        ("TASK_ID", "t"),
        ("SETPOINT_TASK", "t"),
        ("RUN_ID", "r"),
        ("SETPOINT_RUN", "r"),
        ("OCCURRENCE", "4"),
        ("SETPOINT_OCCURRENCE", "4"),
        ("ATTEMPT", "2"),
        ("SETPOINT_ATTEMPT", "2"),
        ("TASK_PARAMETERS", "{}"),
        ("TASK_PARAM_MY_KEY_2", "true"),
        ("TASK_PARAM_NONE", "null"),
        ("MODE", "fast"),
    ] {
        assert_eq!(variables.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(
        !names.iter().any(|name| ["TASK_PARAM_O", "TASK_PARAM_LONG", "TASK_PARAM_ZERO"].contains(name)),
        "{names:?}"
    );
    assert!(names.contains(&"PATH"));
    let line = line.environment([("PATH".to_owned(), "/opt/bin".to_owned())]);
    assert_eq!(line.variables(&key, &parameters, "{}")["PATH"], "/opt/bin", "what is declared goes first");
}

#[test]
fn a_program_is_found_as_a_shell_finds_it() {
    let file = |program: &str, path: &str| CommandLine::new([program]).unwrap().file(path);
    let shell = file("sh", "/nonexistent:/bin:/usr/bin").unwrap();
    assert!(shell.is_absolute() && shell.ends_with("sh"), "{shell:?}");
    assert_eq!(file("/opt/x", "").unwrap(), Path::new("/opt/x"));
    assert!(file("./x", "").unwrap().is_absolute());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes"), "no program").unwrap();
    let error = file("notes", &folder.path().display().to_string()).unwrap_err().to_string();
    assert!(error.starts_with("cannot start `notes`: it is in no folder of PATH"), "{error}");
}

proptest! {
    #[test]
    fn words_without_names_stay_as_they_are(word in "[^{]*\\{?[^{]*") {
        prop_assert_eq!(fill(&word, &Map::new()).unwrap(), word);
    }

    #[test]
    fn a_parameter_is_put_in_once_and_not_looked_through(text in "\\PC*") {
        let parameters = object(json!({"a": text, "b": "no"}));
        prop_assert_eq!(fill("<{{a}}>", &parameters).unwrap(), format!("<{text}>"));
    }
}
