//! What a build is given: a tar archive with its `Dockerfile`.

use bytes::Bytes;
use tokio_tar::{Builder, Header};

use super::ImageError;

fn header(bytes: usize, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_size(bytes as u64);
    header.set_mode(mode);
    // No time: the same content is the same context, and Docker's own cache finds it.
    header.set_mtime(0);
    header
}

/// Adds a file to a context.
pub(super) async fn add(
    context: &mut Builder<Vec<u8>>,
    name: &str,
    mode: u32,
    content: &[u8],
) -> Result<(), ImageError> {
    let appended = context.append_data(&mut header(content.len(), mode), name, content).await;
    appended.map_err(ImageError::io(format!("cannot pack {name}")))
}

/// A context with its `Dockerfile`.
pub(super) async fn finish(mut context: Builder<Vec<u8>>, dockerfile: &str) -> Result<Bytes, ImageError> {
    add(&mut context, "Dockerfile", 0o644, dockerfile.as_bytes()).await?;
    context.into_inner().await.map(Bytes::from).map_err(ImageError::io("cannot pack a Dockerfile"))
}
