//! One thing that was looked at, and what is to be thought of it.

use serde_json::{Value, json};

/// One thing that was looked at.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) topic: &'static str,
    pub(super) state: State,
    pub(super) text: String,
    pub(super) remedy: Option<String>,
}

/// What is to be thought of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Good,
    /// Said, and no judgement.
    Note,
    Warning,
    Bad,
}

impl Finding {
    pub(super) fn good(topic: &'static str, text: impl Into<String>) -> Self {
        Self { topic, state: State::Good, text: text.into(), remedy: None }
    }

    pub(super) fn note(topic: &'static str, text: impl Into<String>) -> Self {
        Self { topic, state: State::Note, text: text.into(), remedy: None }
    }

    pub(super) fn not(topic: &'static str, state: State, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { topic, state, text: text.into(), remedy: Some(remedy.into()) }
    }

    /// As programs read it.
    pub(super) fn form(&self) -> Value {
        let state = match self.state {
            State::Good => "good",
            State::Note => "note",
            State::Warning => "warning",
            State::Bad => "bad",
        };
        json!({ "topic": self.topic, "state": state, "text": self.text, "remedy": self.remedy })
    }
}
