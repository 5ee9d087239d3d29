//! The routes.

use super::Socket;
use super::error::Failure;
use crate::daemon::status::{InstanceStatus, Status};
use crate::daemon::timing::Asked;
use crate::daemon::why::Why;
use crate::daemon::{ApplyOrder, Carried, Handle};
use crate::model::{DeploymentName, InstanceId, RunId, ScheduleName, Timestamp};
use crate::plan::PlanId;
use crate::plan::render::View;
use crate::process::supervise::TaskResult;
use crate::store::{EventFilter, Recorded, RunFilter, RunRecord, RunRow};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// No body is larger: a plan and the guards that are lifted for it.
const BODY_LIMIT: u64 = 64 * 1024;
/// The longest wait for events.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// The answer to a request that is carried out later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Whether it changes anything.
    pub changed: bool,
}

/// Some events and where to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventsPage {
    /// In order of time.
    pub events: Vec<Recorded>,
    /// What to pass as `after` for those that follow.
    pub next: i64,
}

#[derive(Clone)]
struct Shared {
    handle: Handle,
    stop: CancellationToken,
}

/// Serves until `stop` is cancelled; waiting requests are answered then.
///
/// # Errors
/// When the socket fails.
pub async fn serve(socket: Socket, handle: Handle, stop: CancellationToken) -> TaskResult {
    let (listener, guard) = socket.into_parts();
    tracing::info!(socket = %guard.path().display(), "the API listens");
    let router = router(Shared { handle, stop: stop.clone() });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(())
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/instances", get(instances))
        .route("/v1/events", get(events))
        .route("/v1/plan", get(plan))
        .route("/v1/why/{*instance}", get(why))
        .route("/v1/runs", get(runs))
        .route("/v1/runs/{id}", get(run_record))
        .route("/v1/run/{schedule}", post(run))
        .route("/v1/apply", post(apply))
        .route("/v1/poke", post(poke))
        .route("/v1/suspend/{deployment}", post(suspend))
        .route("/v1/resume/{deployment}", post(resume))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(bounded))
        .with_state(shared)
}

async fn status(State(shared): State<Shared>) -> Json<Status> {
    Json(shared.handle.status())
}

async fn instances(State(shared): State<Shared>) -> Json<Vec<InstanceStatus>> {
    Json(shared.handle.status().instances)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    after: Option<i64>,
    limit: Option<usize>,
    subject: Option<String>,
    kind: Option<String>,
    since: Option<Timestamp>,
    /// The newest instead of the oldest.
    #[serde(default)]
    newest: bool,
    /// Seconds to wait when there are none.
    #[serde(default)]
    wait: u64,
}

async fn events(
    State(shared): State<Shared>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Json<EventsPage>, Failure> {
    let Query(query) = query.map_err(|error| {
        let hint =
            "parameters: after, limit, subject, kind, since (RFC 3339), newest (true), wait (seconds, at most 60)";
        Failure::bad_request(error.body_text(), hint)
    })?;
    let filter = EventFilter {
        environment: None,
        subject: query.subject,
        kind: query.kind,
        since: query.since,
        after: query.after,
        limit: query.limit.unwrap_or(100),
        newest: query.newest,
    };
    let wait = Duration::from_secs(query.wait).min(WAIT_LIMIT);
    // Both arms are cancel-safe.
    let events = tokio::select! {
        events = shared.handle.events(&filter, wait) => events?,
        () = shared.stop.cancelled() => Vec::new(),
    };
    let next = events.last().map_or(query.after.unwrap_or(0), |event| event.id);
    Ok(Json(EventsPage { events, next }))
}

async fn plan(State(shared): State<Shared>) -> Result<Json<Arc<View>>, Failure> {
    let hint = "`setpoint status` says what the daemon waits for";
    let missing = || Failure::new(StatusCode::NOT_FOUND, "not_found", "no plan was made yet", Some(hint));
    shared.handle.plan().map(Json).ok_or_else(missing)
}

async fn why(State(shared): State<Shared>, Path(instance): Path<String>) -> Result<Json<Why>, Failure> {
    let instance: InstanceId = instance
        .parse()
        .map_err(|error| Failure::bad_request(format!("{error}"), "name one instance, such as shop/api/1"))?;
    Ok(Json(shared.handle.why(&instance)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunsQuery {
    schedule: Option<String>,
    #[serde(default)]
    limit: usize,
}

async fn runs(
    State(shared): State<Shared>,
    query: Result<Query<RunsQuery>, QueryRejection>,
) -> Result<Json<Vec<RunRow>>, Failure> {
    let refused = |error: QueryRejection| Failure::bad_request(error.body_text(), "parameters: schedule, limit");
    let Query(query) = query.map_err(refused)?;
    let schedule = query.schedule.map(ScheduleName::new);
    Ok(Json(shared.handle.runs(&RunFilter { schedule, limit: query.limit, ..RunFilter::default() })?))
}

async fn run_record(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Json<RunRecord>, Failure> {
    Ok(Json(shared.handle.run_record(&RunId::new(id))?))
}

async fn run(State(shared): State<Shared>, Path(schedule): Path<String>) -> Result<(StatusCode, Json<Asked>), Failure> {
    Ok((StatusCode::ACCEPTED, Json(shared.handle.run(ScheduleName::new(schedule)).await?)))
}

/// Answers when the plan is through. A caller that does not wait for that ends nothing.
async fn apply(State(shared): State<Shared>, body: Result<Bytes, BytesRejection>) -> Result<Json<Carried>, Failure> {
    let hint = r#"send {"plan": ID, "allow": ["retry:shop/api", …]} with the id that `setpoint plan` shows"#;
    let body = body.map_err(|error| Failure::bad_request(error.body_text(), hint))?;
    let order: ApplyOrder = serde_json::from_slice(&body)
        .map_err(|error| Failure::bad_request(format!("the body is not understood: {error}"), hint))?;
    if !PlanId::may_be(&order.plan) {
        let error = format!(
            "`{}` is not a plan id: a plan id has 64 hexadecimal digits, and the first 12 are enough",
            order.plan
        );
        return Err(Failure::bad_request(error, hint));
    }
    Ok(Json(shared.handle.apply(order).await?))
}

async fn poke(State(shared): State<Shared>) -> (StatusCode, Json<Accepted>) {
    shared.handle.poke();
    (StatusCode::ACCEPTED, Json(Accepted { changed: true }))
}

async fn suspend(
    State(shared): State<Shared>,
    Path(deployment): Path<String>,
) -> Result<(StatusCode, Json<Accepted>), Failure> {
    let changed = shared.handle.suspend(&DeploymentName::new(deployment))?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { changed })))
}

async fn resume(
    State(shared): State<Shared>,
    Path(deployment): Path<String>,
) -> Result<(StatusCode, Json<Accepted>), Failure> {
    let changed = shared.handle.resume(&DeploymentName::new(deployment))?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { changed })))
}

async fn unknown(request: Request) -> Failure {
    let error = format!("there is no {}", request.uri().path());
    let hint = "routes: /v1/status, instances, events, plan, why/{instance}, runs, runs/{id}, run/{schedule}, apply, poke, \
         suspend/{deployment}, resume/{deployment}";
    Failure::new(StatusCode::NOT_FOUND, "not_found", error, Some(hint))
}

async fn wrong_method(request: Request) -> Failure {
    let error = format!("{} does not take {}", request.uri().path(), request.method());
    let hint = "what reads is GET, what changes is POST";
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", error, Some(hint))
}

/// Refuses bodies that are larger than any that a route reads, before anything of them is read.
async fn bounded(request: Request, next: Next) -> Response {
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT) || request.headers().contains_key(header::TRANSFER_ENCODING) {
        let error = format!("the body is larger than {BODY_LIMIT} bytes or of unknown length");
        let hint = Some("only POST /v1/apply reads a body, and its length must be told");
        return Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", error, hint).into_response();
    }
    next.run(request).await
}
