//! The one form of every error.

use super::dto::Problem;
use crate::daemon::timing::AskError;
use crate::daemon::{ApplyRefused, HandleError};
use crate::process::error::chain;
use crate::store::StoreError;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// A problem with its HTTP status.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    problem: Problem,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &str, error: impl Into<String>, hint: Option<&str>) -> Self {
        let problem = Problem { error: error.into(), code: code.to_owned(), hint: hint.map(str::to_owned) };
        Self { status, problem }
    }

    /// The body of the response.
    pub(super) fn into_problem(self) -> Problem {
        self.problem
    }

    pub(super) fn bad_request(error: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", error, Some(hint))
    }
}

impl From<HandleError> for Failure {
    fn from(error: HandleError) -> Self {
        let text = chain(&error);
        let missing = |hint| Self::new(StatusCode::NOT_FOUND, "not_found", text.clone(), Some(hint));
        match &error {
            HandleError::NothingLoaded => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                text,
                Some("`setpoint status` says what is wrong with the repo"),
            ),
            HandleError::NoDeployment { .. } => missing("`setpoint status` lists the deployments"),
            HandleError::NoInstance { .. } => {
                missing("`setpoint status` lists the instances, as deployment/service/slot")
            }
            HandleError::NoContainer { .. } => missing("`setpoint status` lists the instances"),
            HandleError::NoRun { .. } => missing("`setpoint runs` lists the runs"),
            HandleError::Run(AskError::NoSchedule(_)) => missing("`setpoint plan` shows the schedules of a commit"),
            HandleError::Run(AskError::UnderWay(_)) => {
                let hint = "wait for them, or choose another `overlap`; `setpoint runs` lists them";
                Self::new(StatusCode::CONFLICT, "conflict", text, Some(hint))
            }
            HandleError::Apply(ApplyRefused::Stale { .. }) => {
                let hint = "read the new plan, then pass its id; GET /v1/plan shows it as it is without lifted guards";
                Self::new(StatusCode::CONFLICT, "conflict", text, Some(hint))
            }
            HandleError::Apply(ApplyRefused::UnderWay) => {
                let hint = "wait for it; `setpoint status` shows how far it is";
                Self::new(StatusCode::CONFLICT, "conflict", text, Some(hint))
            }
            HandleError::Apply(ApplyRefused::Prevented(_)) => {
                let hint = "`setpoint status` says what the daemon waits for";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text, Some(hint))
            }
            HandleError::Apply(ApplyRefused::Ending) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text, None)
            }
            HandleError::Engine(_) => {
                let hint = "`setpoint status` says what is wrong with the engine";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text, Some(hint))
            }
            HandleError::Run(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text, None),
            HandleError::Store(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", text, None),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::from(HandleError::Store(error))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(error = self.problem.error, "a request failed");
        }
        (self.status, Json(self.problem)).into_response()
    }
}
