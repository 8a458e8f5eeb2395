//! ListGroups (key 16).

use bytestring::ByteString;

schema! {
    /// Request.
    message ListGroupsRequest 0..=4, flexible 3 {
        states_filter: Vec<ByteString>, 4..;
    }
}

schema! {
    /// Response.
    message ListGroupsResponse 0..=4, flexible 3 {
        throttle_time_ms: i32, 1..;
        error_code: i16, 0..;
        groups: Vec<ListedGroup>, 0..;
    }

    /// An element of [`ListGroupsResponse::groups`].
    struct ListedGroup {
        group_id: ByteString, 0..;
        protocol_type: ByteString, 0..;
        group_state: ByteString, 4..;
    }
}
