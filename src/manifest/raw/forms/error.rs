//! Why a text does not have its form.

use crate::model::QuantityError;

/// What a text says, or why it does not have its form.
pub(super) type Form<T> = Result<T, FormError>;

/// Why a text is not of its form, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct FormError {
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: String,
}

impl FormError {
    /// An error about a text.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into() }
    }
}

impl From<QuantityError> for FormError {
    fn from(error: QuantityError) -> Self {
        let text = error.to_string();
        match text.split_once("; ") {
            Some((message, help)) => Self::new(message, help),
            None => Self::new(text, "write a number with its unit"),
        }
    }
}
