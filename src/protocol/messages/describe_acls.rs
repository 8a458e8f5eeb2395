//! DescribeAcls (key 29).

use bytestring::ByteString;

schema! {
    /// Request.
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
    /// Response.
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
