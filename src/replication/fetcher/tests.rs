use super::*;
use crate::config::properties::Properties;
use crate::replication::testing::{decide, replicas};

fn fetchers() -> Fetchers {
    let properties =
        Properties::parse_named(b"zookeeper.connect=none:1".as_slice(), "f").expect("well formed");
    Fetchers::new(FetcherContext {
        config: Arc::new(BrokerConfig::from_properties(&properties).expect("valid").0),
        metadata: Arc::default(),
        quota: Arc::default(),
        write_recovery_points: Box::new(|| {}),
    })
}

#[tokio::test]
async fn a_broker_that_stops_follows_nobody_anew() {
    let (replicas, _wanted, _dir) = replicas("");
    decide(&replicas, 0, (1, 0), &[1], &[0, 1]);
    decide(&replicas, 1, (1, 0), &[1], &[0, 1]);
    let follow = |partition| {
        let partition = replicas.find("t", partition).expect("just decided");
        Follow::of(partition).expect("another broker leads")
    };
    let fetchers = fetchers();
    let followed = || fetchers.lock().places.keys().map(|name| name.partition).collect::<Vec<_>>();
    fetchers.change(&[], vec![follow(0)]);
    assert_eq!(followed(), [0]);
    // The leaderships that it gives up before it stops make it a follower: it must not come back into those ISRs.
    fetchers.close();
    fetchers.change(&[], vec![follow(1)]);
    assert_eq!(followed(), [0], "what was followed goes on, nothing is added");
    fetchers.change(&[follow(0).partition.name.clone()], Vec::new());
    assert!(followed().is_empty(), "the controller may end it");
    fetchers.stop();
}

#[test]
fn partitions_belong_to_the_fetchers_that_kafka_gives_them() {
    let known = [("test", 0, [0, 1, 6]), ("test", 1, [0, 2, 7]), ("__consumer_offsets", 49, [0, 1, 6])];
    for (topic, partition, expected) in known {
        let name = TopicPartition::new(topic, partition);
        assert_eq!([1, 3, 8].map(|fetchers| fetcher_number(&name, fetchers)), expected, "{name}");
    }
}
