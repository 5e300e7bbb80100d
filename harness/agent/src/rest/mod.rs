//! Patroni's REST API: what the agent answers (see Patroni's documentation, "Patroni REST API"), and how it asks other
//! members ([`client`]).

mod auth;
mod checks;
pub mod client;
mod cluster;
mod document;
mod operations;
mod switchover;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
    routing::{MethodFilter, get, on, post},
};
use pgdrill_net::{Listener, Net};
use tokio::time::sleep;

use self::checks::{Check, Node, Query};
use crate::daemon::{Parts, Ports};

type Shared<T> = State<Arc<Parts<T>>>;

/// Serves the REST API for ever.
pub(crate) async fn serve<T: Ports>(parts: Arc<Parts<T>>, listener: <T::Net as Net>::Listener) {
    // axum's serve only returns when asked to shut down, which nobody does.
    let _: io::Result<()> = axum::serve(Accept(listener), router(parts)).await;
}

/// All routes.
pub(crate) fn router<T: Ports>(parts: Arc<Parts<T>>) -> Router {
    let unsafe_calls = Router::new()
        .route("/switchover", post(switchover::switchover::<T>).delete(switchover::cancel::<T>))
        .route("/failover", post(switchover::failover::<T>))
        .route("/restart", post(operations::restart::<T>).delete(operations::cancel_restart::<T>))
        .route("/reload", post(operations::reload::<T>))
        .route("/reinitialize", post(operations::reinitialize::<T>))
        .route("/config", on(MethodFilter::PATCH, operations::patch_config::<T>).put(operations::put_config::<T>))
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&parts), auth::require::<T>));
    Router::new()
        .route("/", on(probe(), root::<T>))
        .route("/patroni", get(document::patroni::<T>))
        .route("/cluster", get(cluster::cluster::<T>))
        .route("/history", get(cluster::history::<T>))
        .route("/config", get(operations::get_config::<T>))
        // No password: it goes from member to member, and must work when nothing else does.
        .route("/failsafe", get(operations::get_failsafe::<T>).post(operations::post_failsafe::<T>))
        .merge(unsafe_calls)
        .route("/{check}", on(probe(), health::<T>))
        .with_state(parts)
}

/// What load balancers send. axum answers `HEAD` wherever it answers `GET`.
fn probe() -> MethodFilter {
    MethodFilter::GET.or(MethodFilter::OPTIONS)
}

async fn root<T: Ports>(parts: Shared<T>, method: Method, query: RawQuery) -> Response {
    health(parts, method, Path("primary".into()), query).await
}

/// A health check: the status says it all, the body is that of `/patroni`.
async fn health<T: Ports>(
    State(parts): Shared<T>,
    method: Method,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(check) = Check::from_path(&path) else { return StatusCode::NOT_FOUND.into_response() };
    let (ok, body) = {
        let published = parts.shared.published();
        let node = Node { name: &parts.config.name, published: &published, now: parts.clock.now() };
        (
            check.holds(&node, &Query::parse(query.as_deref().unwrap_or_default())),
            document::document(&parts, &published),
        )
    };
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match method {
        Method::OPTIONS => status.into_response(),
        _ => (status, axum::Json(body)).into_response(),
    }
}

/// A plain-text answer, as Patroni gives to operations.
fn answer(status: StatusCode, text: impl Into<String>) -> Response {
    (status, text.into()).into_response()
}

/// The [`Net`] port's listener for axum.
struct Accept<L>(L);

impl<L: Listener> axum::serve::Listener for Accept<L> {
    type Io = L::Stream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                // Out of file descriptors, or the client gave up at once: the next may be luckier.
                Err(_) => sleep(Duration::from_secs(1)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// A request that is not done, as it is answered.
struct Refusal {
    status: StatusCode,
    text: String,
}

fn refuse(status: StatusCode, text: impl Into<String>) -> Refusal {
    Refusal { status, text: text.into() }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        answer(self.status, self.text)
    }
}

#[cfg(test)]
mod tests;
