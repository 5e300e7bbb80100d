//! The scenario library: one YAML file for each scenario, in a folder for each theme. There is no code here; `play.rs`
//! makes a test of every file.
