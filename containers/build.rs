//! Compiles the fault shim with the C compiler that the build needs anyway, so that the lab can put it into any container.

use std::{env, path::PathBuf, process::Command};

const SOURCE: &str = "src/shim/fault_shim.c";

fn main() {
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-changed=build.rs");
    let object = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR")).join("fault_shim.so");
    let mut compiler: Command = cc::Build::new().opt_level(2).warnings(true).get_compiler().to_command();
    let status = compiler.args(["-shared", "-fPIC", "-Wl,--hash-style=both", "-o"]).arg(&object).arg(SOURCE).status();
    assert!(status.is_ok_and(|status| status.success()), "the fault shim ({SOURCE}) does not compile");
}
