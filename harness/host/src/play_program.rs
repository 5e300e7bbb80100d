//! Programs that tests make up.

use std::{fs, path::Path, process::Command};

/// Writes a script that can be run at once. A process of its own makes the program: what this one has open for writing, a child
/// of another test has, too, until it runs its own program, and nobody can run the script meanwhile ("Text file busy").
pub(crate) fn play_program(program: &Path, script: &str) {
    let text = program.with_extension("text");
    fs::write(&text, script).expect("it is written");
    let made = Command::new("install").args(["-m", "755"]).args([&text, program]).status();
    assert!(made.expect("install runs").success(), "{} is not made", program.display());
}
