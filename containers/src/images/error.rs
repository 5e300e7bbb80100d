//! Why there are no images: each with what a person can do about it.

use std::{io, path::PathBuf};

use crate::docker::Trouble;

/// Why images could not be built, listed or removed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Docker cannot be reached, or is too old.
    #[error(transparent)]
    NoDocker(Trouble),
    /// A program of this machine is missing.
    #[error("`{tool}` is missing: {install}")]
    MissingTool {
        /// Its name.
        tool: &'static str,
        /// What to install.
        install: &'static str,
    },
    /// Not enough space.
    #[error("{place} has {free_mib} MiB free, and {need_mib} MiB are needed to build the images: free some space")]
    NoRoom {
        /// The directory.
        place: PathBuf,
        /// MiB that are free.
        free_mib: u64,
        /// MiB that are needed.
        need_mib: u64,
    },
    /// A program failed.
    #[error("{what} failed ({status}):\n{tail}")]
    Tool {
        /// What it was to do.
        what: String,
        /// Its exit status.
        status: String,
        /// The last lines of its output, indented.
        tail: String,
    },
    /// Docker refused or failed.
    #[error(transparent)]
    Docker(Trouble),
    /// A file could not be read or written.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A registry image is neither there nor to be had.
    #[error("the image {image} is not on this machine and cannot be pulled: {why}")]
    NoPull {
        /// Its name.
        image: String,
        /// What Docker said.
        why: String,
    },
    /// The images are of another version of pgdrill.
    #[error(
        "the images hold another pgdrill than this one, and are from before their recipes were changed: \
         build them anew with `pgdrill images build`"
    )]
    Stale,
    /// No source works.
    #[error(
        "no source of images works\n  from registries: {registry}\n  from Debian packages: {debian}\n  \
         either is enough"
    )]
    NoSource {
        /// Why not from registries.
        registry: Box<ImageError>,
        /// Why not from Debian packages.
        debian: Box<ImageError>,
    },
    /// What came out is not what the recipe pins.
    #[error("{image} answers `{found}` where the recipe pins {program} {wanted}: the source has moved on")]
    Version {
        /// The image.
        image: String,
        /// Which program.
        program: &'static str,
        /// What is pinned.
        wanted: String,
        /// What it said.
        found: String,
    },
    /// The `pgdrill` that was to go into the images does not run in them.
    #[error(
        "{} does not run in the images ({images}): {why}\n  \
         build one for them, for example: docker run --rm -v \"$PWD\":/src -w /src rust:1-{} \
         cargo build --release -p pgdrill --target-dir target/images\n  \
         and give it: --binary target/images/release/pgdrill", binary.display(), super::recipe::version("SUITE")
    )]
    Binary {
        /// The file.
        binary: PathBuf,
        /// What the images are.
        images: String,
        /// What happened.
        why: String,
    },
}

impl ImageError {
    /// An error of the file system.
    pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
