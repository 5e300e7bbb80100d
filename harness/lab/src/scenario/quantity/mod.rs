//! Times, sizes and rates as people write them: always with their unit, so that nobody has to guess.

mod latency;
mod number;
mod rate;
mod shift;
mod size;
mod span;
mod throughput;

pub use latency::Latency;
pub use rate::{ClockRate, Rate};
pub use shift::Shift;
pub use size::Size;
pub use span::Span;
pub use throughput::Throughput;
