//! DescribeConfigs (key 32). Shows the configuration of topics (resource type 2), brokers (4) and broker
//! loggers (8). v0 only says whether a value is a default; v1 says where it comes from and can list its
//! synonyms (KIP-226), v3 adds types and documentation (KIP-569), v4 is flexible.

use bytestring::ByteString;

schema! {
    /// Names resources and keys; null keys are all.
    message DescribeConfigsRequest 0..=4, flexible 4 {
        resources: Vec<DescribeConfigsResource>, 0..;
        include_synonyms: bool, 1..;
        include_documentation: bool, 3..;
    }

    /// An element of [`DescribeConfigsRequest::resources`].
    struct DescribeConfigsResource {
        resource_type: i8, 0..;
        resource_name: ByteString, 0..;
        configuration_keys: Option<Vec<ByteString>>, 0..;
    }
}

schema! {
    /// The configurations.
    message DescribeConfigsResponse 0..=4, flexible 4 {
        throttle_time_ms: i32, 0..;
        results: Vec<DescribeConfigsResult>, 0..;
    }

    /// An element of [`DescribeConfigsResponse::results`].
    struct DescribeConfigsResult {
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        resource_type: i8, 0..;
        resource_name: ByteString, 0..;
        configs: Vec<DescribeConfigsResourceResult>, 0..;
    }

    /// An element of [`DescribeConfigsResult::configs`].
    struct DescribeConfigsResourceResult {
        name: ByteString, 0..;
        value: Option<ByteString>, 0..;
        read_only: bool, 0..;
        /// Only v0 has it.
        is_default: bool, 0..=0;
        /// 0 unknown, 1 topic, 2 broker, 3 cluster-wide, 4 static, 5 default, 6 logger; -1 in v0.
        config_source: i8, 1.., default -1;
        is_sensitive: bool, 0..;
        synonyms: Vec<DescribeConfigsSynonym>, 1..;
        config_type: i8, 3..;
        documentation: Option<ByteString>, 3..;
    }

    /// An element of [`DescribeConfigsResourceResult::synonyms`].
    struct DescribeConfigsSynonym {
        name: ByteString, 1..;
        value: Option<ByteString>, 1..;
        source: i8, 1..;
    }
}
