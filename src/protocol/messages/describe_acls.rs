//! DescribeAcls (key 29). Lists the access rules that match a filter. v1 adds pattern types (KIP-290), v2
//! is flexible. Enums are those of KIP-140: 0 unknown, 1 any, then the values.

use bytestring::ByteString;

schema! {
    /// The filter; null matches anything.
    message DescribeAclsRequest 0..=2, flexible 2 {
        resource_type_filter: i8, 0..;
        resource_name_filter: Option<ByteString>, 0..;
        pattern_type_filter: i8, 1.., default 3;
        principal_filter: Option<ByteString>, 0..;
        host_filter: Option<ByteString>, 0..;
        operation: i8, 0..;
        permission_type: i8, 0..;
    }
}

schema! {
    /// The rules, by resource.
    message DescribeAclsResponse 0..=2, flexible 2 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        resources: Vec<DescribeAclsResource>, 0..;
    }

    /// An element of [`DescribeAclsResponse::resources`].
    struct DescribeAclsResource {
        resource_type: i8, 0..;
        resource_name: ByteString, 0..;
        pattern_type: i8, 1.., default 3;
        acls: Vec<AclDescription>, 0..;
    }

    /// An element of [`DescribeAclsResource::acls`].
    struct AclDescription {
        principal: ByteString, 0..;
        host: ByteString, 0..;
        operation: i8, 0..;
        permission_type: i8, 0..;
    }
}
