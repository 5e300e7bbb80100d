//! YAML files that people write: read with positions, so that every mistake is told with file, line and field.
//!
//! | look in | for |
//! |---|---|
//! | `file` | from a path to its text |
//! | `parse`, `node` | from text to a tree whose values know their places |
//! | `reader` | reading the tree strictly, collecting everything that is wrong |
//! | `problem` | what is wrong, as a value that can be printed and drawn |
//! | [`patroni`] | what is known to hurt in a `patroni.yml`, whoever reads it |

mod file;
mod node;
mod parse;
pub mod patroni;
mod problem;
mod reader;

pub use file::{MAX_BYTES, cannot_read, text_of};
pub use node::{Key, Node, Place, Value};
pub use parse::{Document, excerpt, parse};
pub use problem::{Problem, Severity};
pub use reader::{At, Fields, Reader, did_you_mean, one_of};
