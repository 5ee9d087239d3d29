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
    let names: Vec<(String, String)> = variables(&key, &parameters, "{}")
        .into_iter()
        .map(|(name, value)| (name.into_string().unwrap(), value.into_string().unwrap()))
        .collect();
    let expected = [
        ("TASK_ID", "t"),
        ("RUN_ID", "r"),
        ("OCCURRENCE", "4"),
        ("ATTEMPT", "2"),
        ("TASK_PARAMETERS", "{}"),
        ("TASK_PARAM_MY_KEY_2", "true"),
        ("TASK_PARAM_NONE", "null"),
    ];
    assert_eq!(names, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

fn said(output: &str, errors: &str) -> Said {
    Said { output: output.into(), output_bytes: output.len(), errors: errors.into() }
}

#[test]
fn an_end_says_what_it_means() {
    let text = |exit, said: &Said| result(exit, said, 10).map_err(|error| error.to_string());
    assert_eq!(text(Exit::Code(0), &said("{\"a\":1}\n", "noise")), Ok(Some(json!({"a": 1}))));
    assert_eq!(text(Exit::Code(0), &said(" \n", "")), Ok(None));
    assert_eq!(text(Exit::Code(3), &said("{}", "one\ntwo\n")), Err("exit 3: one\ntwo".to_owned()));
    assert_eq!(text(Exit::Signal(9), &said("", "")), Err("ended by signal 9 (SIGKILL)".to_owned()));
    let large = Said { output_bytes: 11, ..said("[1,2,3,4,5", "") };
    assert_eq!(text(Exit::Code(0), &large), Err("its output of 11 bytes is more than the limit of 10".to_owned()));
    let error = text(Exit::Code(0), &said("hello\u{7}", "")).unwrap_err();
    assert!(error.starts_with("its output is not JSON (") && error.ends_with("`hello\\u{7}`"), "{error}");
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
        let said = Said { output_bytes: output.len(), output, errors };
        let _ = result(Exit::Code(code), &said, 20);
    }
}
