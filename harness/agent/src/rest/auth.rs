//! Basic authentication for calls that change something (`restapi.authentication`).

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    config::User,
    daemon::{Parts, Ports},
};

/// Lets a request pass, or answers 401.
pub(super) async fn require<T: Ports>(State(parts): State<Arc<Parts<T>>>, request: Request, next: Next) -> Response {
    if is_allowed(parts.config.restapi.authentication.as_ref(), request.headers()) {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Patroni\"")];
    (StatusCode::UNAUTHORIZED, challenge, "not authenticated").into_response()
}

fn is_allowed(wanted: Option<&User>, headers: &HeaderMap) -> bool {
    let Some(user) = wanted else { return true };
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let password = user.password.as_ref().map_or("", |password| password.reveal());
    let expected = format!("{}:{password}", user.username);
    sent.and_then(|sent| BASE64_STANDARD.decode(sent.trim()).ok()).is_some_and(|sent| same(&sent, expected.as_bytes()))
}

/// Takes as long for a wrong password as for the right one.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Password;

    #[test]
    fn only_the_configured_name_and_password_pass() {
        let user = User { username: "admin".into(), password: Some(Password::new("s3cret")) };
        let with = |text: &str| {
            let value = format!("Basic {}", BASE64_STANDARD.encode(text)).parse().unwrap();
            HeaderMap::from_iter([(header::AUTHORIZATION, value)])
        };
        assert!(is_allowed(None, &HeaderMap::new()), "nothing is configured");
        assert!(is_allowed(Some(&user), &with("admin:s3cret")));
        assert!(!is_allowed(Some(&user), &with("admin:s3creT")));
        assert!(!is_allowed(Some(&user), &with("admin:")));
        assert!(!is_allowed(Some(&user), &HeaderMap::new()));
    }
}
