//! (tools)
