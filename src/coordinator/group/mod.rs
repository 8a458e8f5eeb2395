//! Membership of consumer groups and their committed offsets.
//!
//! [`offsets`] says what a committed offset is and how a store of them looks.

pub mod offsets;
