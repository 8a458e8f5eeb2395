//! DeleteAcls (key 31). Deletes the access rules that match filters. v1 adds pattern types (KIP-290), v2
//! is flexible.

use bytestring::ByteString;

schema! {
    /// The filters; null matches anything.
    message DeleteAclsRequest 0..=2, flexible 2 {
        filters: Vec<DeleteAclsFilter>, 0..;
    }

    /// An element of [`DeleteAclsRequest::filters`].
    struct DeleteAclsFilter {
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
    /// What each filter matched, in order.
    message DeleteAclsResponse 0..=2, flexible 2 {
        throttle_time_ms: i32, 0..;
        filter_results: Vec<DeleteAclsFilterResult>, 0..;
    }

    /// An element of [`DeleteAclsResponse::filter_results`].
    struct DeleteAclsFilterResult {
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        matching_acls: Vec<DeleteAclsMatchingAcl>, 0..;
    }

    /// An element of [`DeleteAclsFilterResult::matching_acls`].
    struct DeleteAclsMatchingAcl {
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        resource_type: i8, 0..;
        resource_name: ByteString, 0..;
        pattern_type: i8, 1.., default 3;
        principal: ByteString, 0..;
        host: ByteString, 0..;
        operation: i8, 0..;
        permission_type: i8, 0..;
    }
}
