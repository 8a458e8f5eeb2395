//! ListGroups (key 16). Lists the groups that this broker coordinates. v3 is flexible, v4 filters by
//! state and tells it (KIP-518).

use bytestring::ByteString;

schema! {
    /// Asks for groups.
    message ListGroupsRequest 0..=4, flexible 3 {
        states_filter: Vec<ByteString>, 4..;
    }
}

schema! {
    /// The groups.
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
