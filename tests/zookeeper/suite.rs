//! What every ZooKeeper must do. Each case gets an empty one.

use super::Ensemble;
use ottla::common::{TopicPartition, clock};
use ottla::config::endpoint::{default_protocol_map, parse_endpoints};
use ottla::zk::config_changes::{self, ConfigChanges};
use ottla::zk::data::consumer_registration::{ConsumerRegistration, Subscription};
use ottla::zk::data::{BrokerRegistration, PartitionState};
use ottla::zk::election::{self, Election};
use ottla::zk::offsets::{self, Fence, Fences, StoredOffset, WriteError};
use ottla::zk::old_consumers as consumers;
use ottla::zk::registration::{self, Registrar};
use ottla::zk::{ANY_VERSION, CreateMode, Op, OpResult, WatchKind, ZkError};
use ottla::zk::{broker_id, cluster_id, paths, producer_ids, skeleton};
use std::collections::BTreeMap;
use {CreateMode::Ephemeral, CreateMode::Persistent, CreateMode::PersistentSequential};

pub async fn nodes(ensemble: Ensemble<'_>) {
    let client = ensemble.connect().await;
    let created = client.create("/a", "1", Persistent).await.unwrap();
    assert_eq!((created.path.as_str(), created.stat.version), ("/a", 0));
    assert!(created.stat.czxid > 0 && created.stat.ctime_ms > 0);
    let (data, stat) = client.get("/a").await.unwrap().unwrap();
    assert_eq!((data.as_ref(), stat), (b"1".as_ref(), created.stat));
    assert_eq!(client.set("/a", "22", 0).await.unwrap().data_length, 2);
    assert_eq!(client.set("/a", "3", ANY_VERSION).await.unwrap().version, 2);
    let child = client.create_with_parents("/a/b/c", "x", Ephemeral).await.unwrap();
    assert_eq!(child.stat.ephemeral_owner, client.session_id());
    for number in 0..3 {
        let created = client.create("/a/b/s_", "", PersistentSequential).await.unwrap();
        // The ephemeral counts.
        assert_eq!(created.path, format!("/a/b/s_{:010}", number + 1));
        client.delete(&created.path, 0).await.unwrap();
    }
    assert_eq!(client.children("/a/b").await.unwrap(), ["c"]);
    let stat = client.exists("/a/b").await.unwrap().unwrap();
    assert_eq!((stat.cversion, stat.num_children), (7, 1));
    assert_eq!(client.get("/nothing").await.unwrap(), None);
    assert_eq!(client.exists("/nothing").await.unwrap(), None);
    assert!(client.children("/nothing").await.unwrap().is_empty());
    let other = ensemble.connect().await;
    client.close().await;
    assert_eq!(other.exists("/a/b/c").await.unwrap(), None, "ephemerals go with the session");
    assert!(client.get("/a").await.is_err());
}

pub async fn errors(ensemble: Ensemble<'_>) {
    let client = ensemble.connect().await;
    client.create("/p", "", Persistent).await.unwrap();
    client.create("/p/c", "", Persistent).await.unwrap();
    client.create("/e", "", Ephemeral).await.unwrap();
    let path = |path: &str| path.to_string();
    let fail = |error: ZkError| Err::<(), _>(error);
    let create = |path, mode| {
        let client = &client;
        async move { client.create(path, "", mode).await.map(|_| ()) }
    };
    assert_eq!(create("/p", Persistent).await, fail(ZkError::NodeExists { path: path("/p") }));
    assert_eq!(create("/x/y", Persistent).await, fail(ZkError::NoNode { path: path("/x/y") }));
    let no_children = ZkError::NoChildrenForEphemerals { path: path("/e/x") };
    assert_eq!(create("/e/x", Persistent).await, fail(no_children));
    assert_eq!(client.delete("/p", ANY_VERSION).await, fail(ZkError::NotEmpty { path: path("/p") }));
    assert_eq!(client.delete("/p/c", 3).await, fail(ZkError::BadVersion { path: path("/p/c") }));
    assert_eq!(client.delete("/x", ANY_VERSION).await, fail(ZkError::NoNode { path: path("/x") }));
    let set = client.set("/p", "", 7).await.map(|_| ());
    assert_eq!(set, fail(ZkError::BadVersion { path: path("/p") }));
    for bad in ["", "p", "/p/", "//p", "/p/../x", "/p/\u{1}"] {
        assert!(matches!(client.get(bad).await, Err(ZkError::BadArgument(_))), "{bad}");
    }
    // One byte too many would cost the connection.
    let large = vec![b'x'; 0xf_ffff];
    assert!(matches!(client.set("/p", large, ANY_VERSION).await, Err(ZkError::TooLarge { .. })));
    let largest = vec![b'x'; 0xf_ffff - 200];
    assert_eq!(client.set("/p", largest, ANY_VERSION).await.unwrap().data_length, 0xf_ffff - 200);
}

pub async fn multis(ensemble: Ensemble<'_>) {
    let client = ensemble.connect().await;
    client.create("/fence", "", Persistent).await.unwrap();
    let results = client
        .multi(vec![
            Op::check("/fence", 0),
            Op::create("/a", "1", Ephemeral),
            Op::set("/a", "2", 0),
            Op::create("/s_", "", PersistentSequential),
            Op::create("/b", "", Persistent),
            Op::delete("/b", 0),
        ])
        .await
        .unwrap();
    assert_eq!((&results[0], &results[5]), (&OpResult::Checked, &OpResult::Deleted));
    let stat = results[2].stat().unwrap();
    // On 3.4 the create has the data of the write.
    assert!(stat.version <= 1 && stat.ephemeral_owner == client.session_id());
    let version = stat.version;
    assert_eq!(client.exists("/a").await.unwrap(), Some(stat));
    let OpResult::Created(sequential) = &results[3] else { panic!("{results:?}") };
    let stat = client.exists(&sequential.path).await.unwrap().unwrap();
    assert!(sequential.known_stat().is_none_or(|known| known == stat));
    client.set("/fence", "", 0).await.unwrap();
    let cases = [
        (vec![Op::check("/fence", 0), Op::set("/a", "3", version)], 0, "BadVersion for /fence"),
        (vec![Op::check("/fence", 1), Op::set("/a", "3", version + 1)], 1, "BadVersion for /a"),
        (vec![Op::check("/a", version), Op::create("/a", "", Persistent)], 1, "NodeExists for /a"),
        (vec![Op::create("/c", "", Persistent), Op::check("/nothing", 0)], 1, "NoNode for /nothing"),
        (vec![Op::create("/c", "", Persistent), Op::delete("/d", ANY_VERSION)], 1, "NoNode for /d"),
    ];
    for (ops, index, text) in cases {
        let error = client.multi(ops).await.unwrap_err();
        assert_eq!(error.failed_index(), Some(index), "{text}");
        assert_eq!(error.cause().to_string(), format!("KeeperErrorCode = {text}"));
    }
    assert_eq!(client.get("/a").await.unwrap().unwrap().0, "2");
    assert_eq!(client.exists("/c").await.unwrap(), None);
    assert_eq!(client.multi(Vec::new()).await.unwrap(), []);
}

pub async fn watches(ensemble: Ensemble<'_>) {
    let (client, other) = (ensemble.connect().await, ensemble.connect().await);
    let (found, watch) = client.get_and_watch("/a").await.unwrap();
    assert_eq!(found, None);
    let (children, parent_watch) = client.children_and_watch("/a").await.unwrap();
    assert!(children.is_empty());
    other.create("/a", "1", Persistent).await.unwrap();
    assert_eq!(watch.changed().await.kind, WatchKind::Created);
    assert_eq!(parent_watch.changed().await.kind, WatchKind::Created);
    let (found, data) = client.get_and_watch("/a").await.unwrap();
    assert_eq!(found.unwrap().0, "1");
    let (_, children) = client.children_and_watch("/a").await.unwrap();
    let (_, exists) = client.exists_and_watch("/a").await.unwrap();
    drop(client.get_and_watch("/a").await.unwrap());
    other.create("/a/b", "", Persistent).await.unwrap();
    let event = children.changed().await;
    assert_eq!((event.path.as_str(), event.kind), ("/a", WatchKind::ChildrenChanged));
    other.set("/a", "2", 0).await.unwrap();
    assert_eq!(data.changed().await.kind, WatchKind::DataChanged);
    assert_eq!(exists.changed().await.kind, WatchKind::DataChanged);
    let (names, children) = client.children_and_watch("/a/b").await.unwrap();
    assert!(names.is_empty());
    let (_, data) = client.get_and_watch("/a/b").await.unwrap();
    other.delete("/a/b", ANY_VERSION).await.unwrap();
    assert_eq!(children.changed().await.kind, WatchKind::Deleted);
    assert_eq!(data.changed().await.kind, WatchKind::Deleted);
    // The end of a session is seen by others.
    other.create("/e", "", Ephemeral).await.unwrap();
    let (_, watch) = client.exists_and_watch("/e").await.unwrap();
    other.close().await;
    assert_eq!(watch.changed().await.kind, WatchKind::Deleted);
}

pub async fn batches(ensemble: Ensemble<'_>) {
    let client = ensemble.connect().await;
    client.create("/epoch", "", Persistent).await.unwrap();
    let create =
        |n: usize| vec![Op::check("/epoch", 0), Op::create(format!("/{n}"), n.to_string(), Persistent)];
    let results = client.multi_many((0..200).map(create).collect()).await;
    assert!(results.iter().all(Result::is_ok));
    let found = client.get_many((0..201).map(|n| format!("/{n}")).collect()).await.unwrap();
    for (n, found) in found.iter().enumerate() {
        assert_eq!(
            found.as_ref().map(|(data, _)| data.to_vec()),
            (n < 200).then(|| n.to_string().into_bytes())
        );
    }
    // Each for itself.
    let results = client.multi_many((199..202).map(create).collect()).await;
    let ok: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [false, true, true]);
}

pub async fn recursion(ensemble: Ensemble<'_>) {
    let client = ensemble.connect().await;
    client.create("/epoch", "", Persistent).await.unwrap();
    for partition in 0..30 {
        client.create_with_parents(&format!("/t/p/{partition}/state"), "x", Persistent).await.unwrap();
    }
    client.ensure_path("/t/p/1").await.unwrap();
    let stale = client.delete_recursive("/t", &[Op::check("/epoch", 5)]).await.unwrap_err();
    assert_eq!(stale.failed_index(), Some(0));
    assert!(client.exists("/t/p/29/state").await.unwrap().is_some());
    client.delete_recursive("/t", &[Op::check("/epoch", 0)]).await.unwrap();
    assert_eq!(client.exists("/t").await.unwrap(), None);
    client.delete_recursive("/t", &[]).await.unwrap();
}

fn broker(port: i32) -> BrokerRegistration {
    BrokerRegistration {
        version: 5,
        endpoints: parse_endpoints(&format!("PLAINTEXT://h:{port}"), &default_protocol_map(), true).unwrap(),
        rack: None,
        jmx_port: -1,
        timestamp_ms: 0,
        features: BTreeMap::new(),
    }
}

async fn brokers_of(ensemble: &Ensemble<'_>) -> Vec<i32> {
    registration::brokers(&ensemble.connect().await).await.unwrap().iter().map(|broker| broker.id).collect()
}

async fn brokers_start(ensemble: &Ensemble<'_>) {
    let client = ensemble.connect().await;
    skeleton::create(&client).await.unwrap();
    skeleton::create(&client).await.unwrap();
    for path in skeleton::PERSISTENT_PATHS {
        assert!(client.exists(path).await.unwrap().is_some(), "{path}");
    }
    let id = cluster_id::get_or_create(&client).await.unwrap();
    assert_eq!(cluster_id::get_or_create(&ensemble.connect().await).await.unwrap(), id);
    assert_eq!(broker_id::generate(&client, 1000).await.unwrap(), 1001);
    assert_eq!(broker_id::generate(&client, 1000).await.unwrap(), 1002);
    assert_eq!(producer_ids::claim(&client, 1).await.unwrap().first, 0);
    assert_eq!(producer_ids::claim(&client, 2).await.unwrap().first, 1000);
}

async fn brokers_register(ensemble: &Ensemble<'_>) {
    let (one, two) = (ensemble.connect().await, ensemble.connect().await);
    let epoch = Registrar::new(one.clone(), 1).register(&broker(1)).await.unwrap();
    assert_eq!(one.exists("/brokers/ids/1").await.unwrap().unwrap().czxid, epoch);
    Registrar::new(two.clone(), 2).register(&broker(2)).await.unwrap();
    assert_eq!(brokers_of(ensemble).await, [1, 2]);
    // The first goes while its successor waits: not a duplicate but a ghost.
    let mut successor = Registrar::new(two.clone(), 1);
    let registration = broker(1);
    let (again, ()) = tokio::join!(successor.register(&registration), one.close());
    assert!(again.unwrap() > epoch);
    // The second lives: a duplicate.
    let duplicate = Registrar::new(ensemble.connect().await, 2).register(&broker(3)).await.unwrap_err();
    assert_eq!(duplicate.to_string(), "KeeperErrorCode = NodeExists");
}

pub async fn brokers(ensemble: Ensemble<'_>) {
    brokers_start(&ensemble).await;
    brokers_register(&ensemble).await;
}

pub async fn elections(ensemble: Ensemble<'_>) {
    let (one, two) = (ensemble.connect().await, ensemble.connect().await);
    let Election::Won(first) = election::elect(&one, 1, 0).await.unwrap() else { panic!("not elected") };
    assert_eq!((first.epoch, first.epoch_version), (1, 1));
    assert_eq!(election::elect(&two, 2, 0).await.unwrap(), Election::Lost(Some(1)));
    let (_, watch) = election::current_and_watch(&two).await.unwrap();
    election::resign(&one, first.epoch_version).await.unwrap();
    assert_eq!(watch.changed().await.kind, WatchKind::Deleted);
    // Both at once, many times: one wins each time.
    let mut epoch = 1;
    for _ in 0..10 {
        let (a, b) = tokio::join!(election::elect(&one, 1, 0), election::elect(&two, 2, 0));
        let won: Vec<_> = [(&one, a.unwrap()), (&two, b.unwrap())]
            .into_iter()
            .filter_map(|(client, election)| match election {
                Election::Won(elected) => Some((client, elected)),
                Election::Lost(_) => None,
            })
            .collect();
        assert_eq!(won.len(), 1, "{epoch}");
        let (winner, elected) = won[0];
        epoch += 1;
        assert_eq!(elected.epoch, epoch);
        let fenced = one.multi(vec![election::fence(epoch - 1), Op::create("/x", "", Persistent)]).await;
        assert!(election::is_fenced(&fenced.unwrap_err()));
        election::resign(winner, elected.epoch_version).await.unwrap();
    }
}

pub async fn configurations(ensemble: Ensemble<'_>) {
    let (client, other) = (ensemble.connect().await, ensemble.connect().await);
    let mut changes = ConfigChanges::new();
    let (new, watch) = changes.read_new(&client, 0).await.unwrap();
    assert!(new.is_empty());
    let config = BTreeMap::from([("retention.ms".to_string(), "1".to_string())]);
    config_changes::change(&other, "topics", "t", &config).await.unwrap();
    watch.changed().await;
    let (new, _) = changes.read_new(&client, 0).await.unwrap();
    assert_eq!(new.len(), 1);
    assert_eq!(config_changes::fetch(&client, "topics", "t").await.unwrap(), config);
    assert_eq!(config_changes::fetch_all(&client, "topics").await.unwrap().len(), 1);
    let far = i64::MAX / 2;
    let (new, _) = changes.read_new(&client, far).await.unwrap();
    assert!(new.is_empty());
    assert!(client.children("/config/changes").await.unwrap().is_empty(), "all are too old by then");
}

pub async fn committed_offsets(ensemble: Ensemble<'_>) {
    let (zk, other) = (ensemble.connect().await, ensemble.connect().await);
    let fences = Fences::default();
    let keys: Vec<TopicPartition> = (0..300).map(|p| TopicPartition::new("t", p)).collect();
    let stored = |offset: i64, metadata: &str| StoredOffset {
        offset,
        leader_epoch: (!metadata.is_empty()).then_some(3),
        metadata: metadata.to_string(),
        commit_timestamp_ms: clock::now_ms(),
        expire_timestamp_ms: None,
    };
    for (round, metadata) in [(1, ""), (2, "words"), (3, "more"), (4, "")] {
        let commit = |key: &TopicPartition| offsets::Commit {
            group: "g".into(),
            partition: key.clone(),
            offset: stored(round * i64::from(key.partition), metadata),
            keeps_time: false,
            fence: None,
        };
        let commits: Vec<_> = keys.iter().map(commit).collect();
        assert!(offsets::write(&zk, &fences, &commits).await.iter().all(Result::is_ok), "round {round}");
        let found = offsets::read_all(&other, "g").await.unwrap();
        assert_eq!(found.len(), keys.len());
        for (key, found) in found {
            let shown = (found.stored.offset, found.stored.metadata.as_str(), found.has_details);
            assert_eq!(shown, (round * i64::from(key.partition), metadata, !metadata.is_empty()), "{key}");
        }
        // Nothing but numbers where old readers look.
        let (number, stat) = other.get("/consumers/g/offsets/t/7").await.unwrap().unwrap();
        assert_eq!((number.as_ref(), stat.num_children), ((round * 7).to_string().as_bytes(), 0));
    }
    // Behind a fence: of the leader before, of the current one, after a change of the ISR.
    let state_path = paths::partition_state("__consumer_offsets", 0);
    let state =
        |isr: &[i32]| PartitionState { controller_epoch: 1, leader: 1, leader_epoch: 5, isr: isr.to_vec() };
    zk.create_with_parents(&state_path, state(&[1]).encode(), CreateMode::Persistent).await.unwrap();
    let fenced = |leader_epoch: i32| offsets::Commit {
        group: "g".into(),
        partition: keys[7].clone(),
        offset: stored(1, "x"),
        keeps_time: false,
        fence: Some(Fence { partition: 0, leader_epoch }),
    };
    assert_eq!(offsets::write(&zk, &fences, &[fenced(4)]).await, [Err(WriteError::Fenced)]);
    for isr in [&[1][..], &[1, 2], &[2]] {
        zk.set(&state_path, state(isr).encode(), ANY_VERSION).await.unwrap();
        assert_eq!(offsets::write(&zk, &fences, &[fenced(5)]).await, [Ok(())]);
    }
    other.set("/consumers/g/offsets/t/7", "1", ANY_VERSION).await.unwrap();
    let found = offsets::read(&zk, "g", &keys[7..8]).await.unwrap().remove(0).unwrap().unwrap();
    assert_eq!((found.stored.offset, found.has_details), (1, false), "written by hand to the same number");
    assert_eq!(offsets::groups(&zk).await.unwrap(), ["g"]);
    let fence = Some(Fence { partition: 0, leader_epoch: 5 });
    assert_eq!(offsets::delete(&zk, &fences, fence, "g", &keys).await.unwrap(), keys.len());
    assert!(zk.exists("/consumers/g").await.unwrap().is_none());
}

pub async fn old_consumers(ensemble: Ensemble<'_>) {
    let (a, b) = (ensemble.connect().await, ensemble.connect().await);
    let wish = ConsumerRegistration { subscription: Subscription::WhiteList("t".into(), 1), timestamp_ms: 1 };
    consumers::register(&a, "g", "a", &wish).await.unwrap();
    let (members, watch) = consumers::members_and_watch(&a, "g").await.unwrap();
    assert_eq!(members.len(), 1);
    consumers::register(&b, "g", "b", &wish).await.unwrap();
    watch.changed().await;
    let all: Vec<_> = (0..3).map(|p| (TopicPartition::new("t", p), "b-0".to_string())).collect();
    assert_eq!(consumers::claim(&b, "g", &all[2..]).await.unwrap(), None);
    assert!(consumers::claim(&a, "g", &all).await.unwrap().is_some());
    b.close().await;
    assert_eq!(consumers::claim(&a, "g", &all).await.unwrap(), None);
    consumers::release(&a, "g", &[all[0].0.clone()]).await.unwrap();
    assert_eq!(a.children("/consumers/g/owners/t").await.unwrap().len(), 2);
}
