//! Starts a broker.
fn main() {}
