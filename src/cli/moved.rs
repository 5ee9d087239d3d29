//! What changed between the plan that was reviewed and the one that would be carried out now.

use super::exit::Failure;
use crate::plan::render::{View, text};
use similar::{ChangeTag, TextDiff};

/// The refusal of a stale plan id, with the lines that came and went.
pub(super) fn moved(reviewed: Option<&str>, id: &str, now: &View) -> Failure {
    let Some(reviewed) = reviewed else {
        return Failure::new(format!("plan {id} is not known here; the plan is now {}", now.id))
            .hint("plans are remembered where `setpoint plan` ran, with the same --state-dir");
    };
    let now_text = body(&text(now));
    let diff = TextDiff::from_lines(reviewed, &now_text);
    let lines: String = diff
        .iter_all_changes()
        .filter_map(|change| match change.tag() {
            ChangeTag::Delete => Some(format!("  - {}", change.value())),
            ChangeTag::Insert => Some(format!("  + {}", change.value())),
            ChangeTag::Equal => None,
        })
        .collect();
    Failure::new(format!("plan {id} is stale, nothing was changed; the plan is now {}\n{}", now.id, lines.trim_end()))
        .hint("read the new plan, then pass its id")
}

/// A plan's text without colour and without the line that names its id: what is remembered of it.
pub(super) fn body(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    plain.lines().filter(|line| !line.contains(" · plan ")).map(|line| format!("{line}\n")).collect()
}
