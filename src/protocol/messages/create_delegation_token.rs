//! CreateDelegationToken (key 38). Creates a delegation token (KIP-48). v2 is flexible.

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// Asks for a token; -1 is the longest life allowed.
    message CreateDelegationTokenRequest 0..=2, flexible 2 {
        renewers: Vec<CreatableRenewers>, 0..;
        max_lifetime_ms: i64, 0..;
    }

    /// An element of [`CreateDelegationTokenRequest::renewers`].
    struct CreatableRenewers {
        principal_type: ByteString, 0..;
        principal_name: ByteString, 0..;
    }
}

schema! {
    /// The token and its secret.
    message CreateDelegationTokenResponse 0..=2, flexible 2 {
        error_code: i16, 0..;
        principal_type: ByteString, 0..;
        principal_name: ByteString, 0..;
        issue_timestamp_ms: i64, 0..;
        expiry_timestamp_ms: i64, 0..;
        max_timestamp_ms: i64, 0..;
        token_id: ByteString, 0..;
        hmac: Bytes, 0..;
        throttle_time_ms: i32, 0..;
    }
}
