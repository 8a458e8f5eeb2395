//! DescribeGroups (key 15). Describes groups and their members. v3 adds authorized operations (KIP-430),
//! v4 the static members' ids (KIP-345), v5 is flexible. Member metadata and assignments are there in a
//! stable group only.

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// Asks about groups.
    message DescribeGroupsRequest 0..=5, flexible 5 {
        groups: Vec<ByteString>, 0..;
        include_authorized_operations: bool, 3..;
    }
}

schema! {
    /// The groups; one that does not exist is Dead.
    message DescribeGroupsResponse 0..=5, flexible 5 {
        throttle_time_ms: i32, 1..;
        groups: Vec<DescribedGroup>, 0..;
    }

    /// An element of [`DescribeGroupsResponse::groups`].
    struct DescribedGroup {
        error_code: i16, 0..;
        group_id: ByteString, 0..;
        group_state: ByteString, 0..;
        protocol_type: ByteString, 0..;
        protocol_data: ByteString, 0..;
        members: Vec<DescribedGroupMember>, 0..;
        authorized_operations: i32, 3.., default i32::MIN;
    }

    /// An element of [`DescribedGroup::members`].
    struct DescribedGroupMember {
        member_id: ByteString, 0..;
        group_instance_id: Option<ByteString>, 4.., default None;
        client_id: ByteString, 0..;
        client_host: ByteString, 0..;
        member_metadata: Bytes, 0..;
        member_assignment: Bytes, 0..;
    }
}
