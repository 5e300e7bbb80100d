//! The `pgdrill` of the images: the running one, if it runs there.

use std::path::{Path, PathBuf};

use super::{ImageError, Step, Watch, engine::Engine, recipe, tool};

/// A `pgdrill` to put into images.
#[derive(Clone, Debug)]
pub(super) struct Binary {
    /// The file.
    pub path: PathBuf,
    /// Names its content.
    pub hash: String,
}

impl Binary {
    /// Reads it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn find(given: Option<&Path>) -> Result<Self, ImageError> {
        let path = match given {
            Some(path) => path.to_owned(),
            None => std::env::current_exe().map_err(ImageError::io("cannot find the running pgdrill"))?,
        };
        let content = std::fs::read(&path).map_err(ImageError::io(format!("cannot read {}", path.display())))?;
        if !content.starts_with(b"\x7fELF") {
            let why = "it is no program for Linux".to_owned();
            return Err(ImageError::Binary { binary: path, images: "Linux".to_owned(), why });
        }
        Ok(Self { hash: recipe::hash([content.as_slice()]), path })
    }

    /// Its content without what only a debugger reads, when this machine can take that out: a debug build shrinks to a
    /// third, and every layer of every image with it.
    pub(super) async fn stripped(&self, scratch: &Path, watch: Watch<'_>) -> Result<Vec<u8>, ImageError> {
        watch(Step { what: "pgdrill", says: "copying", begins: true });
        let to = scratch.join("pgdrill");
        if let Some(strip) = tool::find("strip") {
            let mut command = tool::command(strip);
            command.arg("-o").arg(&to).arg(&self.path);
            if tool::run(command, "pgdrill", watch).await.is_ok() {
                return std::fs::read(&to).map_err(ImageError::io(format!("cannot read {}", to.display())));
            }
        }
        std::fs::read(&self.path).map_err(ImageError::io(format!("cannot read {}", self.path.display())))
    }

    /// Runs it in an image that has it; its version.
    ///
    /// # Errors
    /// When it does not run there.
    pub(super) async fn prove(&self, engine: &Engine, image: &str) -> Result<String, ImageError> {
        let probed = engine.probe(image, &["/usr/local/bin/pgdrill", "--version"]).await?;
        let said = probed.output.trim();
        if probed.code == Some(0) && said.starts_with("pgdrill ") {
            return Ok(said.to_owned());
        }
        let why = match probed.code {
            Some(code) => format!("`pgdrill --version` exits with {code}: {said}"),
            None => said.to_owned(),
        };
        let images = format!("Debian {}, {}", recipe::version("SUITE"), engine.architecture);
        Err(ImageError::Binary { binary: self.path.clone(), images, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_for_linux_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pgdrill");
        std::fs::write(&file, "#!/bin/sh\n").expect("written");
        let error = Binary::find(Some(&file)).expect_err("a script").to_string();
        assert!(error.contains("it is no program for Linux") && error.contains("--binary"), "{error}");
        assert!(Binary::find(Some(Path::new("/no/such/file"))).is_err());
        assert_eq!(Binary::find(None).expect("this test").hash.len(), 12);
    }
}
