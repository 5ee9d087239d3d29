//! The id of a plan.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The identity of a plan: 64 hexadecimal digits, of which 12 are shown. Equal ids mean that the same would be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanId(String);

/// How many digits of an id are shown, and are at least asked for.
const SHOWN: usize = 12;
/// How many digits an id has.
const ALL: usize = 64;

impl PlanId {
    /// The id of a plan with this digest.
    pub fn new(digest: impl Into<String>) -> Self {
        Self(digest.into())
    }

    /// All 64 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text that a person passed names this plan: all digits, or at least the 12 that are shown.
    pub fn is(&self, text: &str) -> bool {
        text.len() >= SHOWN && self.0.starts_with(text)
    }

    /// Whether a text names any plan: from 12 digits to all.
    pub fn may_be(text: &str) -> bool {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (SHOWN..=ALL).contains(&text.len()) && text.bytes().all(digit)
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.get(..SHOWN).unwrap_or(&self.0))
    }
}
