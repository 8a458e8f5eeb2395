//! DescribeUserScramCredentials (key 50). Shows which SCRAM credentials users have, never the secrets
//! (KIP-554): mechanism 1 is SCRAM-SHA-256, 2 is SCRAM-SHA-512. Flexible from the start.

use bytestring::ByteString;

schema! {
    /// Names users; null or empty is all.
    message DescribeUserScramCredentialsRequest 0..=0, flexible 0 {
        users: Option<Vec<UserName>>, 0..;
    }

    /// An element of [`DescribeUserScramCredentialsRequest::users`].
    struct UserName {
        name: ByteString, 0..;
    }
}

schema! {
    /// The mechanisms and iteration counts.
    message DescribeUserScramCredentialsResponse 0..=0, flexible 0 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        results: Vec<DescribeUserScramCredentialsResult>, 0..;
    }

    /// An element of [`DescribeUserScramCredentialsResponse::results`].
    struct DescribeUserScramCredentialsResult {
        user: ByteString, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        credential_infos: Vec<CredentialInfo>, 0..;
    }

    /// An element of [`DescribeUserScramCredentialsResult::credential_infos`].
    struct CredentialInfo {
        mechanism: i8, 0..;
        iterations: i32, 0..;
    }
}
