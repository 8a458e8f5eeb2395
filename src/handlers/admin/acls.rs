//! DescribeAcls, CreateAcls and DeleteAcls, versions 0 to 2, as Kafka 2.8.2 answers them without an authorizer:
//! SECURITY_DISABLED. MirrorMaker 2 and administration programs ask for rules before they know that there are none.

use crate::common::ErrorCode;
use crate::protocol::messages::create_acls::{AclCreationResult, CreateAclsRequest, CreateAclsResponse};
use crate::protocol::messages::delete_acls::{DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse};
use crate::protocol::messages::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};
use bytestring::ByteString;

const CODE: i16 = ErrorCode::SecurityDisabled as i16;

fn message() -> Option<ByteString> {
    Some(ByteString::from_static("No Authorizer is configured on the broker."))
}

/// The one error.
pub fn describe(_: &DescribeAclsRequest) -> DescribeAclsResponse {
    DescribeAclsResponse { error_code: CODE, error_message: message(), ..Default::default() }
}

/// The error for each rule.
pub fn create(request: &CreateAclsRequest) -> CreateAclsResponse {
    let refused = |_| AclCreationResult { error_code: CODE, error_message: message(), ..Default::default() };
    CreateAclsResponse { results: request.creations.iter().map(refused).collect(), ..Default::default() }
}

/// The error for each filter.
pub fn delete(request: &DeleteAclsRequest) -> DeleteAclsResponse {
    let refused =
        |_| DeleteAclsFilterResult { error_code: CODE, error_message: message(), ..Default::default() };
    DeleteAclsResponse { filter_results: request.filters.iter().map(refused).collect(), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::create_acls::AclCreation;
    use crate::protocol::messages::delete_acls::DeleteAclsFilter;

    #[test]
    fn each_rule_and_filter_is_refused() {
        assert_eq!(describe(&DescribeAclsRequest::default()).error_code, 54);
        let created =
            create(&CreateAclsRequest { creations: vec![AclCreation::default(); 3], ..Default::default() });
        assert_eq!(created.results.iter().map(|result| result.error_code).collect::<Vec<_>>(), [54; 3]);
        let deleted = delete(&DeleteAclsRequest {
            filters: vec![DeleteAclsFilter::default(); 2],
            ..Default::default()
        });
        assert_eq!(
            deleted.filter_results.iter().map(|result| result.error_code).collect::<Vec<_>>(),
            [54; 2]
        );
    }
}
