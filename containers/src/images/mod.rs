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
mod debian;
mod engine;
mod error;
mod listing;
mod proxy;
mod recipe;
mod registry;
mod room;
mod tool;

use std::path::PathBuf;

pub use build::{Held, build, refresh};
pub use engine::Engine;
pub use error::ImageError;
pub use listing::{Listed, list, remove};

/// One of the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Image {
    /// An etcd member.
    Etcd,
    /// PostgreSQL 16 and pgdrill.
    Node,
    /// A node with the real Patroni.
    Patroni,
    /// The router.
    HaProxy,
}

impl Image {
    /// All of them. A node comes before the Patroni that is built on it.
    pub const ALL: [Self; 4] = [Self::Etcd, Self::Node, Self::Patroni, Self::HaProxy];

    /// `node` of `pgdrill/node`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Node => "node",
            Self::Patroni => "patroni",
            Self::HaProxy => "haproxy",
        }
    }

    /// `pgdrill/node`.
    #[must_use]
    pub fn repository(self) -> String {
        format!("pgdrill/{}", self.name())
    }
}

/// Where images are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Upstream's images.
    Registry,
    /// Debian packages and PyPI.
    Debian,
}

impl Source {
    /// As the command line has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Debian => "debian",
        }
    }
}

/// What to build.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The only source to take; `None` takes what is there, then what can be pulled, then Debian packages.
    pub source: Option<Source>,
    /// The `pgdrill` to put in; `None` takes the running one.
    pub binary: Option<PathBuf>,
}

/// Something that happened on the way, for whoever watches.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What is being made: `base`, `node`, `packages`.
    pub what: &'a str,
    /// What is being done, or a line of the tool that does it.
    pub says: &'a str,
    /// Whether `says` is the begin of something new, not one line of many.
    pub begins: bool,
}

/// Whoever watches.
pub type Watch<'a> = &'a (dyn Fn(Step<'_>) + Sync);

/// Images that are ready to run.
#[derive(Clone, Debug)]
pub struct Images {
    /// Where they were made from.
    pub source: Source,
    /// Each with the tag that names exactly this content.
    pub images: Vec<Ready>,
}

/// One image that is ready to run.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Which one.
    pub image: Image,
    /// `pgdrill/node:0a1b2c3d4e5f`.
    pub reference: String,
    /// `PostgreSQL 16.14, pgdrill 0.1.0`.
    pub versions: String,
    /// Whether it was there already.
    pub cached: bool,
}

impl Images {
    /// What to start containers from.
    ///
    /// # Panics
    /// Never: all images are built together.
    #[must_use]
    pub fn reference(&self, image: Image) -> &str {
        &self.images.iter().find(|ready| ready.image == image).expect("all images are built together").reference
    }
}
