//! Floor 7: builds everything, in order, and takes it apart again. The only place that constructs.

mod alter_isr;
pub mod broker;
pub mod built;
pub mod cleaning;
pub mod client_quotas;
pub mod command_line;
pub mod config_changes;
pub mod connection_quotas;
pub mod controlled_shutdown;
pub mod coordinators;
pub mod housekeeping;
pub mod log_files;
pub mod log_levels;
pub mod logger_names;
pub mod logging;
pub mod markers;
pub mod offsets_storage;
pub mod parts;
pub mod session;
pub mod startup;
pub mod transport;
