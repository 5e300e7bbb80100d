//! The scenario library.
