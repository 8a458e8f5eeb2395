//! (handlers)
