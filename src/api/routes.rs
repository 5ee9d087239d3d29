//! The routes.

use super::dto::{
    Accepted, ApplyOrder, Carried, Event, EventsPage, InstanceStatus, LogItem, LogLine, Plan, Run, RunAsked, RunRecord,
    Status, TaskFigures, Why,
};
use super::error::Failure;
use super::principal::{Principal, Role};
use crate::daemon::{Handle, HandleError, Logs, LogsOf};
use crate::model::{DeploymentName, InstanceId, RunId, ScheduleName, Timestamp};
use crate::plan::PlanId;
use crate::store::{EventFilter, RunFilter};
use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use futures_util::stream;
use serde::Deserialize;
use std::future::ready;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// No body is larger: a plan and the guards that are lifted for it.
const BODY_LIMIT: u64 = 64 * 1024;
/// The longest wait for events.
const WAIT_LIMIT: Duration = Duration::from_secs(60);

/// What every handler has.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) handle: Handle,
    pub(super) stop: CancellationToken,
    /// The requests that are being worked on.
    pub(super) requests: TaskTracker,
}

/// A path, who may use it, and what it does.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) role: Role,
    handler: MethodRouter<Shared>,
}

/// All of them.
pub(super) fn routes() -> Vec<Route> {
    let route = |path, role, handler| Route { path, role, handler };
    vec![
        route("/v1/status", Role::Read, get(status)),
        route("/v1/instances", Role::Read, get(instances)),
        route("/v1/events", Role::Read, get(events)),
        route("/v1/plan", Role::Read, get(plan)),
        route("/v1/why/{*instance}", Role::Read, get(why)),
        route("/v1/runs", Role::Read, get(runs)),
        route("/v1/runs/{id}", Role::Read, get(run_record)),
        route("/v1/figures/{schedule}", Role::Read, get(figures)),
        route("/v1/logs", Role::Read, get(logs)),
        route("/v1/run/{schedule}", Role::Write, post(run)),
        route("/v1/apply", Role::Admin, post(apply)),
        route("/v1/poke", Role::Write, post(poke)),
        route("/v1/suspend/{deployment}", Role::Write, post(suspend)),
        route("/v1/resume/{deployment}", Role::Write, post(resume)),
    ]
}

/// What is served at each listener.
pub(super) fn router(shared: Shared) -> Router {
    let router = routes().into_iter().fold(Router::new(), |router, Route { path, role, handler }| {
        router.route(path, handler.route_layer(from_fn_with_state(role, permitted)))
    });
    let requests = shared.requests.clone();
    let bounded = from_fn_with_state(requests, bounded);
    router.fallback(unknown).method_not_allowed_fallback(wrong_method).layer(bounded).with_state(shared)
}

/// Lets a request through when its principal has the role that the route needs: the one place where that is decided.
async fn permitted(
    State(needed): State<Role>,
    ConnectInfo(principal): ConnectInfo<Principal>,
    request: Request,
    next: Next,
) -> Response {
    let Principal { name, role } = principal;
    let (method, path) = (request.method().as_str(), request.uri().path());
    if role < needed {
        let error = format!(
            "{name} may not {method} {path}: that needs the role `{needed}`, and the role of {name} is `{role}`"
        );
        let hint = Some("ask somebody with that role");
        return Failure::new(StatusCode::FORBIDDEN, "forbidden", error, hint).into_response();
    }
    tracing::debug!(by = name, %role, method, path, "request");
    next.run(request).await
}

async fn status(State(shared): State<Shared>) -> Json<Status> {
    Json(shared.handle.status().into())
}

async fn instances(State(shared): State<Shared>) -> Json<Vec<InstanceStatus>> {
    Json(Status::from(shared.handle.status()).instances)
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
    let events: Vec<Event> = events.into_iter().map(Into::into).collect();
    let next = events.last().map_or(query.after.unwrap_or(0), |event| event.id);
    Ok(Json(EventsPage { events, next }))
}

async fn plan(State(shared): State<Shared>) -> Result<Json<Plan>, Failure> {
    let hint = "`setpoint status` says what the daemon waits for";
    let missing = || Failure::new(StatusCode::NOT_FOUND, "not_found", "no plan was made yet", Some(hint));
    shared.handle.plan().map(|view| Json(Plan::from(&*view))).ok_or_else(missing)
}

async fn why(State(shared): State<Shared>, Path(instance): Path<String>) -> Result<Json<Why>, Failure> {
    let instance: InstanceId = instance
        .parse()
        .map_err(|error| Failure::bad_request(format!("{error}"), "name one instance, such as shop/api/1"))?;
    Ok(Json(shared.handle.why(&instance)?.into()))
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
) -> Result<Json<Vec<Run>>, Failure> {
    let refused = |error: QueryRejection| Failure::bad_request(error.body_text(), "parameters: schedule, limit");
    let Query(query) = query.map_err(refused)?;
    let schedule = query.schedule.map(ScheduleName::new);
    let runs = shared.handle.runs(&RunFilter { schedule, limit: query.limit, ..RunFilter::default() })?;
    Ok(Json(runs.into_iter().map(Into::into).collect()))
}

async fn run_record(State(shared): State<Shared>, Path(id): Path<String>) -> Result<Json<RunRecord>, Failure> {
    Ok(Json(shared.handle.run_record(&RunId::new(id))?.into()))
}

async fn figures(
    State(shared): State<Shared>,
    Path(schedule): Path<String>,
) -> Result<Json<Vec<TaskFigures>>, Failure> {
    let figures = shared.handle.figures(&ScheduleName::new(schedule))?;
    Ok(Json(figures.into_iter().map(Into::into).collect()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsQuery {
    #[serde(default)]
    name: String,
    tail: Option<u32>,
    #[serde(default)]
    follow: bool,
    #[serde(default)]
    timestamps: bool,
}

/// One JSON form in each line, as they come.
async fn logs(
    State(shared): State<Shared>,
    query: Result<Query<LogsQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let hint = "parameters: name (deployment, service, instance or container), tail, follow (true), timestamps (true)";
    let Query(query) = query.map_err(|error| Failure::bad_request(error.body_text(), hint))?;
    let LogsQuery { name, tail, follow, timestamps } = query;
    let Logs { containers, lines } = shared.handle.logs(&LogsOf { name, tail, follow, timestamps }).await?;
    let lines = lines.map(|line| match line {
        Ok((container, line)) => LogItem::Line(LogLine::new(&container, line)),
        Err(error) => LogItem::Problem(Failure::from(HandleError::Engine(error)).into_problem()),
    });
    let items = stream::once(ready(LogItem::Containers { containers })).chain(lines);
    let body = items.take_until(shared.stop.cancelled_owned()).map(|item| {
        let mut line = serde_json::to_vec(&item)?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(Bytes::from(line))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(body)).into_response())
}

async fn run(
    State(shared): State<Shared>,
    Path(schedule): Path<String>,
) -> Result<(StatusCode, Json<RunAsked>), Failure> {
    Ok((StatusCode::ACCEPTED, Json(shared.handle.run(ScheduleName::new(schedule)).await?.into())))
}

/// Answers when the plan is through. A caller that does not wait for that ends nothing.
async fn apply(State(shared): State<Shared>, body: Result<Bytes, BytesRejection>) -> Result<Json<Carried>, Failure> {
    let hint = r#"send {"plan": ID, "allow": ["retry:shop/api", …]} with the id that `setpoint plan` shows"#;
    let body = body.map_err(|error| Failure::bad_request(error.body_text(), hint))?;
    let refused =
        |error: &dyn std::fmt::Display| Failure::bad_request(format!("the body is not understood: {error}"), hint);
    let order: ApplyOrder = serde_json::from_slice(&body).map_err(|error| refused(&error))?;
    let order = order.read().map_err(|error| refused(&error))?;
    if !PlanId::may_be(&order.plan) {
        let error = format!(
            "`{}` is not a plan id: a plan id has 64 hexadecimal digits, and the first 12 are enough",
            order.plan
        );
        return Err(Failure::bad_request(error, hint));
    }
    Ok(Json(shared.handle.apply(order).await?.into()))
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
    let paths: Vec<&str> = routes().iter().map(|route| route.path.trim_start_matches("/v1/")).collect();
    let hint = format!("routes: /v1/{}", paths.join(", ").replace("{*", "{"));
    Failure::new(StatusCode::NOT_FOUND, "not_found", error, Some(&hint))
}

async fn wrong_method(request: Request) -> Failure {
    let error = format!("{} does not take {}", request.uri().path(), request.method());
    let hint = "what reads is GET, what changes is POST";
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", error, Some(hint))
}

/// Refuses bodies that are larger than any that a route reads, before anything of them is read.
async fn bounded(State(requests): State<TaskTracker>, request: Request, next: Next) -> Response {
    let length =
        request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT) || request.headers().contains_key(header::TRANSFER_ENCODING) {
        let error = format!("the body is larger than {BODY_LIMIT} bytes or of unknown length");
        let hint = Some("only POST /v1/apply reads a body, and its length must be told");
        return Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", error, hint).into_response();
    }
    requests.track_future(next.run(request)).await
}
