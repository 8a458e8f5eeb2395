use super::*;
use crate::coordinator::transaction::Producer;
use crate::protocol::messages::update_metadata::*;
use crate::protocol::messages::write_txn_markers::*;
use std::sync::Mutex;
use tokio::sync::oneshot;

type Request = (BrokerId, WriteTxnMarkersRequest, oneshot::Sender<Result<WriteTxnMarkersResponse, String>>);

/// Hands requests to the test, which answers them.
struct Wire(mpsc::UnboundedSender<Request>);

impl MarkerTransport for Wire {
    fn write_markers(&self, to: BrokerId, request: WriteTxnMarkersRequest) -> MarkerFuture {
        let (sender, receiver) = oneshot::channel();
        self.0.send((to, request, sender)).expect("the test listens");
        Box::pin(async move { receiver.await.unwrap_or(Err("gone".to_string())) })
    }

    /// Partitions from 10 on are deleted.
    fn may_exist(&self, partition: TopicPartition) -> ExistenceFuture {
        Box::pin(std::future::ready(partition.partition < 10))
    }
}

struct World {
    metadata: Arc<MetadataCache>,
    sender: MarkerSender,
    requests: mpsc::UnboundedReceiver<Request>,
    marked: Arc<Mutex<mpsc::UnboundedReceiver<String>>>,
}

fn world() -> World {
    let metadata = Arc::new(MetadataCache::default());
    let (wire, requests) = mpsc::unbounded_channel();
    let (done, marked) = mpsc::unbounded_channel();
    let on_marked: OnMarked = Box::new(move |_, id, mut outcomes| {
        outcomes.sort_by_key(|(name, _)| name.to_string());
        let outcomes = outcomes.iter().map(|(name, outcome)| format!("{name} {outcome:?}"));
        done.send(format!("{id}: {}", outcomes.collect::<Vec<_>>().join(", "))).expect("the test listens");
    });
    let sender = MarkerSender::start(Arc::clone(&metadata), Arc::new(Wire(wire)), on_marked);
    World { metadata, sender, requests, marked: Arc::new(Mutex::new(marked)) }
}

impl World {
    /// Leaders by partition of topic `t`; brokers 1 and 2 are alive.
    fn leaders(&self, leaders: &[i32]) {
        let states = leaders.iter().zip(0..).map(|(leader, index)| UpdateMetadataPartitionState {
            partition_index: index,
            leader: *leader,
            ..Default::default()
        });
        let topic = UpdateMetadataTopicState {
            topic_name: ByteString::from_static("t"),
            partition_states: states.collect(),
            ..Default::default()
        };
        let broker = |id| UpdateMetadataBroker { id, ..Default::default() };
        self.metadata.update(&UpdateMetadataRequest {
            controller_id: 1,
            topic_states: vec![topic],
            live_brokers: vec![broker(1), broker(2)],
            ..Default::default()
        });
    }

    async fn marked(&self) -> String {
        std::future::poll_fn(|cx| self.marked.lock().unwrap().poll_recv(cx)).await.expect("the sender runs")
    }
}

fn marker(id: &'static str, producer_id: i64, partitions: &[i32]) -> Marker {
    Marker {
        place: Place { partition: 0, coordinator_epoch: 5 },
        transactional_id: ByteString::from_static(id),
        producer: Producer { id: producer_id, epoch: 2 },
        commit: true,
        partitions: partitions.iter().map(|partition| TopicPartition::new("t", *partition)).collect(),
    }
}

/// What the request asks, as `producer: partitions`.
fn shown(request: &WriteTxnMarkersRequest) -> Vec<String> {
    let show = |marker: &WritableTxnMarker| {
        assert_eq!((marker.coordinator_epoch, marker.producer_epoch), (5, 2));
        assert!(marker.transaction_result);
        format!("{}: {:?}", marker.producer_id, marker.topics[0].partition_indexes)
    };
    request.markers.iter().map(show).collect()
}

fn answer(request: &WriteTxnMarkersRequest, code: impl Fn(i32) -> ErrorCode) -> WriteTxnMarkersResponse {
    let markers = request.markers.iter().map(|marker| WritableTxnMarkerResult {
        producer_id: marker.producer_id,
        topics: marker
            .topics
            .iter()
            .map(|topic| WritableTxnMarkerTopicResult {
                name: topic.name.clone(),
                partitions: topic
                    .partition_indexes
                    .iter()
                    .map(|index| WritableTxnMarkerPartitionResult {
                        partition_index: *index,
                        error_code: code(*index).code(),
                        ..Default::default()
                    })
                    .collect(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    WriteTxnMarkersResponse { markers: markers.collect(), ..Default::default() }
}

#[tokio::test]
async fn markers_go_to_their_leaders_and_what_waits_goes_together() {
    let mut world = world();
    world.leaders(&[1, 1, 2]);
    world.sender.send(marker("a", 1, &[0, 2]));
    let mut first = [world.requests.recv().await.unwrap(), world.requests.recv().await.unwrap()];
    first.sort_by_key(|(broker, ..)| *broker);
    let [(broker, to_one, reply_one), (_, to_two, reply_two)] = first;
    assert_eq!((broker, shown(&to_one), shown(&to_two)), (1, vec!["1: [0]".into()], vec!["1: [2]".into()]));
    world.sender.send(marker("b", 2, &[0]));
    world.sender.send(marker("c", 3, &[1]));
    reply_two.send(Ok(answer(&to_two, |_| ErrorCode::None))).unwrap();
    assert_eq!(world.marked().await, "a: t-2 Written");
    assert!(world.requests.try_recv().is_err(), "one request at a time to each broker");
    reply_one.send(Ok(answer(&to_one, |_| ErrorCode::None))).unwrap();
    assert_eq!(world.marked().await, "a: t-0 Written");
    let (broker, request, reply) = world.requests.recv().await.unwrap();
    assert_eq!((broker, shown(&request)), (1, vec!["2: [0]".into(), "3: [1]".into()]));
    reply.send(Err("connection closed".into())).unwrap();
    assert_eq!(world.marked().await, "b: t-0 Retry");
    assert_eq!(world.marked().await, "c: t-1 Retry");
}

#[tokio::test]
async fn every_code_has_its_outcome() {
    let mut world = world();
    let codes = [
        (ErrorCode::None, "Written"),
        (ErrorCode::UnsupportedForMessageFormat, "Skipped"),
        (ErrorCode::InvalidProducerEpoch, "Skipped"),
        (ErrorCode::TransactionCoordinatorFenced, "Fenced"),
        (ErrorCode::NotLeaderOrFollower, "Retry"),
        (ErrorCode::UnknownTopicOrPartition, "Retry"),
        (ErrorCode::NotEnoughReplicasAfterAppend, "Retry"),
        (ErrorCode::KafkaStorageError, "Retry"),
    ];
    world.leaders(&codes.map(|_| 1));
    let partitions: Vec<i32> = (0..codes.len() as i32).collect();
    world.sender.send(marker("a", 1, &partitions));
    let (_, request, reply) = world.requests.recv().await.unwrap();
    reply.send(Ok(answer(&request, |index| codes[index as usize].0))).unwrap();
    let expected: Vec<_> = codes.iter().zip(0..).map(|((_, name), n)| format!("t-{n} {name}")).collect();
    assert_eq!(world.marked().await, format!("a: {}", expected.join(", ")));
    // An answer that says nothing of a partition.
    world.sender.send(marker("a", 1, &[0]));
    let (_, _, reply) = world.requests.recv().await.unwrap();
    reply.send(Ok(WriteTxnMarkersResponse::default())).unwrap();
    assert_eq!(world.marked().await, "a: t-0 Retry");
}

#[tokio::test]
async fn partitions_without_a_leader_wait_and_deleted_ones_are_skipped() {
    let world = world();
    world.sender.send(marker("a", 1, &[0]));
    assert_eq!(world.marked().await, "a: t-0 Retry", "the controller has not spoken yet");
    world.leaders(&[-1, 9]);
    world.sender.send(marker("a", 1, &[0, 1, 2, 10]));
    let mut said = [world.marked().await, world.marked().await];
    said.sort();
    assert_eq!(said, ["a: t-0 Retry, t-1 Retry", "a: t-10 Skipped, t-2 Retry"]);
}

#[tokio::test]
async fn what_is_cancelled_is_not_sent() {
    let mut world = world();
    world.leaders(&[1, 1]);
    world.sender.send(marker("a", 1, &[0]));
    let (_, request, reply) = world.requests.recv().await.unwrap();
    world.sender.send(marker("b", 2, &[0]));
    let other = Marker { place: Place { partition: 1, coordinator_epoch: 5 }, ..marker("c", 3, &[1]) };
    world.sender.send(other);
    world.sender.cancel(Place { partition: 0, coordinator_epoch: 5 });
    reply.send(Ok(answer(&request, |_| ErrorCode::None))).unwrap();
    assert_eq!(world.marked().await, "a: t-0 Written");
    let (_, request, _reply) = world.requests.recv().await.unwrap();
    assert_eq!(shown(&request), ["3: [1]"]);
}
