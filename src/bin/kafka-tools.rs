//! The command line tools, in one binary.
fn main() {}
