//! DescribeClientQuotas (key 48).

use bytestring::ByteString;

schema! {
    /// Request.
    message DescribeClientQuotasRequest 0..=1, flexible 1 {
        components: Vec<ComponentData>, 0..;
        strict: bool, 0..;
    }

    /// An element of [`DescribeClientQuotasRequest::components`].
    struct ComponentData {
        entity_type: ByteString, 0..;
        match_type: i8, 0..;
        r#match: Option<ByteString>, 0..;
    }
}

schema! {
    /// Response.
    message DescribeClientQuotasResponse 0..=1, flexible 1 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        entries: Option<Vec<EntryData>>, 0..;
    }

    /// An element of [`DescribeClientQuotasResponse::entries`].
    struct EntryData {
        entity: Vec<EntityData>, 0..;
        values: Vec<ValueData>, 0..;
    }

    /// An element of [`EntryData::entity`].
    struct EntityData {
        entity_type: ByteString, 0..;
        entity_name: Option<ByteString>, 0..;
    }

    /// An element of [`EntryData::values`].
    struct ValueData {
        key: ByteString, 0..;
        value: f64, 0..;
    }
}
