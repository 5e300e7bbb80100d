//! The build from beginning to end: choose a source, make the stages, put the binary on top, prove it, name it.

use std::path::Path;

use bytes::Bytes;
use futures::future::try_join_all;
use tokio_tar::{Builder, Header};

use super::{
    Image, ImageError, Images, Ready, Source, Step, Wanted, Watch,
    binary::Binary,
    debian,
    engine::{Build, Engine},
    recipe, registry, room,
};
use crate::docker::Trouble;

/// Labels of the images.
pub(super) mod label {
    /// Which image it is.
    pub const IMAGE: &str = "pgdrill.image";
    /// Where it was made from.
    pub const SOURCE: &str = "pgdrill.source";
    /// What its programs say.
    pub const VERSIONS: &str = "pgdrill.versions";
    /// Which `pgdrill` is in it: the hash of the file that it was made from.
    pub const BINARY: &str = "pgdrill.binary";
    /// Whether somebody chose that `pgdrill` (`--binary`), or it was the running one.
    pub const CHOSEN: &str = "pgdrill.binary.chosen";
}

/// Begins the names of temporary folders; the process id follows.
const SCRATCH: &str = "pgdrill-images-";

/// How many finished images of each kind are kept, the newest: every changed binary makes one.
const KEPT: usize = 6;

/// What every image must have: without them faults cannot be injected.
const TOOLS: [&str; 7] = ["iptables", "tc", "ip", "ps", "pkill", "nsenter", "setpriv"];

/// Builds all images, or finds them: a second call takes a second.
///
/// Nothing temporary is left behind, also when the future is dropped before its end.
///
/// # Errors
/// When Docker does not answer, nothing to build from is reachable, a tool is missing, space is short, or `pgdrill` does
/// not run in the images.
pub async fn build(engine: &Engine, wanted: &Wanted, watch: Watch<'_>) -> Result<Images, ImageError> {
    let binary = Binary::find(wanted.binary.as_deref(), &engine.architecture)?;
    engine.sweep().await?;
    let source = match staged(engine, wanted.source).await? {
        Some(source) => source,
        None => stages(engine, wanted.source, watch).await?,
    };
    finish_all(engine, source, &binary, wanted.binary.is_some(), watch).await
}

/// Puts the binary on top of stages that are there; images that have it already are found.
async fn finish_all(
    engine: &Engine,
    source: Source,
    binary: &Binary,
    chosen: bool,
    watch: Watch<'_>,
) -> Result<Images, ImageError> {
    let tag = recipe::stage_tag(source, &engine.architecture);
    let mut finished = Vec::new();
    for image in Image::ALL {
        let stage = format!("{}:{tag}", image.repository());
        let id = engine.id(&stage).await?.unwrap_or_default();
        let chosen_by = if chosen { "a person" } else { "" };
        let name = recipe::hash([id.as_bytes(), binary.hash.as_bytes(), chosen_by.as_bytes()]);
        let reference = format!("{}:{name}", image.repository());
        let cached = engine.id(&reference).await?.is_some();
        finished.push(Finished { image, source, stage, tag: name, reference, cached, chosen });
    }
    if finished.iter().any(|one| !one.cached) {
        let scratch = Scratch::new()?;
        let content = binary.stripped(scratch.path(), watch).await?;
        let context = layer(&content).await?;
        let missing = finished.iter().filter(|one| !one.cached);
        try_join_all(missing.map(|one| one.finish(engine, binary, context.clone(), watch))).await?;
    }
    let mut images = Vec::new();
    for one in finished {
        engine.tag(&one.reference, &one.image.repository(), "latest").await?;
        let versions = engine.labels(&one.reference).await?.remove(label::VERSIONS).unwrap_or_default();
        images.push(Ready { image: one.image, reference: one.reference, versions, cached: one.cached });
    }
    forget_old(engine).await?;
    Ok(Images { source, images })
}

/// Sees to it that the images named `latest` hold this `pgdrill`: a run with another one would test what nobody asked about.
/// Where only the `pgdrill` differs, it is put in, which takes seconds.
///
/// # Errors
/// When Docker does not answer, there are no images, they were built by another recipe, or this `pgdrill` does not run in them.
pub async fn refresh(engine: &Engine, pgdrill: &Path, watch: Watch<'_>) -> Result<Held, ImageError> {
    let binary = Binary::find(Some(pgdrill), &engine.architecture)?;
    let mut source = None;
    let (mut same, mut chosen) = (true, false);
    for image in Image::ALL {
        let latest = format!("{}:latest", image.repository());
        if engine.id(&latest).await?.is_none() {
            return Err(ImageError::Docker(Trouble::NoImage { image: latest }));
        }
        let labels = engine.labels(&latest).await?;
        let is = |name: &str, value: &str| labels.get(name).is_some_and(|found| found == value);
        same &= is(label::BINARY, &binary.hash);
        chosen |= is(label::CHOSEN, "yes");
        source = [Source::Registry, Source::Debian].into_iter().find(|source| is(label::SOURCE, source.name()));
    }
    if same {
        return Ok(Held::Same);
    }
    if chosen {
        return Ok(Held::Chosen);
    }
    let Some(source) = staged(engine, source).await? else { return Err(ImageError::Stale) };
    finish_all(engine, source, &binary, false, watch).await.map(|_| Held::Renewed)
}

/// What [`refresh`] found in the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The wanted `pgdrill`.
    Same,
    /// Another one; now they hold the wanted one.
    Renewed,
    /// Another one that somebody has chosen with `--binary`, perhaps because the wanted one does not run in them.
    Chosen,
}

/// The source whose stages are all there.
async fn staged(engine: &Engine, only: Option<Source>) -> Result<Option<Source>, ImageError> {
    for source in [Source::Registry, Source::Debian] {
        if only.is_some_and(|only| only != source) {
            continue;
        }
        let tag = recipe::stage_tag(source, &engine.architecture);
        let mut all = true;
        for image in Image::ALL {
            all &= engine.id(&format!("{}:{tag}", image.repository())).await?.is_some();
        }
        if all {
            return Ok(Some(source));
        }
    }
    Ok(None)
}

/// Builds everything but the binary's layer.
async fn stages(engine: &Engine, only: Option<Source>, watch: Watch<'_>) -> Result<Source, ImageError> {
    let mut places = vec![(std::env::temp_dir(), room::SCRATCH_MIB)];
    places.extend(engine.root.iter().map(|root| (root.clone(), room::IMAGES_MIB)));
    room::check(&places, room::free)?;
    let scratch = Scratch::new()?;
    let from = async |source: Source| {
        let tag = recipe::stage_tag(source, &engine.architecture);
        // Under another name until its programs have answered: a stage that exists is a stage that works.
        let unproven = format!("unproven-{}", tag.trim_start_matches("stage-"));
        match source {
            Source::Registry => registry::stages(engine, &unproven, watch).await?,
            Source::Debian => debian::stages(engine, &unproven, scratch.path(), watch).await?,
        }
        for image in Image::ALL {
            let name = format!("{}:{unproven}", image.repository());
            watch(Step { what: image.name(), says: "asking its programs for their versions", begins: true });
            versions(engine, image, &name).await?;
            engine.tag(&name, &image.repository(), &tag).await?;
        }
        for image in Image::ALL.into_iter().rev() {
            engine.untag(&format!("{}:{unproven}", image.repository())).await?;
        }
        Ok::<_, ImageError>(source)
    };
    match only {
        Some(source) => from(source).await,
        None => match registry::ready(engine, watch).await {
            Ok(()) => from(Source::Registry).await,
            Err(registry) => {
                let says = format!("no registry image: {registry}; taking Debian packages");
                watch(Step { what: "source", says: &says, begins: true });
                let debian = from(Source::Debian).await;
                debian.map_err(|debian| match debian {
                    // With these the other source is the way out.
                    why @ (ImageError::MissingTool { .. } | ImageError::Tool { .. }) => {
                        ImageError::NoSource { registry: Box::new(registry), debian: Box::new(why) }
                    }
                    other => other,
                })
            }
        },
    }
}

/// An image with its binary, finished or to be.
struct Finished {
    image: Image,
    source: Source,
    stage: String,
    tag: String,
    reference: String,
    cached: bool,
    chosen: bool,
}

impl Finished {
    /// Puts the binary on top of the stage, proves that it runs, and names the image.
    async fn finish(
        &self,
        engine: &Engine,
        binary: &Binary,
        context: Bytes,
        watch: Watch<'_>,
    ) -> Result<(), ImageError> {
        let what = self.image.name();
        watch(Step { what, says: "putting pgdrill in", begins: true });
        let versions = versions(engine, self.image, &self.stage).await?;
        let unproven = format!("{}:unproven-{}", self.image.repository(), self.tag);
        let labels = [
            (label::IMAGE, what),
            (label::SOURCE, self.source.name()),
            (label::VERSIONS, versions.as_str()),
            (label::BINARY, binary.hash.as_str()),
            (label::CHOSEN, if self.chosen { "yes" } else { "no" }),
        ];
        let arguments = [("BASE", self.stage.as_str())];
        let wanted = Build { name: &unproven, context, arguments: &arguments, labels: &labels, network: false };
        engine.build(what, wanted, watch).await?;
        let proven = binary.prove(engine, &unproven).await;
        if proven.is_ok() {
            engine.tag(&unproven, &self.image.repository(), &self.tag).await?;
        }
        engine.untag(&unproven).await?;
        proven.map(drop)
    }
}

/// What the programs of an image say of themselves; all tools must be there and all versions be the pinned ones.
async fn versions(engine: &Engine, image: Image, name: &str) -> Result<String, ImageError> {
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

/// The context of the binary's layer.
async fn layer(content: &[u8]) -> Result<Bytes, ImageError> {
    let mut context = Builder::new(Vec::new());
    let mut header = header(content.len(), 0o755);
    let appended = context.append_data(&mut header, "pgdrill", content).await;
    appended.map_err(ImageError::io("cannot pack pgdrill"))?;
    finish(context, recipe::BINARY).await
}

fn header(bytes: usize, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(bytes as u64);
    header.set_mode(mode);
    // No time: the same content is the same context, and Docker's own cache finds it.
    header.set_mtime(0);
    header
}

/// Adds a file to a context.
pub(super) async fn add(context: &mut Builder<Vec<u8>>, name: &str, mode: u32, text: &str) -> Result<(), ImageError> {
    let appended = context.append_data(&mut header(text.len(), mode), name, text.as_bytes()).await;
    appended.map_err(ImageError::io(format!("cannot pack {name}")))
}

/// A context with its `Dockerfile`.
pub(super) async fn finish(mut context: Builder<Vec<u8>>, dockerfile: &str) -> Result<Bytes, ImageError> {
    add(&mut context, "Dockerfile", 0o644, dockerfile).await?;
    context.into_inner().await.map(Bytes::from).map_err(ImageError::io("cannot pack a Dockerfile"))
}

/// Takes away the oldest finished images that nobody uses.
async fn forget_old(engine: &Engine) -> Result<(), ImageError> {
    let listed = super::list(engine).await?;
    for image in Image::ALL {
        let prefix = format!("{}:", image.repository());
        let of_it =
            listed.iter().filter(|one| one.reference.starts_with(&prefix) && !one.reference.ends_with(":latest"));
        for old in of_it.skip(KEPT) {
            // One in use stays; the next build tries again.
            let _ = engine.untag(&old.reference).await;
        }
    }
    Ok(())
}

/// A temporary folder that goes with the build.
struct Scratch(tempfile::TempDir);

impl Scratch {
    fn new() -> Result<Self, ImageError> {
        let place = std::env::temp_dir();
        sweep(&place);
        let prefix = format!("{SCRATCH}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(&place);
        folder.map(Self).map_err(ImageError::io(format!("cannot make a folder in {}", place.display())))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Removes folders of builds that were killed.
fn sweep(place: &Path) {
    let Ok(entries) = std::fs::read_dir(place) else { return };
    for folder in entries.flatten().map(|entry| entry.path()).filter(|folder| is_stale(folder)) {
        // Somebody else's, or not to be removed: none of our business.
        let _ = std::fs::remove_dir_all(folder);
    }
}

fn is_stale(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    let Some((pid, _)) = name.and_then(|name| name.strip_prefix(SCRATCH)).and_then(|rest| rest.split_once('-')) else {
        return false;
    };
    pid.parse::<u32>().is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
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

    #[test]
    fn folders_of_dead_builds_are_swept() {
        let place = tempfile::tempdir().expect("a folder");
        let dead = place.path().join(format!("{SCRATCH}4194999-abc"));
        let alive = place.path().join(format!("{SCRATCH}{}-abc", std::process::id()));
        let other = place.path().join("something-4194999-abc");
        for folder in [&dead, &alive, &other] {
            std::fs::create_dir(folder).expect("made");
        }
        sweep(place.path());
        assert!(!dead.exists() && alive.exists() && other.exists());
    }
}
