//! AlterUserScramCredentials, version 0, on the controller. What a client sends is salted already (KIP-554).

use super::{AdminContext, outcome};
use crate::admin::AdminError;
use crate::admin::scram::{Deletion, Upsertion};
use crate::common::ErrorCode;
use crate::protocol::messages::alter_user_scram_credentials::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, AlterUserScramCredentialsResult,
};
use bytestring::ByteString;
use std::collections::BTreeSet;

/// Gives and takes credentials.
pub async fn handle(
    context: AdminContext<'_>,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let upsertions = request.upsertions.into_iter().map(|upsertion| Upsertion {
        user: upsertion.name.to_string(),
        mechanism: upsertion.mechanism,
        iterations: upsertion.iterations,
        salt: upsertion.salt,
        salted_password: upsertion.salted_password,
    });
    let deletions = request
        .deletions
        .into_iter()
        .map(|deletion| Deletion { user: deletion.name.to_string(), mechanism: deletion.mechanism });
    let (upsertions, deletions): (Vec<_>, Vec<_>) = (upsertions.collect(), deletions.collect());
    let results = match context.is_controller {
        true => context.admin.alter_scram(&upsertions, &deletions).await,
        false => {
            let users = upsertions.into_iter().map(|u| u.user).chain(deletions.into_iter().map(|d| d.user));
            let users: BTreeSet<String> = users.collect();
            let refuse = |user| (user, Err(AdminError::from(ErrorCode::NotController)));
            users.into_iter().map(refuse).collect()
        }
    };
    let result = |(user, result): (String, Result<(), AdminError>)| {
        let (error_code, error_message) = outcome(&result);
        AlterUserScramCredentialsResult {
            user: ByteString::from(user),
            error_code,
            error_message,
            ..Default::default()
        }
    };
    AlterUserScramCredentialsResponse {
        results: results.into_iter().map(result).collect(),
        ..Default::default()
    }
}
