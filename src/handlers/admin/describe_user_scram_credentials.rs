//! DescribeUserScramCredentials, version 0, on any broker: mechanisms and iterations, never a key (KIP-554).

use super::{AdminContext, outcome};
use crate::common::scram::ScramMechanism;
use crate::protocol::messages::describe_user_scram_credentials::{
    CredentialInfo, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
};
use bytestring::ByteString;

/// Shows who has which credentials.
pub async fn handle(
    context: AdminContext<'_>,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let users = request.users.map(|users| users.iter().map(|user| user.name.to_string()).collect());
    let described = context.admin.describe_scram(users).await;
    let (error_code, error_message) = outcome(&described);
    let info = |(mechanism, iterations): (ScramMechanism, i32)| CredentialInfo {
        mechanism: mechanism.number(),
        iterations,
        ..Default::default()
    };
    let results = described.unwrap_or_default().into_iter().map(|(user, result)| {
        let (error_code, error_message) = outcome(&result);
        DescribeUserScramCredentialsResult {
            user: ByteString::from(user),
            error_code,
            error_message,
            credential_infos: result.unwrap_or_default().into_iter().map(info).collect(),
            ..Default::default()
        }
    });
    DescribeUserScramCredentialsResponse {
        error_code,
        error_message,
        results: results.collect(),
        ..Default::default()
    }
}
