//! (metadata)
