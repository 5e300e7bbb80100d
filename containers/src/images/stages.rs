//! The stages: everything in the images but the binary. Which source has them all, or is to make them.

use super::{
    Image, ImageError, Source, Step, Watch, debian,
    engine::Engine,
    recipe, registry,
    room::{self, Need},
    scratch::Scratch,
    versions::versions,
};

/// The source whose stages are all there.
pub(super) async fn staged(engine: &Engine, only: Option<Source>) -> Result<Option<Source>, ImageError> {
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
pub(super) async fn stages(engine: &Engine, only: Option<Source>, watch: Watch<'_>) -> Result<Source, ImageError> {
    let mut needs = vec![Need { place: std::env::temp_dir(), mib: room::SCRATCH_MIB }];
    needs.extend(engine.root.iter().map(|root| Need { place: root.clone(), mib: room::IMAGES_MIB }));
    room::check(&needs, room::free)?;
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
