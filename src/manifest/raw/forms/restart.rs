//! What the engine does when the process of a container ends.

use super::error::{Form, FormError};
use crate::model::Restart;

pub(in crate::manifest) fn restart(text: &str) -> Form<Restart> {
    let error = || {
        let help = "write `no`, `always`, `unless-stopped` or `on-failure:5`";
        FormError::new(format!("`{text}` is not a restart policy"), help)
    };
    match text {
        "no" | "false" => Ok(Restart::No),
        "always" => Ok(Restart::Always),
        "unless-stopped" => Ok(Restart::UnlessStopped),
        "on-failure" => Ok(Restart::OnFailure(0)),
        _ => match text.strip_prefix("on-failure:").map(str::parse) {
            Some(Ok(times)) => Ok(Restart::OnFailure(times)),
            _ => Err(error()),
        },
    }
}
