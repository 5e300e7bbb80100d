//! The images that the real worlds run: built by one command from what is reachable, cached, with pinned versions.
//!
//! | image | holds |
//! |---|---|
//! | `pgdrill/etcd` | etcd 3.5 |
//! | `pgdrill/node` | PostgreSQL 16 and pgdrill's agent |
//! | `pgdrill/patroni` | the same node with the real Patroni |
//! | `pgdrill/haproxy` | HAProxy |
//!
//! Each also holds the tools of fault injection (iptables, tc, nsenter, setpriv, ps) and the `pgdrill` binary.
//!
//! Two sources make the same images: image registries, where they can be pulled from, and else Debian packages
//! (`mmdebstrap`) with PyPI, which need no registry. What is already there is never fetched again: the stage of an image
//! (everything but the binary) is named after a hash of its recipe, the finished image after the stage and the binary.
//!
//! Recipes lie in `containers/images/` and are part of the program.

mod binary;
mod build;
mod context;
mod debian;
mod engine;
mod error;
mod finished;
mod image;
mod label;
mod listing;
mod proxy;
mod recipe;
mod registry;
mod room;
mod scratch;
mod stages;
mod step;
mod tool;
mod versions;

pub use build::{Held, Wanted, build, refresh};
pub use engine::Engine;
pub use error::ImageError;
pub use finished::{Images, Ready};
pub use image::{Image, Source};
pub use listing::{Listed, list, remove};
pub use step::{Step, Watch};
