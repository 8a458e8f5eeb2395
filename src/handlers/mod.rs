//! (handlers)

pub mod admin;
