//! YAML files that people write: read with positions, so that every mistake is told with file, line and field.
//!
//! | look in | for |
//! |---|---|
//! | `file` | from a path to its text |
//! | `parse`, `node` | from text to a tree whose values know their places |
//! | `reader` | reading the tree strictly, collecting everything that is wrong |
//! | `problem` | what is wrong, as a value that can be printed and drawn |
//! | `source`, `secret` | the line that is drawn, and what of it may not be shown |
//! | `visible` | text of others as it may be shown on a terminal |
//! | [`patroni`] | what is known to hurt in a `patroni.yml`, whoever reads it |

mod file;
mod node;
mod parse;
pub mod patroni;
mod problem;
mod reader;
mod secret;
mod source;
mod visible;

pub use file::{MAX_BYTES, cannot_read, text_of};
pub use node::{Key, Node, Place, Value};
pub use parse::{Document, parse};
pub use problem::{Problem, Severity, first_of_each};
pub use reader::{At, Fields, Reader, did_you_mean, one_of};
pub use secret::{hide_secrets, without as without_secrets};
pub use visible::{on_one_line, visible};
