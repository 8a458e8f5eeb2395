//! SCRAM credentials of users, as ZooKeeper holds them (KIP-554). This release has no SASL: they are kept for the day
//! that brokers ask for them, here or in an Apache broker of the same cluster.
//!
//! Source: Kafka 2.8.2, `ZkAdminManager.describeUserScramCredentials`, `alterUserScramCredentials`.

use super::{Admin, AdminError, store};
use crate::common::ErrorCode;
use crate::common::scram::{ITERATIONS_MAX, ITERATIONS_MIN, ScramCredential, ScramMechanism};
use crate::config::Settings;
use crate::zk::config_changes;
use crate::zk::entity_name::{desanitize, sanitize};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashSet};

const USERS: &str = "users";
const NO_NAME: &str = "Username must not be empty";

/// A credential that a user shall have.
#[derive(Clone, Debug)]
pub struct Upsertion {
    /// Whose.
    pub user: String,
    /// The mechanism's number.
    pub mechanism: i8,
    /// How often the password was hashed.
    pub iterations: i32,
    /// What it was salted with.
    pub salt: Bytes,
    /// The result.
    pub salted_password: Bytes,
}

/// A credential that a user shall have no more.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// Whose.
    pub user: String,
    /// The mechanism's number.
    pub mechanism: i8,
}

/// What is known of a user's credentials: mechanisms and iterations.
pub type Credentials = Vec<(ScramMechanism, i32)>;

impl Admin {
    /// Credentials of these users, each once, or (`None`, or none named) of all who have some, by name.
    ///
    /// # Errors
    /// All of them: ZooKeeper's. One user: RESOURCE_NOT_FOUND, DUPLICATE_RESOURCE, UNKNOWN_SERVER_ERROR for what
    /// cannot be read.
    pub async fn describe_scram(
        &self,
        users: Option<Vec<String>>,
    ) -> Result<Vec<(String, Result<Credentials, AdminError>)>, AdminError> {
        let Some(users) = users.filter(|users| !users.is_empty()) else {
            let mut all = BTreeMap::new();
            for (name, settings) in config_changes::fetch_all(&self.zk, USERS).await? {
                if let Some(found) = credentials(&settings?).transpose() {
                    all.insert(desanitize(&name), found);
                }
            }
            return Ok(all.into_iter().collect());
        };
        let mut described: Vec<(String, Result<Credentials, AdminError>)> = Vec::with_capacity(users.len());
        let mut seen = HashSet::new();
        for user in &users {
            if seen.insert(user) {
                let is_repeated = users.iter().filter(|other| *other == user).nth(1).is_some();
                described.push((user.clone(), self.describe_one(user, is_repeated).await));
            }
        }
        Ok(described)
    }

    async fn describe_one(&self, user: &str, is_repeated: bool) -> Result<Credentials, AdminError> {
        if user.is_empty() {
            return Err(AdminError::new(ErrorCode::ResourceNotFound, NO_NAME));
        }
        if is_repeated {
            let what = "Cannot describe SCRAM credentials for the same user twice in a single request";
            return Err(AdminError::new(ErrorCode::DuplicateResource, format!("{what}: {user}")));
        }
        let (settings, _) = store::read_settings(&self.zk, USERS, &sanitize(user)).await?;
        credentials(&settings)?.ok_or_else(|| {
            let what = "Attempt to describe a user credential that does not exist";
            AdminError::new(ErrorCode::ResourceNotFound, format!("{what}: {user}"))
        })
    }

    /// Gives and takes credentials. All of a user's changes happen, or none.
    ///
    /// # Errors
    /// By user: UNACCEPTABLE_CREDENTIAL, UNSUPPORTED_SASL_MECHANISM, DUPLICATE_RESOURCE, RESOURCE_NOT_FOUND for a
    /// deletion of nothing.
    pub async fn alter_scram(
        &self,
        upsertions: &[Upsertion],
        deletions: &[Deletion],
    ) -> Vec<(String, Result<(), AdminError>)> {
        let mut refused = refused(upsertions, deletions);
        let named = upsertions.iter().map(|u| &u.user).chain(deletions.iter().map(|d| &d.user));
        let users: BTreeSet<&String> = named.collect();
        let mut results = Vec::with_capacity(users.len());
        for user in users {
            let result = match refused.remove(user) {
                Some(error) => Err(error),
                None => self.alter_one(user, upsertions, deletions).await,
            };
            results.push((user.clone(), result));
        }
        results
    }

    async fn alter_one(
        &self,
        user: &str,
        upsertions: &[Upsertion],
        deletions: &[Deletion],
    ) -> Result<(), AdminError> {
        let name = sanitize(user);
        loop {
            let (mut settings, version) = store::read_settings(&self.zk, USERS, &name).await?;
            for deletion in deletions.iter().filter(|deletion| deletion.user == user) {
                let key = ScramMechanism::from_number(deletion.mechanism).map_or("", ScramMechanism::name);
                if settings.remove(key).is_none() {
                    let what = "Attempt to delete a user credential that does not exist";
                    return Err(AdminError::new(ErrorCode::ResourceNotFound, what));
                }
            }
            for upsertion in upsertions.iter().filter(|upsertion| upsertion.user == user) {
                let Some(mechanism) = ScramMechanism::from_number(upsertion.mechanism) else { continue };
                let Upsertion { salt, salted_password, iterations, .. } = upsertion;
                let credential = ScramCredential::new(mechanism, salt, salted_password, *iterations);
                settings.insert(mechanism.name().to_string(), credential.to_string());
            }
            if store::replace_settings(&self.zk, USERS, &name, &settings, version).await? {
                store::notify_change(&self.zk, &format!("{USERS}/{name}")).await?;
                return Ok(());
            }
        }
    }
}

/// The credentials among the settings of a user; `None` if there are none.
fn credentials(settings: &Settings) -> Result<Option<Credentials>, AdminError> {
    let mut found = Credentials::new();
    for mechanism in ScramMechanism::ALL {
        if let Some(text) = settings.get(mechanism.name()) {
            let credential = ScramCredential::parse(text).ok_or(ErrorCode::UnknownServerError)?;
            found.push((mechanism, credential.iterations()));
        }
    }
    Ok((!found.is_empty()).then_some(found))
}

/// Users whose changes cannot be, whatever they have. What an upsertion is refused for counts more than a deletion.
fn refused(upsertions: &[Upsertion], deletions: &[Deletion]) -> BTreeMap<String, AdminError> {
    let mut refused = BTreeMap::new();
    let unknown = || AdminError::new(ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism");
    let unacceptable = |why: &str| AdminError::new(ErrorCode::UnacceptableCredential, why);
    for Deletion { user, mechanism } in deletions {
        if user.is_empty() {
            refused.insert(user.clone(), unacceptable(NO_NAME));
        } else if ScramMechanism::from_number(*mechanism).is_none() {
            refused.insert(user.clone(), unknown());
        }
    }
    for Upsertion { user, mechanism, iterations, .. } in upsertions {
        let error = match ScramMechanism::from_number(*mechanism) {
            _ if user.is_empty() => unacceptable(NO_NAME),
            None => unknown(),
            Some(_) if *iterations < ITERATIONS_MIN => unacceptable("Too few iterations"),
            Some(_) if *iterations > ITERATIONS_MAX => unacceptable("Too many iterations"),
            Some(_) => continue,
        };
        refused.insert(user.clone(), error);
    }
    let mut seen = HashSet::new();
    let named = upsertions.iter().map(|u| (&u.user, u.mechanism));
    for (user, mechanism) in named.chain(deletions.iter().map(|d| (&d.user, d.mechanism))) {
        if !seen.insert((user, mechanism)) && !refused.contains_key(user) {
            let what = "A user credential cannot be altered twice in the same request";
            refused.insert(user.clone(), AdminError::new(ErrorCode::DuplicateResource, what));
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::super::testing::admin;
    use super::*;
    use crate::zk::memory::MemoryZooKeeper;

    fn upsertion(user: &str, mechanism: i8, iterations: i32) -> Upsertion {
        let (user, salt) = (user.to_string(), Bytes::from_static(b"salt"));
        Upsertion { user, mechanism, iterations, salt, salted_password: Bytes::from_static(b"salted") }
    }

    fn deletion(user: &str, mechanism: i8) -> Deletion {
        Deletion { user: user.to_string(), mechanism }
    }

    fn codes<T>(results: &[(String, Result<T, AdminError>)]) -> Vec<(&str, ErrorCode)> {
        let code = |result: &Result<T, AdminError>| result.as_ref().err().map_or(ErrorCode::None, |e| e.code);
        results.iter().map(|(user, result)| (user.as_str(), code(result))).collect()
    }

    #[tokio::test]
    async fn credentials_come_beside_quotas_and_go() {
        let zookeeper = MemoryZooKeeper::new();
        let admin = admin(zookeeper.connect(), "");
        let given = [upsertion("a b", 1, 4096), upsertion("a b", 2, 16_384), upsertion("c", 2, 5000)];
        let results = admin.alter_scram(&given, &[]).await;
        assert_eq!(codes(&results), [("a b", ErrorCode::None), ("c", ErrorCode::None)]);
        let log = zookeeper.take_log().join("\n");
        assert!(log.contains(r#"create P /config/users/a%20b {"version":1,"config":{"SCRAM-SHA-256":"salt=c2FsdA==,stored_key="#), "{log}");
        assert!(log.contains(r#"{"version":2,"entity_path":"users/a%20b"}"#), "{log}");
        let all = admin.describe_scram(None).await.expect("described");
        let both = vec![(ScramMechanism::Sha256, 4096), (ScramMechanism::Sha512, 16_384)];
        assert_eq!(all[0], ("a b".to_string(), Ok(both)));
        assert_eq!(all[1], ("c".to_string(), Ok(vec![(ScramMechanism::Sha512, 5000)])));
        let results = admin.alter_scram(&[], &[deletion("a b", 1), deletion("c", 1)]).await;
        assert_eq!(codes(&results), [("a b", ErrorCode::None), ("c", ErrorCode::ResourceNotFound)]);
        let asked = ["a b", "d", "", "c", "c"].map(str::to_string).to_vec();
        let described = admin.describe_scram(Some(asked)).await.expect("described");
        let (missing, twice) = (ErrorCode::ResourceNotFound, ErrorCode::DuplicateResource);
        assert_eq!(
            codes(&described),
            [("a b", ErrorCode::None), ("d", missing), ("", missing), ("c", twice)]
        );
        assert_eq!(described[0].1, Ok(vec![(ScramMechanism::Sha512, 16_384)]));
    }

    #[tokio::test]
    async fn what_cannot_be_changes_nothing() {
        let zookeeper = MemoryZooKeeper::new();
        let admin = admin(zookeeper.connect(), "");
        zookeeper.take_log();
        let given = [
            upsertion("few", 1, 4095),
            upsertion("many", 1, 16_385),
            upsertion("strange", 3, 4096),
            upsertion("", 1, 4096),
            upsertion("twice", 1, 4096),
            // One good change does not save a bad one.
            upsertion("few", 2, 4096),
        ];
        let results = admin.alter_scram(&given, &[deletion("twice", 1), deletion("gone", 0)]).await;
        let unacceptable = ErrorCode::UnacceptableCredential;
        let expected = [
            ("", unacceptable),
            ("few", unacceptable),
            ("gone", ErrorCode::UnsupportedSaslMechanism),
            ("many", unacceptable),
            ("strange", ErrorCode::UnsupportedSaslMechanism),
            ("twice", ErrorCode::DuplicateResource),
        ];
        assert_eq!(codes(&results), expected);
        assert_eq!(zookeeper.take_log(), Vec::<String>::new());
    }
}
