//! Which images there are, and where they can be made from.

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
