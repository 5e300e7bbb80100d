//! The distributed configuration store: etcd's API ([`Kv`]), its client over [`pgdrill_net::Net`] ([`Etcd`]), and Patroni's
//! keys with their rules on top ([`Dcs`]).

mod channel;
mod etcd;
mod freshness;
mod kv;
mod lease;
mod lock;
mod snapshot;
mod status;
mod store;
mod translate;
mod wakeup;

pub use etcd::{Etcd, EtcdTiming, EtcdWatch};
pub use kv::{Compare, KeyValue, Kv, KvError, KvWatch, LeaseId, Op, Range, Tries, Txn, TxnOutcome};
pub use store::Dcs;
pub use wakeup::wake_on_change;
