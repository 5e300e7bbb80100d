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
    /// Reads it, for images of this architecture.
    ///
    /// # Errors
    /// When it cannot be read, or its header says that it cannot run there: better said before everything is built than after.
    pub(super) fn find(given: Option<&Path>, architecture: &str) -> Result<Self, ImageError> {
        let path = match given {
            Some(path) => path.to_owned(),
            None => std::env::current_exe().map_err(ImageError::io("cannot find the running pgdrill"))?,
        };
        let content = std::fs::read(&path).map_err(ImageError::io(format!("cannot read {}", path.display())))?;
        let why = match machine(&content) {
            None => Some("it is no program for Linux".to_owned()),
            Some(machine) => {
                let known = MACHINES.iter().find(|known| known.0 == machine);
                let other = known.filter(|known| known.1 != architecture);
                other.map(|(_, name)| format!("it is a program for {name}"))
            }
        };
        if let Some(why) = why {
            return Err(ImageError::Binary { binary: path, images: images(architecture), why });
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
        Err(ImageError::Binary { binary: self.path.clone(), images: images(&engine.architecture), why })
    }
}

/// Machines by their number in the ELF header (`e_machine`), and by Docker's name for them.
const MACHINES: [(u16, &str); 4] = [(3, "386"), (40, "arm"), (62, "amd64"), (183, "arm64")];

/// What the header of a program says it is for; `None` when it is no ELF file.
fn machine(content: &[u8]) -> Option<u16> {
    let number = content.strip_prefix(b"\x7fELF")?.get(14..16)?;
    let bytes = [number[0], number[1]];
    // The sixth byte says in which order bytes are.
    Some(if content[5] == 2 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
}

/// What the images are, in words.
fn images(architecture: &str) -> String {
    format!("Debian {}, {architecture}", recipe::version("SUITE"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::fake::{Answer, daemon};

    const VERSION: Answer = ("GET", "/version", 200, r#"{"Version":"24.0.7","ApiVersion":"1.43","Arch":"amd64"}"#);
    const INFO: Answer = ("GET", "/info", 200, "{}");
    const CREATED: Answer = ("POST", "/containers/create", 201, r#"{"Id":"c1","Warnings":[]}"#);

    async fn proved(answers: &[Answer]) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = daemon(folder.path(), answers);
        let engine = Engine::connect_to(&format!("unix://{}", socket.display())).await.expect("it answers");
        let binary = Binary { path: PathBuf::from("target/debug/pgdrill"), hash: String::new() };
        binary.prove(&engine, "pgdrill/node:unproven").await.expect_err("it does not run").to_string()
    }

    #[tokio::test]
    async fn a_program_that_the_images_cannot_start_is_told_with_what_would_run_there() {
        let why = r#"{"message":"exec /usr/local/bin/pgdrill: exec format error"}"#;
        let error = proved(&[VERSION, INFO, CREATED, ("POST", "/containers/c1/start", 400, why)]).await;
        assert!(error.starts_with("target/debug/pgdrill does not run in the images (Debian "), "{error}");
        assert!(error.contains("exec format error") && error.contains("cargo build --release"), "{error}");
        assert!(error.contains("--binary target/images/release/pgdrill"), "{error}");
    }

    #[tokio::test]
    async fn another_c_library_is_told_in_the_programs_own_words() {
        // Logs come as frames: the stream, three zeros, the length.
        let log = "\x02\0\0\0\0\0\0\x23version `GLIBC_2.99' not found (x)\n";
        let started = ("POST", "/containers/c1/start", 204, "");
        let ended = ("POST", "/containers/c1/wait", 200, r#"{"StatusCode":1}"#);
        let error = proved(&[VERSION, INFO, CREATED, started, ended, ("GET", "/containers/c1/logs", 200, log)]).await;
        assert!(error.contains("exits with 1: version `GLIBC_2.99' not found"), "{error}");
    }

    #[test]
    fn what_is_no_program_for_linux_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pgdrill");
        std::fs::write(&file, "#!/bin/sh\n").expect("written");
        let error = Binary::find(Some(&file), "amd64").expect_err("a script").to_string();
        assert!(error.contains("it is no program for Linux") && error.contains("--binary"), "{error}");
        assert!(Binary::find(Some(Path::new("/no/such/file")), "amd64").is_err());
        let own = MACHINES
            .iter()
            .find(|known| Some(known.0) == machine(&std::fs::read("/proc/self/exe").expect("this test")));
        let own = own.map_or("another", |known| known.1);
        assert_eq!(Binary::find(None, own).expect("this test").hash.len(), 12);
    }
}
