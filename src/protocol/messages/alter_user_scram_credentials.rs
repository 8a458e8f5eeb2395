//! AlterUserScramCredentials (key 51). Sets and removes SCRAM credentials (KIP-554). Flexible from the
//! start.

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// The edits.
    message AlterUserScramCredentialsRequest 0..=0, flexible 0 {
        deletions: Vec<ScramCredentialDeletion>, 0..;
        upsertions: Vec<ScramCredentialUpsertion>, 0..;
    }

    /// An element of [`AlterUserScramCredentialsRequest::deletions`].
    struct ScramCredentialDeletion {
        name: ByteString, 0..;
        mechanism: i8, 0..;
    }

    /// An element of [`AlterUserScramCredentialsRequest::upsertions`].
    struct ScramCredentialUpsertion {
        name: ByteString, 0..;
        mechanism: i8, 0..;
        iterations: i32, 0..;
        salt: Bytes, 0..;
        salted_password: Bytes, 0..;
    }
}

schema! {
    /// What became of each user.
    message AlterUserScramCredentialsResponse 0..=0, flexible 0 {
        throttle_time_ms: i32, 0..;
        results: Vec<AlterUserScramCredentialsResult>, 0..;
    }

    /// An element of [`AlterUserScramCredentialsResponse::results`].
    struct AlterUserScramCredentialsResult {
        user: ByteString, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
    }
}
