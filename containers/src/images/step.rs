//! What is told on the way.

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
