//! What images there are, and taking them away.

use super::{Image, ImageError, engine::Engine, label};

/// An image that pgdrill has built.
#[derive(Clone, Debug)]
pub struct Listed {
    /// `pgdrill/node:0a1b2c3d4e5f`.
    pub reference: String,
    /// Where it was made from, `registry` or `debian`.
    pub source: String,
    /// What its programs say.
    pub versions: String,
    /// Its size with all that it shares, in bytes.
    pub size_bytes: u64,
    /// Seconds since 1970 when it was built.
    pub created_s: i64,
}

/// Lists the finished images, newest first.
///
/// # Errors
/// When Docker does not answer.
pub async fn list(engine: &Engine) -> Result<Vec<Listed>, ImageError> {
    let mut listed = Vec::new();
    for image in engine.labelled(label::IMAGE).await? {
        let of = |name: &str| image.labels.get(name).cloned().unwrap_or_default();
        for reference in image.repo_tags.iter().filter(|reference| is_finished(reference)) {
            listed.push(Listed {
                reference: reference.clone(),
                source: of(label::SOURCE),
                versions: of(label::VERSIONS),
                size_bytes: u64::try_from(image.size).unwrap_or(0),
                created_s: image.created,
            });
        }
    }
    listed.sort_by(|a, b| b.created_s.cmp(&a.created_s).then_with(|| a.reference.cmp(&b.reference)));
    Ok(listed)
}

/// A name of a finished image, not of a stage.
fn is_finished(reference: &str) -> bool {
    let Some((repository, tag)) = reference.rsplit_once(':') else { return false };
    Image::ALL.iter().any(|image| image.repository() == repository) && !tag.starts_with("stage-")
}

/// Removes images and names the ones that are gone. With `stages`, also what a later build would start from.
///
/// # Errors
/// When Docker does not answer, or an image is in use: those that are not are removed all the same.
pub async fn remove(engine: &Engine, stages: bool) -> Result<Vec<String>, ImageError> {
    let mut names: Vec<String> = list(engine).await?.into_iter().map(|listed| listed.reference).collect();
    if stages {
        for image in engine.references("pgdrill/*").await? {
            let stage = image.contains(":stage-") || image.starts_with("pgdrill/base:");
            if stage {
                names.push(image);
            }
        }
    }
    let mut gone = Vec::new();
    let mut failed = None;
    for name in names {
        match engine.untag(&name).await {
            Ok(()) => gone.push(name),
            Err(why) => drop(failed.get_or_insert(why)),
        }
    }
    failed.map_or(Ok(gone), Err)
}
