//! Labels of the images.

/// Which image it is.
pub(super) const IMAGE: &str = "pgdrill.image";
/// Where it was made from.
pub(super) const SOURCE: &str = "pgdrill.source";
/// What its programs say.
pub(super) const VERSIONS: &str = "pgdrill.versions";
/// Which `pgdrill` is in it: the hash of the file that it was made from.
pub(super) const BINARY: &str = "pgdrill.binary";
/// Whether somebody chose that `pgdrill` (`--binary`), or it was the running one.
pub(super) const CHOSEN: &str = "pgdrill.binary.chosen";
