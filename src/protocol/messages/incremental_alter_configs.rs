//! IncrementalAlterConfigs (key 44). Edits single keys of a configuration (KIP-339): set 0, delete 1,
//! append 2, subtract 3. v1 is flexible.

use bytestring::ByteString;

schema! {
    /// The edits.
    message IncrementalAlterConfigsRequest 0..=1, flexible 1 {
        resources: Vec<AlterConfigsResource>, 0..;
        validate_only: bool, 0..;
    }

    /// An element of [`IncrementalAlterConfigsRequest::resources`].
    struct AlterConfigsResource {
        resource_type: i8, 0..;
        resource_name: ByteString, 0..;
        configs: Vec<AlterableConfig>, 0..;
    }

    /// An element of [`AlterConfigsResource::configs`].
    struct AlterableConfig {
        name: ByteString, 0..;
        config_operation: i8, 0..;
        value: Option<ByteString>, 0..;
    }
}

schema! {
    /// What became of each resource.
    message IncrementalAlterConfigsResponse 0..=1, flexible 1 {
        throttle_time_ms: i32, 0..;
        responses: Vec<AlterConfigsResourceResponse>, 0..;
    }

    /// An element of [`IncrementalAlterConfigsResponse::responses`].
    struct AlterConfigsResourceResponse {
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        resource_type: i8, 0..;
        resource_name: ByteString, 0..;
    }
}
