//! Patroni's REST API: what the agent answers (see Patroni's documentation, "Patroni REST API", and its `api.py`), and how it
//! asks other members ([`client`]).
//!
//! | file | what |
//! |---|---|
//! | `serve`, `connections` | sockets, TLS, HTTP; how many at once, and who is let go |
//! | `refusals` | who could not open TLS |
//! | `access` | who may call what |
//! | `checks` | health checks |
//! | `document`, `cluster`, `metrics` | what can be read |
//! | `configuration`, `switchover`, `restart`, `operations` | what can be asked for |
//! | `body`, `quantity`, `python` | how Patroni reads and writes |
//! | `differences` | where it is not as Patroni's, and why |

mod access;
mod body;
mod checks;
pub mod client;
mod cluster;
mod configuration;
mod connections;
pub mod differences;
mod document;
mod metrics;
mod operations;
mod python;
mod quantity;
mod refusals;
mod restart;
mod serve;
mod switchover;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Query as Parameters, State},
    http::{HeaderValue, Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;

pub(crate) use self::python::datetime as python_datetime;
use self::{
    access::{Members, Peer},
    checks::{Check, Node, Query},
};
pub use self::{
    cluster::{config_of, document as cluster_document},
    configuration::merge as merge_configuration,
    python::{isoformat, json as python_json},
    restart::version as parse_version,
};
pub(crate) use self::{restart::Conditions, serve::Server};
use crate::{
    config::ServerTokens,
    daemon::{Parts, Ports, member::VERSION},
};

/// All answers of one node.
pub(crate) fn router<T: Ports>(parts: Arc<Parts<T>>) -> Router {
    Router::new().fallback(handle::<T>).with_state(parts)
}

async fn handle<T: Ports>(State(parts): State<Arc<Parts<T>>>, request: Request<Body>) -> Response {
    let mut response = route(&parts, request).await.unwrap_or_else(Refusal::into_response);
    let config = parts.config();
    let config = &config.restapi;
    let secure = if config.tls.is_some() { Some(&config.https_extra_headers) } else { None };
    for (name, value) in config.http_extra_headers.iter().chain(secure.into_iter().flatten()) {
        if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    let server = match config.server_tokens {
        ServerTokens::Original => None,
        ServerTokens::Minimal => HeaderValue::try_from(format!("Patroni/{VERSION}")).ok(),
        ServerTokens::ProductOnly => Some(HeaderValue::from_static("Patroni")),
    };
    if let Some(server) = server {
        response.headers_mut().insert(header::SERVER, server);
    }
    response
}

/// Finds the answer by method and first part of the path, as Patroni's `parse_request` does. What it does not know by name
/// is a health check, and 501 for methods that change something.
async fn route<T: Ports>(parts: &Arc<Parts<T>>, request: Request<Body>) -> Result<Response, Refusal> {
    let path = request.uri().path().to_owned();
    let name = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    match (request.method().as_str(), name) {
        (_, "patroni") if reads => {
            let published = parts.shared.published();
            Ok(json_answer(StatusCode::OK, &document::document(parts, &published)))
        }
        (_, "metrics") if reads => Ok(metrics_page(parts)),
        (_, "cluster") if reads => cluster::cluster(parts).await,
        (_, "history") if reads => cluster::history(parts).await,
        (_, "config") if reads => configuration::get(parts).await,
        (_, "failsafe") if reads => operations::get_failsafe(parts),
        ("GET" | "HEAD" | "OPTIONS", _) => Ok(health(parts, &request)),
        (method, _) => {
            if !UNSAFE_CALLS.contains(&(method, name)) {
                return Err(refuse(StatusCode::NOT_IMPLEMENTED, format!("Unsupported method ('{method}')")));
            }
            // Before anything of the body is read: whoever may not ask has nothing kept for him.
            allow(parts, &request, if name == "failsafe" { Members::DoNotCount } else { Members::Count }).await?;
            change(parts, name, request).await
        }
    }
}

/// The calls that only some may make: they change something, or make the agent read what it is sent. Patroni lets everybody make
/// `POST /mpp`.
const UNSAFE_CALLS: [(&str, &str); 13] = [
    ("POST", "failsafe"),
    ("POST", "mpp"),
    ("POST", "switchover"),
    ("DELETE", "switchover"),
    ("POST", "failover"),
    ("POST", "restart"),
    ("DELETE", "restart"),
    ("POST", "reload"),
    ("POST", "reinitialize"),
    ("PATCH", "config"),
    ("PUT", "config"),
    ("POST", "citus"),
    ("POST", "sigterm"),
];

/// Looks at the head alone: a body cannot be shared between threads.
fn allow<'a, T: Ports>(
    parts: &'a Parts<T>,
    request: &'a Request<Body>,
    members: Members,
) -> impl Future<Output = Result<(), Refusal>> + Send + 'a {
    let peer = request.extensions().get::<Peer>().copied();
    access::check(parts, peer, request.headers(), members)
}

async fn change<T: Ports>(parts: &Arc<Parts<T>>, name: &str, request: Request<Body>) -> Result<Response, Refusal> {
    match (request.method().as_str(), name) {
        ("POST", "switchover") => switchover::switchover(parts, request).await,
        ("POST", "failover") => switchover::failover(parts, request).await,
        ("DELETE", "switchover") => switchover::cancel(parts).await,
        ("POST", "restart") => restart::restart(parts, request).await,
        ("DELETE", "restart") => Ok(restart::cancel(parts)),
        ("POST", "reload") => Ok(operations::reload(parts)),
        ("POST", "reinitialize") => operations::reinitialize(parts, request).await,
        ("PATCH", "config") => configuration::patch(parts, request).await,
        ("PUT", "config") => configuration::put(parts, request).await,
        ("POST", "failsafe") => operations::post_failsafe(parts, request).await,
        ("POST", "citus" | "mpp") => not_coordinated(request).await,
        // Patroni obeys this in its own tests on Windows alone, and says so everywhere.
        ("POST", "sigterm") => Ok(answer(StatusCode::ACCEPTED, "shutdown scheduled")),
        _ => unreachable!("{name} is in the list of unsafe calls"),
    }
}

/// Events of a Citus cluster, to a node that coordinates none: read and left at that.
async fn not_coordinated(request: Request<Body>) -> Result<Response, Refusal> {
    body::read(request, body::Wanted::Always).await?;
    Ok(answer(StatusCode::OK, "OK"))
}

/// The parameter by which an agent that starts says its name when it asks who has that name already.
pub(crate) const STARTS: &str = "starts";

/// A health check: the status says it all, the body is that of `/patroni`.
fn health<T: Ports>(parts: &Arc<Parts<T>>, request: &Request<Body>) -> Response {
    // Patroni takes what it cannot decode for absent.
    let parameters =
        Parameters::<Vec<(String, String)>>::try_from_uri(request.uri()).map_or(Vec::new(), |found| found.0);
    let check = Check::from_path(request.uri().path());
    let config = parts.config();
    if check == Some(Check::Liveness) && parameters.contains(&(STARTS.to_owned(), config.name.clone())) {
        parts.shared.hear_itself();
    }
    let published = parts.shared.published();
    let failsafe_is_active = document::failsafe_is_active(parts, &published);
    let node = Node { name: &config.name, published: &published, now: parts.clock.now(), failsafe_is_active };
    let holds = check.is_some_and(|check| check.holds(&node, &Query::new(&parameters)));
    let status = if holds { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match (request.method(), check) {
        (&Method::GET, Some(Check::Liveness | Check::Readiness)) => status.into_response(),
        (&Method::GET, _) => json_answer(status, &document::document(parts, &published)),
        _ => status.into_response(),
    }
}

fn metrics_page<T: Ports>(parts: &Parts<T>) -> Response {
    let page = metrics::page(parts, &parts.shared.published());
    ([(header::CONTENT_TYPE, "text/plain")], page).into_response()
}

/// A text, as Patroni gives to operations; it calls it HTML.
fn answer(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html")], text.into()).into_response()
}

fn json_answer(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], python::json(value)).into_response()
}

/// A request that is not done, as it is answered.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    status: StatusCode,
    text: String,
    /// Asks for a name and a password.
    challenge: bool,
}

fn refuse(status: StatusCode, text: impl Into<String>) -> Refusal {
    Refusal { status, text: text.into(), challenge: false }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = answer(self.status, self.text);
        if self.challenge {
            let basic = HeaderValue::from_static("Basic realm=\"Patroni\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }
}

#[cfg(test)]
mod fields_tests;
#[cfg(test)]
mod flood_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
