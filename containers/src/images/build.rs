//! The build from beginning to end: choose a source, make the stages, put the binary on top; and the short way, where only the
//! binary is another.

use std::path::{Path, PathBuf};

use super::{
    Image, ImageError, Images, Source, Watch,
    binary::Binary,
    engine::Engine,
    finished::finish_all,
    label,
    stages::{staged, stages},
};
use crate::docker::Trouble;

/// What to build.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The only source to take; `None` takes what is there, then what can be pulled, then Debian packages.
    pub source: Option<Source>,
    /// The `pgdrill` to put in; `None` takes the running one.
    pub binary: Option<PathBuf>,
}

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
