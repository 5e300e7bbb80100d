//! Images from upstream's images, where a registry can be reached (or was, once).

use super::{
    Image, ImageError, Step, Watch,
    engine::{Build, Engine},
    recipe,
};

/// Upstream's images: the argument of the recipes, and the image.
fn upstream() -> [(&'static str, &'static str); 4] {
    [
        ("DEBIAN", recipe::version("REGISTRY_DEBIAN")),
        ("POSTGRESQL", recipe::version("REGISTRY_POSTGRESQL")),
        ("ETCD", recipe::version("REGISTRY_ETCD")),
        ("PYTHON", recipe::version("REGISTRY_PYTHON")),
    ]
}

/// Pulls what is not there. The smallest image is the first: it tells soon whether there is a registry at all.
pub(super) async fn ready(engine: &Engine, watch: Watch<'_>) -> Result<(), ImageError> {
    for (_, image) in upstream() {
        if engine.id(image).await?.is_none() {
            engine.pull(image, watch).await?;
        }
    }
    Ok(())
}

/// Builds the stages of all images under this tag.
pub(super) async fn stages(engine: &Engine, tag: &str, watch: Watch<'_>) -> Result<(), ImageError> {
    ready(engine, watch).await?;
    let node = format!("{}:{tag}", Image::Node.repository());
    let mut arguments = upstream().to_vec();
    arguments.push(("BASE", &node));
    for image in Image::ALL {
        watch(Step { what: image.name(), says: "building", begins: true });
        let recipe = recipe::dockerfile(super::Source::Registry, image);
        // Docker complains of arguments that a recipe does not know.
        let known = |name: &str| recipe.lines().any(|line| line == format!("ARG {name}"));
        let arguments: Vec<_> = arguments.iter().copied().filter(|(name, _)| known(name)).collect();
        let mut context = tokio_tar::Builder::new(Vec::new());
        if image == Image::Patroni {
            super::build::add(&mut context, "patroni-requirements.txt", 0o644, recipe::PATRONI_REQUIREMENTS).await?;
            super::build::add(&mut context, "patroni", 0o755, recipe::PATRONI).await?;
            super::build::add(&mut context, "patronictl", 0o755, recipe::PATRONICTL).await?;
        }
        let context = super::build::finish(context, recipe).await?;
        let name = format!("{}:{tag}", image.repository());
        let wanted = Build { name: &name, context, arguments: &arguments, labels: &[], network: true };
        engine.build(image.name(), wanted, watch).await?;
    }
    Ok(())
}
