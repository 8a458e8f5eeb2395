//! DeleteGroups (key 42).

use bytestring::ByteString;

schema! {
    /// Request.
    message DeleteGroupsRequest 0..=2, flexible 2 {
        groups_names: Vec<ByteString>, 0..;
    }
}

schema! {
    /// Response.
    message DeleteGroupsResponse 0..=2, flexible 2 {
        throttle_time_ms: i32, 0..;
        results: Vec<DeletableGroupResult>, 0..;
    }

    /// An element of [`DeleteGroupsResponse::results`].
    struct DeletableGroupResult {
        group_id: ByteString, 0..;
        error_code: i16, 0..;
    }
}
