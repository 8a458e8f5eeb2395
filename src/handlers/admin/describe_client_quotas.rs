//! DescribeClientQuotas, versions 0-1, on any broker.

use super::AdminContext;
use crate::admin::AdminError;
use crate::admin::quotas::{Entity, Filter, Match, Quotas};
use crate::protocol::messages::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse, EntityData, EntryData,
    ValueData,
};
use bytestring::ByteString;

/// Shows quotas.
pub async fn handle(
    context: AdminContext<'_>,
    request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    let described = match filter(&request) {
        Ok(filter) => context.admin.describe_quotas(&filter).await,
        Err(error) => Err(error),
    };
    match described {
        // The message stays empty, and is not null, as in Kafka.
        Ok(all) => DescribeClientQuotasResponse {
            entries: Some(all.into_iter().map(entry).collect()),
            ..Default::default()
        },
        Err(error) => DescribeClientQuotasResponse {
            error_code: error.code.code(),
            error_message: error.message.map(ByteString::from),
            entries: None,
            ..Default::default()
        },
    }
}

fn filter(request: &DescribeClientQuotasRequest) -> Result<Filter, AdminError> {
    let mut filter = Filter { strict: request.strict, ..Default::default() };
    for ComponentData { entity_type, match_type, r#match, .. } in &request.components {
        let wanted = match (match_type, r#match) {
            (0, Some(name)) => Match::Name(Some(name.to_string())),
            (1, _) => Match::Name(None),
            (2, _) => Match::Any,
            (other, _) => {
                return Err(AdminError::invalid_request(format!("Unexpected match type: {other}")));
            }
        };
        filter.add(entity_type, wanted)?;
    }
    Ok(filter)
}

fn entry((entity, quotas): (Entity, Quotas)) -> EntryData {
    let entity = entity.into_iter().map(|(kind, name)| EntityData {
        entity_type: ByteString::from(kind),
        entity_name: name.map(ByteString::from),
        ..Default::default()
    });
    let value = |(key, value)| ValueData { key: ByteString::from(key), value, ..Default::default() };
    EntryData {
        entity: entity.collect(),
        values: quotas.into_iter().map(value).collect(),
        ..Default::default()
    }
}
