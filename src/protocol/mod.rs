//! (protocol)
