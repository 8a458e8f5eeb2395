//! Log messages with lines below them, as log4j writes an exception.

/// Stands in a log message between its line and the lines below; the loggers put their suffix before it. Cannot
/// stand in a message by chance.
pub const TRACE_MARK: char = '\u{1}';
