//! Whole logs, compacted: what stays, what crashes leave of it, what readers see meanwhile.

mod property;
mod readers;
mod rules;
mod world;
