//! DescribeLogDirs, versions 0-2, on any broker, for its own directories.

use crate::admin::log_dirs::{LogDir, describe};
use crate::protocol::messages::describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse};

/// Shows the directories with the logs that the request names; `dirs` are all of the broker's.
pub fn handle(dirs: Vec<LogDir>, request: &DescribeLogDirsRequest) -> DescribeLogDirsResponse {
    DescribeLogDirsResponse { results: describe(dirs, request.topics.as_deref()), ..Default::default() }
}
