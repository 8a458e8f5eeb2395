//! CreateAcls (key 30). Adds access rules. v1 adds pattern types (KIP-290), v2 is flexible.

use bytestring::ByteString;

schema! {
    /// The rules.
    message CreateAclsRequest 0..=2, flexible 2 {
        creations: Vec<AclCreation>, 0..;
    }

    /// An element of [`CreateAclsRequest::creations`].
    struct AclCreation {
        resource_type: i8, 0..;
        resource_name: ByteString, 0..;
        resource_pattern_type: i8, 1.., default 3;
        principal: ByteString, 0..;
        host: ByteString, 0..;
        operation: i8, 0..;
        permission_type: i8, 0..;
    }
}

schema! {
    /// What became of each rule, in order.
    message CreateAclsResponse 0..=2, flexible 2 {
        throttle_time_ms: i32, 0..;
        results: Vec<AclCreationResult>, 0..;
    }

    /// An element of [`CreateAclsResponse::results`].
    struct AclCreationResult {
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
    }
}
