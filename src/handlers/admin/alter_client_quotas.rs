//! AlterClientQuotas, versions 0-1, on any broker. Each entity succeeds or fails by itself; one that stands twice in a
//! request is edited twice, and what became of the last edit is its answer, as in Kafka.

use super::{AdminContext, outcome};
use crate::admin::quotas::{Entity, QuotaEdit};
use crate::protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, AlterClientQuotasResponseEntryData, EntityData,
    OpData,
};

/// Edits quotas.
pub async fn handle(
    context: AdminContext<'_>,
    request: AlterClientQuotasRequest,
) -> AlterClientQuotasResponse {
    let mut entries: Vec<AlterClientQuotasResponseEntryData> = Vec::with_capacity(request.entries.len());
    for entry in request.entries {
        let name = |name: &Option<_>| name.as_ref().map(ToString::to_string);
        let entity: Entity =
            entry.entity.iter().map(|e| (e.entity_type.to_string(), name(&e.entity_name))).collect();
        let edit =
            |op: &OpData| QuotaEdit { key: op.key.to_string(), value: (!op.remove).then_some(op.value) };
        let edits: Vec<QuotaEdit> = entry.ops.iter().map(edit).collect();
        let result = context.admin.edit_quotas(&entity, &edits, request.validate_only).await;
        let (error_code, error_message) = outcome(&result);
        let part = |(kind, name): (&String, &Option<String>)| EntityData {
            entity_type: kind.as_str().into(),
            entity_name: name.as_deref().map(Into::into),
            ..Default::default()
        };
        let entity = entity.iter().map(part).collect();
        let answer =
            AlterClientQuotasResponseEntryData { error_code, error_message, entity, ..Default::default() };
        match entries.iter_mut().find(|earlier| earlier.entity == answer.entity) {
            Some(earlier) => *earlier = answer,
            None => entries.push(answer),
        }
    }
    AlterClientQuotasResponse { entries, ..Default::default() }
}
