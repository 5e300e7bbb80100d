//! What must hold for the model and for real etcd alike: test bodies that use nothing but the real client.
//!
//! Each body runs against a fresh [`TestCluster`]; whoever provides one decides what it is made of. A difference between
//! the model and real etcd is a bug of the model. Bodies panic on the first difference, as tests do.

pub mod cluster;
pub mod kv;
pub mod lease;
pub mod txn;
pub mod watch;

use std::future::Future;

use etcd_client::{Client, Error};
use tonic::Code;

/// A cluster of etcd members that a conformance body can talk to and switch off in parts.
pub trait TestCluster {
    /// How many members it has.
    fn members(&self) -> usize;
    /// A new client that talks to this member only.
    fn client(&self, member: usize) -> impl Future<Output = Client>;
    /// Kills a member; its disk stays.
    fn stop_member(&mut self, member: usize) -> impl Future<Output = ()>;
    /// Starts a member that was killed.
    fn start_member(&mut self, member: usize) -> impl Future<Output = ()>;
}

/// The gRPC code and text of an error that must have come.
fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> (Code, String) {
    match result {
        Err(Error::GRpcStatus(status)) => (status.code(), status.message().to_owned()),
        other => panic!("a gRPC error was expected, not {other:?}"),
    }
}

/// The revision of a response.
macro_rules! revision {
    ($response:expr) => {
        $response.header().expect("every response has a header").revision()
    };
}
use revision;
