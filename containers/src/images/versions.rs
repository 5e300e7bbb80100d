//! What the programs in an image say of themselves, held against what is pinned.

use super::{Image, ImageError, engine::Engine, recipe};

/// What every image must have: without them faults cannot be injected.
const TOOLS: [&str; 7] = ["iptables", "tc", "ip", "ps", "pkill", "nsenter", "setpriv"];

/// What the programs of an image say of themselves; all tools must be there and all versions be the pinned ones.
pub(super) async fn versions(engine: &Engine, image: Image, name: &str) -> Result<String, ImageError> {
    let (program, pinned, ask) = match image {
        Image::Etcd => ("etcd", "ETCD", "etcd --version | sed -n 's/^etcd Version: //p'"),
        // Some builds say `16.14 (Debian 16.14-1.pgdg13+1)`.
        Image::Node => ("PostgreSQL", "POSTGRESQL", POSTGRESQL_VERSIONS),
        Image::Patroni => ("Patroni", "PATRONI", "patroni --version | sed 's/.* //' && patronictl --help >/dev/null"),
        Image::HaProxy => ("HAProxy", "HAPROXY", "haproxy -v | sed -n 's/^HAProxy version \\([^ ]*\\).*/\\1/p'"),
    };
    let tools = TOOLS.map(|tool| format!("command -v {tool} >/dev/null || {{ echo no {tool}; exit 1; }}")).join("; ");
    let script = format!("{tools}; {ask}");
    let probed = engine.probe(name, &["sh", "-ec", &script]).await?;
    let found: Vec<&str> = probed.output.split_whitespace().collect();
    let mut wanted = vec![recipe::version(pinned)];
    if image == Image::Node {
        wanted.extend(recipe::postgresql_others());
    }
    let answered = probed.code == Some(0) && found.len() == wanted.len();
    if !answered || !wanted.iter().zip(&found).all(|(wanted, found)| is_version(wanted, found)) {
        let (wanted, found) = (wanted.join(", "), probed.output.trim().to_owned());
        return Err(ImageError::Version { image: name.to_owned(), program, wanted, found });
    }
    Ok(format!("{program} {}", found.join(", ")))
}

/// Asks every PostgreSQL: the one that programs are taken from, then the others, oldest first.
const POSTGRESQL_VERSIONS: &str = "for postgres in postgres $(ls /usr/lib/postgresql/*/bin/postgres | grep -v \"/$(\
    postgres --version | cut -d' ' -f3 | cut -d. -f1)/\" | sort); do $postgres --version | cut -d' ' -f3; done";

/// `3.0` is for 3.0.11, `16.1` is not for 16.14.
fn is_version(wanted: &str, found: &str) -> bool {
    found.strip_prefix(wanted).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_version_is_a_prefix_of_whole_numbers() {
        for (wanted, found, is_so) in [
            ("16.14", "16.14", true),
            ("3.0", "3.0.11", true),
            ("18", "18.1", true),
            ("16.1", "16.14", false),
            ("15", "16.14", false),
            ("17", "", false),
        ] {
            assert_eq!(is_version(wanted, found), is_so, "{wanted} {found}");
        }
    }
}
