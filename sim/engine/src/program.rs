//! What a simulated process runs.

use std::{pin::Pin, sync::Arc};

type MainFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A program: called once for every start.
pub(crate) type Main = Arc<dyn Fn() -> MainFuture + Send + Sync>;

pub(crate) fn main_of<F, R>(main: F) -> Main
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Arc::new(move || Box::pin(main()))
}
