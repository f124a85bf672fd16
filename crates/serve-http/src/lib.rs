//! Floor 4: health and metrics over HTTP.
//!
//! A door for operators and their machines: is the process alive, does the node serve, and what
//! has it counted. It asks a [`Probe`] and knows nothing of what is behind it.

mod bounded;
pub mod metrics;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bounded::Bounded;
use metrics::Family;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

/// Type of the body of `/metrics`.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// Connections held at once: some scrapers, health checks, and people who look.
const CONNECTIONS_MAX: usize = 128;
/// A connection on which nothing moves for this long is ended, and one whose request takes so long to
/// come.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What is asked of the node.
pub trait Probe: Send + Sync + 'static {
    /// Why the node doesn't serve; none if it does.
    fn not_ready(&self) -> Option<String>;
    /// What was counted, and what the node asks its parts for now.
    fn families(&self) -> Asked<'_>;
}

/// An answer that takes a moment.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Vec<Family>> + Send + 'a>>;

/// Answers until the process ends.
pub async fn serve(listener: TcpListener, probe: Arc<dyn Probe>) -> std::io::Result<()> {
    let listener = Bounded::new(listener, CONNECTIONS_MAX, SILENCE_MAX);
    axum::serve(listener, router(probe)).await
}

/// What answers share.
struct Served {
    probe: Arc<dyn Probe>,
    /// Held by whoever measures: asking all parts of the node costs it something, and it isn't to cost
    /// more because many ask at once.
    turn: Mutex<()>,
}

fn router(probe: Arc<dyn Probe>) -> Router {
    let turn = Mutex::default();
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(measure))
        .with_state(Arc::new(Served { probe, turn }))
}

async fn live() -> Response {
    json(StatusCode::OK, serde_json::json!({ "status": "live" }))
}

async fn ready(State(served): State<Arc<Served>>) -> Response {
    match served.probe.not_ready() {
        None => json(StatusCode::OK, serde_json::json!({ "status": "ready" })),
        Some(reason) => json(
            StatusCode::SERVICE_UNAVAILABLE,
            serde_json::json!({ "status": "not ready", "reason": reason }),
        ),
    }
}

async fn measure(State(served): State<Arc<Served>>) -> Response {
    let turn = served.turn.lock().await;
    let families = served.probe.families().await;
    drop(turn);
    let text = metrics::render(&families);
    ([(header::CONTENT_TYPE, PROMETHEUS)], text).into_response()
}

fn json(status: StatusCode, body: serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], format!("{body}\n")).into_response()
}

#[cfg(test)]
mod tests;
