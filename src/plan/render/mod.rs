//! A plan as people and programs read it: one [`View`], rendered as terminal text, as Markdown and as JSON.

mod markdown;
mod text;
mod view;
mod words;

pub use markdown::markdown;
pub use text::text;
pub use view::{ChangeRow, Detail, HeldRow, StepRow, View};
pub use words::{change_line, held_text, reason_text, release, verdict};
