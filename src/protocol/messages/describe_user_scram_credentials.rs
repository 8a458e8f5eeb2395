//! DescribeUserScramCredentials (key 50).

use bytestring::ByteString;

schema! {
    /// Request.
    message DescribeUserScramCredentialsRequest 0..=0, flexible 0 {
        users: Option<Vec<UserName>>, 0..;
    }

    /// An element of [`DescribeUserScramCredentialsRequest::users`].
    struct UserName {
        name: ByteString, 0..;
    }
}

schema! {
    /// Response.
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
