//! Nothing to call: this crate's build script looks for what Cargo cannot bring along (`--cfg tokio_unstable`, `protoc`), so that
//! a build that cannot succeed ends with one sentence that says what to copy. Without the flag the crate `pgdrill` has no other
//! dependency than this one: that sentence comes within a second.
