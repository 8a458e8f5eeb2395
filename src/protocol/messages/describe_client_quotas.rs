//! DescribeClientQuotas (key 48). Shows client quotas that match a filter (KIP-546). v1 is flexible.

use bytestring::ByteString;

schema! {
    /// The filter; match type 0 is exact, 1 the default entity, 2 any.
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
    /// The quotas, by entity.
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
