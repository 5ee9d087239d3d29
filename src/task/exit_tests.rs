//! The meaning of ends.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn wrote(output: &str, errors: &str) -> Written {
    Written { output: output.into(), output_bytes: output.len(), output_end: output.into(), errors: errors.into() }
}

/// The output or the error, the streams that are kept, the remark.
fn means(exit: Exit, written: &Written) -> (Result<Option<Value>, String>, [String; 2], Option<String>) {
    let Meaning { result, streams: Streams { output, errors }, remark } = meaning(exit, written, 10);
    (result.map_err(|error| error.to_string()), [output, errors], remark)
}

#[test]
fn the_exit_code_alone_says_how_a_program_ended() {
    let none = || [String::new(), String::new()];
    assert_eq!(means(Exit::Code(0), &wrote("{\"a\":1}\n", "")), (Ok(Some(json!({"a": 1}))), none(), None));
    assert_eq!(means(Exit::Code(0), &wrote("hello\n", "")), (Ok(Some(json!("hello"))), none(), None));
    assert_eq!(means(Exit::Code(0), &wrote("a\nb\n\n", "")), (Ok(Some(json!("a\nb"))), none(), None));
    assert_eq!(means(Exit::Code(0), &wrote(" \n", "")), (Ok(None), none(), None));
    let (result, streams, _) = means(Exit::Code(3), &wrote("{}", "one\ntwo\n"));
    assert_eq!((result, streams), (Err("exit 3: one\ntwo".to_owned()), ["{}".to_owned(), "one\ntwo\n".to_owned()]));
    assert_eq!(means(Exit::Signal(9), &wrote("", "")).0, Err("ended by signal 9 (SIGKILL)".to_owned()));
}

#[test]
fn an_output_that_is_too_large_is_reported_and_does_not_fail_what_succeeded() {
    let large = Written { output_bytes: 11, ..wrote("[1,2,3,4,5", "") };
    let (result, [kept, _], remark) = means(Exit::Code(0), &large);
    assert_eq!((result, kept.as_str()), (Ok(None), "[1,2,3,4,5"));
    assert!(remark.unwrap().starts_with("its output of 11 bytes is more than the limit of 10"));
    // Ten bytes, and far more of them as JSON.
    let (result, _, remark) = means(Exit::Code(0), &wrote("\u{1}\u{1}\u{1}\u{1}", ""));
    assert_eq!(result, Ok(None));
    assert!(remark.unwrap().starts_with("its output of 26 bytes"));
}

#[test]
fn only_the_end_of_standard_error_is_reported() {
    let errors: String = (0..1000).map(|line| format!("line {line}\n")).collect();
    let tail_text = tail(errors.as_bytes());
    assert_eq!((tail_text.lines().count(), tail_text.lines().last()), (TAIL_LINES, Some("line 999")));
    assert_eq!(tail(&[b'x'; 5000]).len(), TAIL_BYTES);
}

proptest! {
    #[test]
    fn what_a_program_writes_never_panics(output: Vec<u8>, errors: Vec<u8>, code in 0..3) {
        let written = Written { output_bytes: output.len(), output_end: output.clone(), output, errors };
        let meaning = meaning(Exit::Code(code), &written, 20);
        prop_assert_eq!(meaning.result.is_ok(), code == 0);
    }
}
