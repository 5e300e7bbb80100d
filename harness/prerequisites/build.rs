//! Says in one sentence what is missing and what to copy, instead of an error somewhere in a dependency minutes later.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PROTOC");
    let missing: Vec<&str> = [
        // Cargo tells build scripts of every `--cfg` that the target is built with.
        (env::var_os("CARGO_CFG_TOKIO_UNSTABLE").is_none(), "the flag `--cfg tokio_unstable`"),
        (!protoc_answers(), "a `protoc`"),
    ]
    .into_iter()
    .filter_map(|(missing, what)| missing.then_some(what))
    .collect();
    if missing.is_empty() {
        return;
    }
    // One sentence, in one line: Cargo prints it as an error of its own.
    println!(
        "cargo::error=pgdrill cannot be built without {}: beside your own Cargo.toml (the workspace's), run `cp -r {} .`; to a \
         .cargo/config.toml that is there already, add the lines of that one, and put its protoc beside it{}",
        missing.join(" and "),
        repository_settings(),
        overridden(),
    );
}

/// `.cargo` of the repository that this crate is in, wherever Cargo has put that.
fn repository_settings() -> String {
    let here = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let settings = Path::new(&here).ancestors().nth(2).map(|root| root.join(".cargo"));
    settings.map_or_else(|| "PGDRILL/.cargo".to_owned(), |settings| settings.display().to_string())
}

/// Cargo reads flags from one place only: whoever sets others has switched off what that file says.
fn overridden() -> &'static str {
    let others = env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| !flags.is_empty());
    if others && env::var_os("CARGO_CFG_TOKIO_UNSTABLE").is_none() {
        "; there are other flags in force (RUSTFLAGS, or a configuration nearer to the package): add this one to them"
    } else {
        ""
    }
}

/// What etcd-client's build starts: `$PROTOC`, or else `protoc` on the path.
fn protoc_answers() -> bool {
    let protoc = env::var_os("PROTOC").unwrap_or_else(|| "protoc".into());
    let asked =
        Command::new(protoc).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}
