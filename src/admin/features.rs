//! Finalized features (KIP-584). Source: Kafka 2.8.2, `KafkaController.validateFeatureUpdate`.
//!
//! 2.8.2 supports no feature, so nothing can be finalized. What another release left in `/feature` can be deleted.

use super::{Admin, AdminError};
use crate::common::ErrorCode;
use crate::zk::data::FeatureZNode;
use crate::zk::data::feature::FinalizedLevels;
use crate::zk::{ZkError, paths};
use std::collections::BTreeMap;

/// What is wanted of one feature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeatureUpdate {
    /// Its name.
    pub feature: String,
    /// The new highest level; below 1 it is to be deleted.
    pub max_version_level: i16,
    /// The level may go down, or the feature away.
    pub allow_downgrade: bool,
}

type Levels = BTreeMap<String, FinalizedLevels>;

/// What became of each feature, in the order of the request.
pub type FeatureResults = Vec<(String, Result<(), AdminError>)>;

impl Admin {
    /// Applies what is valid. Gives the version of `/feature` that says so, if it was written.
    pub async fn update_features(&self, updates: &[FeatureUpdate]) -> (FeatureResults, Option<i32>) {
        loop {
            let (existing, version) = match self.finalized_features().await {
                Ok(found) => found,
                Err(failed) => return (all_failed(updates, &failed), None),
            };
            let (target, mut results) = apply(updates, &existing);
            if target == existing {
                return (results, None);
            }
            let node = FeatureZNode { enabled: true, features: target };
            match self.zk.set(paths::FEATURE, node.encode(), version).await {
                Ok(stat) => return (results, Some(stat.version)),
                // Somebody else has written it: look again.
                Err(ZkError::BadVersion { .. }) => {}
                Err(failed) => {
                    log::warn!(target: "kafka.controller.KafkaController", "Features cannot be written: {failed}");
                    for (_, result) in results.iter_mut().filter(|(_, result)| result.is_ok()) {
                        *result = Err(update_failed());
                    }
                    return (results, None);
                }
            }
        }
    }

    async fn finalized_features(&self) -> Result<(Levels, i32), AdminError> {
        let Some((data, stat)) = self.zk.get(paths::FEATURE).await? else { return Ok((Levels::new(), -1)) };
        let node = FeatureZNode::decode(&data)?;
        Ok((if node.enabled { node.features } else { Levels::new() }, stat.version))
    }
}

fn update_failed() -> AdminError {
    let code = ErrorCode::FeatureUpdateFailed;
    AdminError::new(code, code.message())
}

fn all_failed(updates: &[FeatureUpdate], failed: &AdminError) -> FeatureResults {
    log::warn!(target: "kafka.controller.KafkaController", "Features cannot be read: {failed}");
    updates.iter().map(|update| (update.feature.clone(), Err(update_failed()))).collect()
}

fn apply(updates: &[FeatureUpdate], existing: &Levels) -> (Levels, FeatureResults) {
    let (mut target, mut results) = (existing.clone(), Vec::with_capacity(updates.len()));
    for update in updates {
        let result = validate(update, existing.get(&update.feature));
        if result.is_ok() {
            target.remove(&update.feature);
        }
        results.push((update.feature.clone(), result));
    }
    (target, results)
}

/// Only a deletion can be valid.
fn validate(update: &FeatureUpdate, existing: Option<&FinalizedLevels>) -> Result<(), AdminError> {
    let refuse = |message: String| Err(AdminError::invalid_request(message));
    let (wanted, downgrades) = (update.max_version_level, update.allow_downgrade);
    if update.feature.is_empty() {
        return refuse("Feature name can not be empty.".into());
    }
    if wanted < 1 {
        return match (downgrades, existing) {
            (false, _) => refuse(format!(
                "Can not provide maxVersionLevel: {wanted} less than 1 without setting the allowDowngrade flag to true \
                 in the request."
            )),
            (true, None) => refuse("Can not delete non-existing finalized feature.".into()),
            (true, Some(_)) => Ok(()),
        };
    }
    if let Some(FinalizedLevels { min_version_level: min, max_version_level: max }) = existing {
        if wanted == *max {
            let direction = if downgrades { "downgrade" } else { "upgrade" };
            return refuse(format!(
                "Can not {direction} a finalized feature from existing maxVersionLevel:{max} to the same value."
            ));
        }
        if wanted < *max && !downgrades {
            return refuse(format!(
                "Can not downgrade finalized feature from existing maxVersionLevel:{max} to provided \
                 maxVersionLevel:{wanted} without setting the allowDowngrade flag in the request."
            ));
        }
        if downgrades && wanted > *max {
            return refuse(format!(
                "When the allowDowngrade flag set in the request, the provided maxVersionLevel:{wanted} can not be \
                 greater than existing maxVersionLevel:{max}."
            ));
        }
        if wanted < *min {
            return refuse(format!(
                "Can not downgrade finalized feature to maxVersionLevel:{wanted} because it's lower than the existing \
                 minVersionLevel:{min}."
            ));
        }
    }
    refuse(
        "Could not apply finalized feature update because the provided feature is not supported.".to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::admin;
    use crate::zk::CreateMode;
    use crate::zk::memory::MemoryZooKeeper;

    fn update(feature: &str, max_version_level: i16, allow_downgrade: bool) -> FeatureUpdate {
        FeatureUpdate { feature: feature.to_string(), max_version_level, allow_downgrade }
    }

    #[test]
    fn refusals_are_kafkas() {
        let levels = FinalizedLevels { min_version_level: 2, max_version_level: 5 };
        let existing = Levels::from([("f".to_string(), levels)]);
        let refused = |asked: FeatureUpdate| {
            let (target, results) = apply(&[asked], &existing);
            assert_eq!(target, existing);
            let error = results[0].1.clone().expect_err("refused");
            assert_eq!(error.code, ErrorCode::InvalidRequest);
            error.message.unwrap_or_default()
        };
        assert!(refused(update("", 1, false)).contains("can not be empty"));
        assert!(refused(update("f", 0, false)).contains("less than 1 without"));
        assert!(refused(update("g", 0, true)).contains("non-existing"));
        assert!(refused(update("f", 5, false)).contains("Can not upgrade a finalized feature from existing"));
        assert!(refused(update("f", 5, true)).contains("Can not downgrade a finalized feature"));
        assert!(refused(update("f", 3, false)).contains("without setting the allowDowngrade flag in"));
        assert!(refused(update("f", 6, true)).contains("can not be greater than"));
        assert!(refused(update("f", 1, true)).contains("minVersionLevel:2"));
        assert!(refused(update("f", 6, false)).contains("is not supported"));
        assert!(refused(update("g", 1, false)).contains("is not supported"));
    }

    #[tokio::test]
    async fn what_another_release_left_can_be_deleted() {
        let zk = MemoryZooKeeper::new().connect();
        let levels = FinalizedLevels { min_version_level: 1, max_version_level: 7 };
        let features = ["metadata.version", "f"].map(|name| (name.to_string(), levels)).into();
        let node = FeatureZNode { enabled: true, features }.encode();
        zk.create(paths::FEATURE, node, CreateMode::Persistent).await.expect("created");
        let admin = admin(zk.clone(), "");
        let asked = [update("metadata.version", 0, true), update("g", 1, false)];
        let (results, version) = admin.update_features(&asked).await;
        assert!(results[0].1.is_ok() && results[1].1.is_err());
        assert_eq!(version, Some(1));
        let (data, _) = zk.get(paths::FEATURE).await.expect("read").expect("there");
        let left = FeatureZNode::decode(&data).expect("a node").features;
        assert_eq!(left.into_keys().collect::<Vec<_>>(), ["f"]);
        assert_eq!(admin.update_features(&asked[1..]).await.1, None, "nothing to write");
    }
}
