//! Who is the controller.
//!
//! One multi creates `/controller` and raises `/controller_epoch` from the version read before. The version after that
//! write is the fence: every write of a controller goes with a check of it ([`fence`]), so one that has been replaced
//! cannot write any more. Kafka's `registerControllerAndIncrementControllerEpoch`. On ZooKeeper 3.4 the two
//! writes follow each other (see [`ZkClient::multi`]), as they did in Kafka 1.1.

use super::client::ZkClient;
use super::data::{NodeError, controller};
use super::error::ZkError;
use super::paths::{CONTROLLER, CONTROLLER_EPOCH};
use super::types::{CreateMode, Op, OpResult, Watch};
use crate::common::{BrokerId, ControllerEpoch};

/// A won election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elected {
    /// The controller epoch in requests and partition states.
    pub epoch: ControllerEpoch,
    /// Version of `/controller_epoch`, for [`fence`].
    pub epoch_version: i32,
}

/// How an election ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Election {
    /// This broker is the controller.
    Won(Elected),
    /// Another is; `None` if it is gone again already or its node is malformed. Watch `/controller`.
    Lost(Option<BrokerId>),
}

/// The operation that stands first in every multi of a controller.
pub fn fence(epoch_version: i32) -> Op {
    Op::check(CONTROLLER_EPOCH, epoch_version)
}

/// True if a multi that begins with [`fence`] failed because another controller has been elected.
pub fn is_fenced(error: &ZkError) -> bool {
    error.failed_index() == Some(0) && (error.is_bad_version() || error.is_no_node())
}

/// The controller now; `None` also for a malformed node.
pub async fn current(client: &ZkClient) -> Result<Option<BrokerId>, ZkError> {
    Ok(client.get(CONTROLLER).await?.and_then(|(data, _)| decode(&data)))
}

/// The controller now, and a watch on its coming and going.
pub async fn current_and_watch(client: &ZkClient) -> Result<(Option<BrokerId>, Watch), ZkError> {
    let (found, watch) = client.get_and_watch(CONTROLLER).await?;
    Ok((found.and_then(|(data, _)| decode(&data)), watch))
}

fn decode(data: &[u8]) -> Option<BrokerId> {
    controller::decode(data)
        .inspect_err(|error| log::error!(target: super::LOG, "{CONTROLLER}: {error}"))
        .ok()
}

/// Tries to become the controller. A seat that this session holds already, because the caller gave up waiting for an
/// earlier attempt, is won.
pub async fn elect(client: &ZkClient, broker_id: BrokerId, now_ms: i64) -> Result<Election, NodeError> {
    if let Some((data, stat)) = client.get(CONTROLLER).await? {
        if stat.ephemeral_owner == client.session_id() && decode(&data) == Some(broker_id) {
            return own_seat(client).await;
        }
        return Ok(Election::Lost(decode(&data)));
    }
    let (epoch, version) = epoch(client).await?;
    let next = next(epoch)?;
    let ops = vec![
        Op::create(CONTROLLER, controller::encode(broker_id, now_ms), CreateMode::Ephemeral),
        Op::set(CONTROLLER_EPOCH, controller::encode_epoch(next), version),
    ];
    match client.multi(ops).await {
        Ok(results) => match results.get(1).and_then(OpResult::stat) {
            Some(stat) => Ok(Election::Won(Elected { epoch: next, epoch_version: stat.version })),
            None => Err(ZkError::Unexpected("an election gave no stat".into()).into()),
        },
        Err(error) if error.is_node_exists() || error.is_bad_version() => won_after_all(client, next).await,
        Err(error) => Err(error.into()),
    }
}

/// The seat is ours. The epoch is raised all the same: what was sent under the one before may still be on its way, and on
/// 3.4 it was perhaps not raised at all.
async fn own_seat(client: &ZkClient) -> Result<Election, NodeError> {
    let (epoch, version) = epoch(client).await?;
    let epoch = next(epoch)?;
    match client.set(CONTROLLER_EPOCH, controller::encode_epoch(epoch), version).await {
        Ok(stat) => Ok(Election::Won(Elected { epoch, epoch_version: stat.version })),
        Err(error) if error.is_bad_version() => Ok(Election::Lost(current(client).await?)),
        Err(error) => Err(error.into()),
    }
}

fn next(epoch: ControllerEpoch) -> Result<ControllerEpoch, ZkError> {
    epoch.checked_add(1).ok_or_else(|| ZkError::Unexpected("the controller epochs end".into()))
}

/// After a conflict: `/controller` of our session together with our epoch can only be our own doing.
async fn won_after_all(client: &ZkClient, epoch: ControllerEpoch) -> Result<Election, NodeError> {
    let Some((data, stat)) = client.get(CONTROLLER).await? else { return Ok(Election::Lost(None)) };
    if stat.ephemeral_owner == client.session_id()
        && let Some((found, epoch_stat)) = client.get(CONTROLLER_EPOCH).await?
        && controller::decode_epoch(&found)? == epoch
    {
        return Ok(Election::Won(Elected { epoch, epoch_version: epoch_stat.version }));
    }
    Ok(Election::Lost(decode(&data)))
}

/// The epoch and its version, made if missing.
async fn epoch(client: &ZkClient) -> Result<(ControllerEpoch, i32), NodeError> {
    loop {
        if let Some((data, stat)) = client.get(CONTROLLER_EPOCH).await? {
            return Ok((controller::decode_epoch(&data)?, stat.version));
        }
        match client.create(CONTROLLER_EPOCH, controller::encode_epoch(0), CreateMode::Persistent).await {
            Ok(created) => return Ok((0, created.stat.version)),
            Err(error) if error.is_node_exists() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives the seat up, unless it is another's by now.
pub async fn resign(client: &ZkClient, epoch_version: i32) -> Result<(), ZkError> {
    let ops = vec![fence(epoch_version), Op::delete(CONTROLLER, super::ANY_VERSION)];
    match client.multi(ops).await {
        Err(error) if !is_fenced(&error) && !error.is_no_node() => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::memory::MemoryZooKeeper;

    fn won(election: Election) -> Elected {
        match election {
            Election::Won(elected) => elected,
            Election::Lost(other) => panic!("lost to {other:?}"),
        }
    }

    #[tokio::test]
    async fn an_election_as_kafka_holds_it() {
        let zookeeper = MemoryZooKeeper::new();
        let (a, b) = (zookeeper.connect(), zookeeper.connect());
        let first = won(elect(&a, 1, 1_700_000_000_000).await.unwrap());
        assert_eq!(first, Elected { epoch: 1, epoch_version: 1 });
        assert_eq!(
            zookeeper.take_log(),
            [
                "create P /controller_epoch 0",
                "multi",
                r#"    create E /controller {"version":1,"brokerid":1,"timestamp":"1700000000000"}"#,
                "    set /controller_epoch v1 1",
            ]
        );
        assert_eq!(elect(&b, 2, 0).await.unwrap(), Election::Lost(Some(1)));
        assert_eq!(current(&b).await.unwrap(), Some(1));
        let (_, watch) = current_and_watch(&b).await.unwrap();
        zookeeper.expire(a.session_id());
        watch.changed().await;
        let second = won(elect(&b, 2, 0).await.unwrap());
        assert_eq!(second, Elected { epoch: 2, epoch_version: 2 });
        // The first is fenced: it neither writes nor takes the seat from the second.
        let stale =
            a.multi(vec![fence(first.epoch_version), Op::create("/x", "", CreateMode::Persistent)]).await;
        assert!(is_fenced(&stale.unwrap_err()));
        resign(&a, first.epoch_version).await.unwrap();
        assert_eq!(current(&a).await.unwrap(), Some(2));
        resign(&b, second.epoch_version).await.unwrap();
        assert_eq!(current(&a).await.unwrap(), None);
        resign(&b, second.epoch_version).await.unwrap();
    }

    #[tokio::test]
    async fn a_lost_answer_does_not_lose_the_election() {
        for (old, lost) in [(false, 1), (false, 2), (true, 1), (true, 2), (true, 3)] {
            let zookeeper = MemoryZooKeeper::new();
            if old {
                zookeeper.pretend_3_4();
            }
            let client = zookeeper.connect();
            client.create(CONTROLLER_EPOCH, "4", CreateMode::Persistent).await.unwrap();
            assert_eq!(current(&client).await.unwrap(), None);
            zookeeper.lose_replies(client.session_id(), lost + 2);
            let elected = won(elect(&client, 1, 0).await.unwrap());
            assert_eq!(elected, Elected { epoch: 5, epoch_version: 1 }, "old {old} lost {lost}");
        }
    }

    #[tokio::test]
    async fn on_3_4_a_lost_race_for_the_epoch_gives_the_seat_back() {
        let zookeeper = MemoryZooKeeper::new();
        zookeeper.pretend_3_4();
        let client = zookeeper.connect();
        client.create(CONTROLLER_EPOCH, "1", CreateMode::Persistent).await.unwrap();
        let ops = vec![Op::create(CONTROLLER, "c", CreateMode::Ephemeral), Op::set(CONTROLLER_EPOCH, "2", 7)];
        let error = client.multi(ops).await.unwrap_err();
        assert_eq!(error.failed_index(), Some(1));
        assert!(error.is_bad_version());
        assert_eq!(current(&client).await.unwrap(), None);
        assert_eq!(won(elect(&client, 1, 0).await.unwrap()).epoch, 2);
    }

    #[tokio::test]
    async fn an_attempt_given_up_half_way_is_found_again() {
        for old in [false, true] {
            let zookeeper = MemoryZooKeeper::new();
            if old {
                zookeeper.pretend_3_4();
            }
            let client = zookeeper.connect();
            client.create(CONTROLLER_EPOCH, "4", CreateMode::Persistent).await.unwrap();
            client.create(CONTROLLER, controller::encode(1, 0), CreateMode::Ephemeral).await.unwrap();
            assert_eq!(won(elect(&client, 1, 0).await.unwrap()).epoch, 5);
            assert_eq!(elect(&zookeeper.connect(), 2, 0).await.unwrap(), Election::Lost(Some(1)));
        }
    }

    #[tokio::test]
    async fn a_broken_epoch_is_an_error() {
        let zookeeper = MemoryZooKeeper::new();
        let client = zookeeper.connect();
        client.create(CONTROLLER_EPOCH, "many", CreateMode::Persistent).await.unwrap();
        assert!(matches!(elect(&client, 1, 0).await, Err(NodeError::Data(_))));
    }
}
