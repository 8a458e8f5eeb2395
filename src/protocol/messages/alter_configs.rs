//! AlterConfigs (key 33). Replaces all dynamic configuration of a resource. v2 is flexible.

use bytestring::ByteString;

schema! {
    /// The new configurations.
    message AlterConfigsRequest 0..=2, flexible 2 {
        resources: Vec<AlterConfigsResource>, 0..;
        validate_only: bool, 0..;
    }

    /// An element of [`AlterConfigsRequest::resources`].
    struct AlterConfigsResource {
        resource_type: i8, 0..;
        resource_name: ByteString, 0..;
        configs: Vec<AlterableConfig>, 0..;
    }

    /// An element of [`AlterConfigsResource::configs`].
    struct AlterableConfig {
        name: ByteString, 0..;
        value: Option<ByteString>, 0..;
    }
}

schema! {
    /// What became of each resource.
    message AlterConfigsResponse 0..=2, flexible 2 {
        throttle_time_ms: i32, 0..;
        responses: Vec<AlterConfigsResourceResponse>, 0..;
    }

    /// An element of [`AlterConfigsResponse::responses`].
    struct AlterConfigsResourceResponse {
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        resource_type: i8, 0..;
        resource_name: ByteString, 0..;
    }
}
