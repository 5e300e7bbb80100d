//! The finished images: a binary on top of each stage, proven and named.

use bytes::Bytes;
use futures::future::try_join_all;
use tokio_tar::Builder;

use super::{
    Image, ImageError, Source, Step, Watch,
    binary::Binary,
    context,
    engine::{Build, Engine},
    label,
    listing::list,
    recipe,
    scratch::Scratch,
    versions::versions,
};

/// How many finished images of each kind are kept, the newest: every changed binary makes one.
const KEPT: usize = 6;

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

/// Puts the binary on top of stages that are there; images that have it already are found.
pub(super) async fn finish_all(
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

/// The context of the binary's layer.
async fn layer(content: &[u8]) -> Result<Bytes, ImageError> {
    let mut packed = Builder::new(Vec::new());
    context::add(&mut packed, "pgdrill", 0o755, content).await?;
    context::finish(packed, recipe::BINARY).await
}

/// Takes away the oldest finished images that nobody uses.
async fn forget_old(engine: &Engine) -> Result<(), ImageError> {
    let listed = list(engine).await?;
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
