//! What an error of etcd-client means for the request: refused, or nobody knows.

use etcd_client::Error;
use tonic::Code;

use super::KvError;

/// Classifies the error of a request that was handed to a connection.
///
/// Only an answer that etcd gives *instead of* proposing a change counts as a refusal. "No leader", "leader changed" and
/// "request timed out" come as `Unavailable` or `Unknown` and may follow a proposal that a later leader still commits.
pub(super) fn classify(error: &Error) -> KvError {
    match error {
        Error::GRpcStatus(status) => match status.code() {
            Code::NotFound
            | Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::ResourceExhausted
            | Code::PermissionDenied
            | Code::Unimplemented => KvError::Refused(status.message().to_owned()),
            // Looked at before anything is proposed, and right again after the next login: no final answer.
            Code::Unauthenticated => KvError::NotSent(format!("{} (the login has ended)", status.message())),
            code => KvError::Unknown(format!("{code:?}: {}", status.message())),
        },
        Error::InvalidArgs(_) | Error::InvalidUri(_) => KvError::Refused(error.to_string()),
        _ => KvError::Unknown(error.to_string()),
    }
}

/// Whether logging in again may help: etcd was restarted and has forgotten the tokens it gave (`simple`), its users were
/// changed since (`jwt`), or it asks for a login now and did not before. Nothing of the request was done.
pub(super) fn is_login_over(error: &Error) -> bool {
    const TEXTS: [&str; 2] = ["etcdserver: revision of auth store is old", "etcdserver: user name is empty"];
    match error {
        Error::GRpcStatus(status) => match status.code() {
            Code::Unauthenticated => true,
            Code::InvalidArgument => TEXTS.contains(&status.message()),
            _ => false,
        },
        _ => false,
    }
}

/// Whether etcd answered a login with "nobody needs one here".
pub(super) fn is_auth_disabled(error: &Error) -> bool {
    matches!(error, Error::GRpcStatus(status)
        if status.code() == Code::FailedPrecondition && status.message() == "etcdserver: authentication is not enabled")
}

/// Whether a keepalive was answered with "no such lease" (etcd-client turns a ttl of 0 into this error).
pub(super) fn is_lease_gone(error: &Error) -> bool {
    match error {
        Error::LeaseKeepAliveError(text) => text.contains("lease not found"),
        Error::GRpcStatus(status) => status.code() == Code::NotFound,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[test]
    fn only_answers_given_instead_of_a_proposal_are_refusals() {
        let refused = [Code::NotFound, Code::FailedPrecondition, Code::ResourceExhausted];
        let unknown = [Code::Unavailable, Code::Unknown, Code::DeadlineExceeded, Code::Cancelled, Code::Internal];
        for code in refused {
            let error = Error::GRpcStatus(Status::new(code, "x"));
            assert!(matches!(classify(&error), KvError::Refused(_)), "{code:?}");
        }
        for code in unknown {
            let error = Error::GRpcStatus(Status::new(code, "x"));
            assert!(matches!(classify(&error), KvError::Unknown(_)), "{code:?}");
        }
    }

    #[test]
    fn a_login_that_etcd_forgot_is_no_final_refusal() {
        let forgotten = Error::GRpcStatus(Status::unauthenticated("etcdserver: invalid auth token"));
        assert!(is_login_over(&forgotten));
        assert!(matches!(classify(&forgotten), KvError::NotSent(_)));
        let old = Error::GRpcStatus(Status::invalid_argument("etcdserver: revision of auth store is old"));
        assert!(is_login_over(&old));
        for other in [Status::permission_denied("etcdserver: permission denied"), Status::invalid_argument("x")] {
            assert!(!is_login_over(&Error::GRpcStatus(other.clone())), "{other:?}");
        }
    }

    #[test]
    fn a_keepalive_for_an_expired_lease_is_told_from_a_failed_one() {
        assert!(is_lease_gone(&Error::LeaseKeepAliveError("lease not found".into())));
        assert!(!is_lease_gone(&Error::GRpcStatus(Status::unavailable("etcdserver: no leader"))));
    }
}
