//! Images from upstream's images, where a registry can be reached (or was, once).

use super::{
    Image, ImageError, Source, Step, Watch, context,
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
        let recipe = recipe::dockerfile(Source::Registry, image);
        // Docker complains of arguments that a recipe does not know.
        let known = |name: &str| recipe.lines().any(|line| line == format!("ARG {name}"));
        let arguments: Vec<_> = arguments.iter().copied().filter(|(name, _)| known(name)).collect();
        let mut packed = tokio_tar::Builder::new(Vec::new());
        if image == Image::Patroni {
            context::add(&mut packed, "patroni-requirements.txt", 0o644, recipe::PATRONI_REQUIREMENTS.as_bytes())
                .await?;
            context::add(&mut packed, "patroni", 0o755, recipe::PATRONI.as_bytes()).await?;
            context::add(&mut packed, "patronictl", 0o755, recipe::PATRONICTL.as_bytes()).await?;
        }
        let context = context::finish(packed, recipe).await?;
        let name = format!("{}:{tag}", image.repository());
        let wanted = Build { name: &name, context, arguments: &arguments, labels: &[], network: true };
        engine.build(image.name(), wanted, watch).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::docker::fake::{Answer, REQUESTS, SILENCE, daemon};

    const VERSION: Answer = ("GET", "/version", 200, r#"{"Version":"24.0.7","ApiVersion":"1.43","Arch":"amd64"}"#);
    const INFO: Answer = ("GET", "/info", 200, "{}");
    const PULLED: &str = "{\"status\":\"Pulling from library/debian\"}\r\n{\"status\":\"Status: Downloaded\"}\r\n";

    async fn engine(folder: &Path, answers: &[Answer]) -> Engine {
        let answers: Vec<Answer> = [VERSION, INFO].iter().chain(answers).copied().collect();
        let socket = daemon(folder, &answers);
        let mut engine = Engine::connect_to(&format!("unix://{}", socket.display())).await.expect("it answers");
        engine.stalled = Duration::from_millis(300);
        engine
    }

    fn requests(folder: &Path, begin: &str) -> Vec<String> {
        let all = std::fs::read_to_string(folder.join(REQUESTS)).expect("there were requests");
        all.lines().filter(|line| line.starts_with(begin)).map(str::to_owned).collect()
    }

    /// Why nothing could be pulled where a pull is answered like this.
    async fn refused(status: u16, body: &'static str) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = engine(folder.path(), &[("POST", "/images/create", status, body)]).await;
        let error = ready(&engine, &|_| {}).await.expect_err("it cannot be pulled");
        assert_eq!(requests(folder.path(), "POST").len(), 1, "one image that is not to be had is enough");
        error.to_string()
    }

    #[tokio::test]
    async fn a_registry_of_no_use_is_told_in_the_daemons_words() {
        let debian = recipe::version("REGISTRY_DEBIAN");
        // As Docker 20.10 says it of registries that refuse the connection, do not know the image, want a password.
        for (body, why) in [
            (
                r#"{"message":"Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused"}"#,
                "connection refused",
            ),
            (r#"{"message":"manifest unknown"}"#, "manifest unknown"),
            (
                r#"{"message":"Head \"http://127.0.0.1:1/v2/debian/manifests/x\": no basic auth credentials"}"#,
                "no basic auth credentials",
            ),
        ] {
            let error = refused(500, body).await;
            assert!(error.starts_with(&format!("the image {debian} is not on this machine and cannot be pulled: ")));
            assert!(error.contains(why), "{error}");
        }
    }

    #[tokio::test]
    async fn a_pull_that_fails_half_way_has_failed() {
        let body = "{\"status\":\"Pulling fs layer\"}\r\n{\"error\":\"unexpected EOF\",\"errorDetail\":{\"message\":\"unexpected EOF\"}}\r\n";
        let error = refused(200, body).await;
        assert!(error.contains("cannot be pulled: ") && error.contains("unexpected EOF"), "{error}");
    }

    #[tokio::test]
    async fn a_registry_that_says_nothing_is_not_waited_for() {
        let error = refused(SILENCE, "").await;
        assert!(error.contains("nothing was heard of it for 300ms"), "{error}");
    }

    #[tokio::test]
    async fn only_what_is_not_there_is_pulled() {
        let folder = tempfile::tempdir().expect("a folder");
        let there: Answer = ("GET", "/images/postgres", 200, r#"{"Id":"sha256:1"}"#);
        let engine = engine(folder.path(), &[there, ("POST", "/images/create", 200, PULLED)]).await;
        ready(&engine, &|_| {}).await.expect("all can be pulled");
        let pulls = requests(folder.path(), "POST");
        assert_eq!(pulls.len(), upstream().len() - 1, "{pulls:?}");
        assert!(!pulls.iter().any(|pull| pull.contains("postgres")), "{pulls:?}");
    }

    #[tokio::test]
    async fn a_later_image_that_is_missing_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let gone: Answer = ("POST", "fromImage=quay.io", 500, r#"{"message":"manifest unknown"}"#);
        let engine = engine(folder.path(), &[gone, ("POST", "/images/create", 200, PULLED)]).await;
        let error = ready(&engine, &|_| {}).await.expect_err("etcd is not to be had").to_string();
        assert!(error.contains(recipe::version("REGISTRY_ETCD")), "{error}");
    }
}
