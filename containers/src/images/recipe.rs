//! The recipes that are part of the program, and the names that follow from them.

use sha2::{Digest, Sha256};

use super::{Image, Source};

const VERSIONS: &str = include_str!("../../images/versions.env");
const PACKAGES: &str = include_str!("../../images/debian/packages.txt");

/// Everything Patroni needs, with versions.
pub(super) const PATRONI_REQUIREMENTS: &str = include_str!("../../images/patroni-requirements.txt");
/// Of these, what has to be built into wheels.
pub(super) const PATRONI_SOURCE_ONLY: &str = include_str!("../../images/patroni-source-only.txt");
/// The `patroni` command of the image.
pub(super) const PATRONI: &str = include_str!("../../images/patroni");
/// The `patronictl` command of the image.
pub(super) const PATRONICTL: &str = include_str!("../../images/patronictl");
/// The last layer.
pub(super) const BINARY: &str = include_str!("../../images/binary.Dockerfile");

/// What of Debian's packages is left out: texts, and the compiler that only PostgreSQL's JIT wants with everything that would
/// look for it (a third of the base).
pub(super) const EXCLUDED: [&str; 8] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/lib/*/libLLVM*",
    "/usr/lib/llvm*",
    "/usr/lib/postgresql/*/lib/llvmjit*",
    "/usr/lib/postgresql/*/lib/bitcode/*",
];

/// A value of `versions.env`.
///
/// # Panics
/// When there is none: the file is part of the program, and a test reads all of it.
pub(super) fn version(name: &str) -> &'static str {
    let value = VERSIONS.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| *key == name);
    value.unwrap_or_else(|| panic!("versions.env names {name}")).1
}

/// PostgreSQL's majors beside the one that programs are taken from where none is named.
pub(super) fn postgresql_others() -> Vec<&'static str> {
    version("POSTGRESQL_OTHERS").split(',').collect()
}

/// The Debian packages of the base.
pub(super) fn packages() -> Vec<&'static str> {
    PACKAGES.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// How an image is made from a source.
pub(super) const fn dockerfile(source: Source, image: Image) -> &'static str {
    match (source, image) {
        (Source::Debian, Image::Etcd) => include_str!("../../images/debian/etcd.Dockerfile"),
        (Source::Debian, Image::Node) => include_str!("../../images/debian/node.Dockerfile"),
        (Source::Debian, Image::Patroni) => include_str!("../../images/debian/patroni.Dockerfile"),
        (Source::Debian, Image::HaProxy) => include_str!("../../images/debian/haproxy.Dockerfile"),
        (Source::Registry, Image::Etcd) => include_str!("../../images/registry/etcd.Dockerfile"),
        (Source::Registry, Image::Node) => include_str!("../../images/registry/node.Dockerfile"),
        (Source::Registry, Image::Patroni) => include_str!("../../images/registry/patroni.Dockerfile"),
        (Source::Registry, Image::HaProxy) => include_str!("../../images/registry/haproxy.Dockerfile"),
    }
}

/// Twelve hexadecimal digits that name this content.
pub(super) fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut sum = Sha256::new();
    for part in parts {
        // With its length, so that no two lists of parts read the same.
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    sum.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The tag of everything in an image but the binary. Whatever the recipe of one image says changes all of its source's:
/// they are built together in a minute.
pub(super) fn stage_tag(source: Source, architecture: &str) -> String {
    let mut parts = vec![source.name(), architecture, VERSIONS, PACKAGES, PATRONI_REQUIREMENTS, PATRONI_SOURCE_ONLY];
    parts.extend([PATRONI, PATRONICTL]);
    let base = base_tag(architecture);
    parts.push(&base);
    parts.extend(Image::ALL.map(|image| dockerfile(source, image)));
    format!("stage-{}", hash(parts.into_iter().map(str::as_bytes)))
}

/// The tag of the base that all images of the Debian source share.
pub(super) fn base_tag(architecture: &str) -> String {
    let mut parts = vec![architecture, version("SUITE"), version("OLDER_SUITE"), PACKAGES];
    parts.extend(EXCLUDED);
    hash(parts.into_iter().map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_that_a_recipe_reads_is_pinned() {
        let names = [
            "POSTGRESQL",
            "ETCD",
            "PATRONI",
            "HAPROXY",
            "SUITE",
            "OLDER_SUITE",
            "POSTGRESQL_WHEEL",
            "POSTGRESQL_WHEEL_PYTHON",
        ];
        let registry = ["PYTHON", "REGISTRY_DEBIAN", "REGISTRY_POSTGRESQL", "REGISTRY_ETCD", "REGISTRY_PYTHON"];
        for name in names.into_iter().chain(registry) {
            assert!(!version(name).is_empty() && !version(name).ends_with("latest"), "{name}");
        }
        for line in PATRONI_REQUIREMENTS.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.contains("=="), "{line} is not pinned");
        }
        for line in PATRONI_SOURCE_ONLY.lines().filter(|line| !line.starts_with('#')) {
            assert!(PATRONI_REQUIREMENTS.lines().any(|other| other == line), "{line} is in one list only");
        }
        assert!(PATRONI_REQUIREMENTS.contains(&format!("patroni=={}", version("PATRONI"))));
    }

    #[test]
    fn a_tag_follows_from_the_content() {
        let here = stage_tag(Source::Debian, "amd64");
        assert_eq!(here, stage_tag(Source::Debian, "amd64"));
        assert_ne!(here, stage_tag(Source::Registry, "amd64"));
        assert_ne!(here, stage_tag(Source::Debian, "arm64"));
        assert_ne!(hash([b"ab".as_slice(), b"c"]), hash([b"a".as_slice(), b"bc"]));
    }
}
