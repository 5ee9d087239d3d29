//! Words, variables and the meaning of ends.

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

fn said(output: &str, errors: &str) -> Said {
    Said { output: output.into(), output_bytes: output.len(), output_end: output.into(), errors: errors.into() }
}

/// The output or the error, the streams that are kept, the remark.
fn means(exit: Exit, said: &Said) -> (Result<Option<Value>, String>, [String; 2], Option<String>) {
    let Meaning { result, said: Streams { output, errors }, remark } = meaning(exit, said, 10);
    (result.map_err(|error| error.to_string()), [output, errors], remark)
}

#[test]
fn the_exit_code_alone_says_how_a_program_ended() {
    let none = || [String::new(), String::new()];
    assert_eq!(means(Exit::Code(0), &said("{\"a\":1}\n", "")), (Ok(Some(json!({"a": 1}))), none(), None));
    assert_eq!(means(Exit::Code(0), &said("hello\n", "")), (Ok(Some(json!("hello"))), none(), None));
    assert_eq!(means(Exit::Code(0), &said("a\nb\n\n", "")), (Ok(Some(json!("a\nb"))), none(), None));
    assert_eq!(means(Exit::Code(0), &said(" \n", "")), (Ok(None), none(), None));
    let (result, streams, _) = means(Exit::Code(3), &said("{}", "one\ntwo\n"));
    assert_eq!((result, streams), (Err("exit 3: one\ntwo".to_owned()), ["{}".to_owned(), "one\ntwo\n".to_owned()]));
    assert_eq!(means(Exit::Signal(9), &said("", "")).0, Err("ended by signal 9 (SIGKILL)".to_owned()));
}

#[test]
fn an_output_that_is_too_large_is_told_and_does_not_fail_what_succeeded() {
    let large = Said { output_bytes: 11, ..said("[1,2,3,4,5", "") };
    let (result, [kept, _], remark) = means(Exit::Code(0), &large);
    assert_eq!((result, kept.as_str()), (Ok(None), "[1,2,3,4,5"));
    assert!(remark.unwrap().starts_with("its output of 11 bytes is more than the limit of 10"));
    // Ten bytes, and far more of them as JSON.
    let (result, _, remark) = means(Exit::Code(0), &said("\u{1}\u{1}\u{1}\u{1}", ""));
    assert_eq!(result, Ok(None));
    assert!(remark.unwrap().starts_with("its output of 26 bytes"));
}

#[test]
fn of_what_it_said_last_only_the_end_is_told() {
    let errors: String = (0..1000).map(|line| format!("line {line}\n")).collect();
    let told = tail(errors.as_bytes());
    assert_eq!((told.lines().count(), told.lines().last()), (TAIL_LINES, Some("line 999")));
    assert_eq!(tail(&[b'x'; 5000]).len(), TAIL_BYTES);
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

    #[test]
    fn what_a_program_says_never_panics(output: Vec<u8>, errors: Vec<u8>, code in 0..3) {
        let said = Said { output_bytes: output.len(), output_end: output.clone(), output, errors };
        let meaning = meaning(Exit::Code(code), &said, 20);
        prop_assert_eq!(meaning.result.is_ok(), code == 0);
    }
}
