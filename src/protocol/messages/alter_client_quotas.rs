//! AlterClientQuotas (key 49). Sets and removes client quotas (KIP-546). v1 is flexible. A null entity
//! name is the default entity.

use bytestring::ByteString;

schema! {
    /// The edits.
    message AlterClientQuotasRequest 0..=1, flexible 1 {
        entries: Vec<EntryData>, 0..;
        validate_only: bool, 0..;
    }

    /// An element of [`AlterClientQuotasRequest::entries`].
    struct EntryData {
        entity: Vec<EntityData>, 0..;
        ops: Vec<OpData>, 0..;
    }

    /// An element of [`EntryData::entity`].
    struct EntityData {
        entity_type: ByteString, 0..;
        entity_name: Option<ByteString>, 0..;
    }

    /// An element of [`EntryData::ops`].
    struct OpData {
        key: ByteString, 0..;
        value: f64, 0..;
        /// True removes the key, whatever the value.
        remove: bool, 0..;
    }
}

schema! {
    /// What became of each entity.
    message AlterClientQuotasResponse 0..=1, flexible 1 {
        throttle_time_ms: i32, 0..;
        entries: Vec<AlterClientQuotasResponseEntryData>, 0..;
    }

    /// An element of [`AlterClientQuotasResponse::entries`].
    struct AlterClientQuotasResponseEntryData {
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        entity: Vec<EntityData>, 0..;
    }
}
