//! DescribeDelegationToken (key 41). Lists delegation tokens (KIP-48). v2 is flexible.

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// Names owners; null is all.
    message DescribeDelegationTokenRequest 0..=2, flexible 2 {
        owners: Option<Vec<DescribeDelegationTokenOwner>>, 0..;
    }

    /// An element of [`DescribeDelegationTokenRequest::owners`].
    struct DescribeDelegationTokenOwner {
        principal_type: ByteString, 0..;
        principal_name: ByteString, 0..;
    }
}

schema! {
    /// The tokens with their secrets.
    message DescribeDelegationTokenResponse 0..=2, flexible 2 {
        error_code: i16, 0..;
        tokens: Vec<DescribedDelegationToken>, 0..;
        throttle_time_ms: i32, 0..;
    }

    /// An element of [`DescribeDelegationTokenResponse::tokens`].
    struct DescribedDelegationToken {
        principal_type: ByteString, 0..;
        principal_name: ByteString, 0..;
        issue_timestamp: i64, 0..;
        expiry_timestamp: i64, 0..;
        max_timestamp: i64, 0..;
        token_id: ByteString, 0..;
        hmac: Bytes, 0..;
        renewers: Vec<DescribedDelegationTokenRenewer>, 0..;
    }

    /// An element of [`DescribedDelegationToken::renewers`].
    struct DescribedDelegationTokenRenewer {
        principal_type: ByteString, 0..;
        principal_name: ByteString, 0..;
    }
}
