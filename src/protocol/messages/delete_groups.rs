//! DeleteGroups (key 42). Deletes empty groups (KIP-229). v2 is flexible.

use bytestring::ByteString;

schema! {
    /// Names the groups.
    message DeleteGroupsRequest 0..=2, flexible 2 {
        groups_names: Vec<ByteString>, 0..;
    }
}

schema! {
    /// What became of each group.
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
