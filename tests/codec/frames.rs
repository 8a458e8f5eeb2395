//! How a frame is put together: size first, small byte strings copied, large ones and files spliced in.

use bytes::Bytes;
use ottla::common::FileSlice;
use ottla::protocol::messages::fetch::{FetchResponse, FetchablePartitionResponse, FetchableTopicResponse};
use ottla::protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla::protocol::{ApiKey, Frame, Part, Reader, Records, client, decode_request_header, encode_response};
use ottla::protocol::{Message, encode_request};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

fn response(records: Vec<Option<Records>>) -> FetchResponse {
    let partition =
        |(partition, record_set)| FetchablePartitionResponse { partition, record_set, ..Default::default() };
    FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: "t".into(),
            partition_responses: (0..).zip(records).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The frame as the socket would see it.
fn on_the_wire(frame: &Frame) -> Bytes {
    let mut out = Vec::new();
    for part in &frame.parts {
        assert!(!part.is_empty());
        match part {
            Part::Memory(bytes) => out.extend_from_slice(bytes),
            Part::File(slice) => {
                let mut bytes = vec![0; slice.len];
                let file = std::fs::File::from(slice.file.try_clone().expect("descriptor"));
                file.read_exact_at(&mut bytes, slice.position).expect("read");
                out.extend_from_slice(&bytes);
            }
        }
    }
    assert_eq!(out.len(), frame.size_bytes);
    assert_eq!(out[..4], (out.len() as u32 - 4).to_be_bytes());
    out.into()
}

fn encode(records: Vec<Option<Records>>, version: i16) -> Frame {
    encode_response(9, ApiKey::Fetch, version, &response(records))
}

#[test]
fn parts_stand_where_their_bytes_belong() {
    let small = Bytes::from(vec![1; 100]);
    let large = Bytes::from(vec![2; 100_000]);
    let file = tempfile::tempfile().expect("file");
    file.write_all_at(b"..the records in a file..", 0).expect("write");
    let file: Arc<OwnedFd> = Arc::new(file.into());
    let in_file = |position, len| Records::File(FileSlice { file: file.clone(), position, len });
    let flat = |text: &'static [u8]| Some(Records::Memory(Bytes::from_static(text)));

    for version in ApiKey::Fetch.versions() {
        let frame = encode(
            vec![
                Some(small.clone().into()),
                Some(large.clone().into()),
                None,
                Some(in_file(2, 11)),
                Some(in_file(0, 0)),
                Some(Records::Many(vec![in_file(2, 3), Bytes::from_static(b"-").into(), in_file(19, 4)])),
                Some(large.clone().into()),
            ],
            version,
        );
        let all_in_memory = encode(
            vec![
                Some(small.clone().into()),
                Some(large.clone().into()),
                None,
                flat(b"the records"),
                flat(b""),
                flat(b"the-file"),
                Some(large.clone().into()),
            ],
            version,
        );
        assert!(on_the_wire(&frame) == on_the_wire(&all_in_memory), "v{version}");
        assert!(frame.clone().into_memory().is_none());
        let spliced = frame.parts.iter().filter(|part| match part {
            Part::Memory(bytes) => bytes.as_ptr() == large.as_ptr(),
            Part::File(_) => true,
        });
        assert_eq!(spliced.count(), 5);
        assert!(Some(on_the_wire(&all_in_memory)) == all_in_memory.into_memory());
    }
}

#[test]
fn a_frame_may_end_in_a_file() {
    let file = tempfile::tempfile().expect("file");
    file.write_all_at(b"records", 0).expect("write");
    let slice = FileSlice { file: Arc::new(file.into()), position: 0, len: 7 };
    let frame = encode(vec![Some(slice.into())], 4);
    assert!(matches!(frame.parts[..], [Part::Memory(_), Part::File(_)]));
    assert!(on_the_wire(&frame).ends_with(b"\0\0\0\x07records"));
}

fn produce(records: Bytes) -> ProduceRequest {
    let partition = PartitionProduceData { index: 3, records: Some(records), ..Default::default() };
    let topic = TopicProduceData { name: "t".into(), partition_data: vec![partition], ..Default::default() };
    ProduceRequest { acks: -1, topic_data: vec![topic], ..Default::default() }
}

#[test]
fn a_request_is_one_piece_and_decodes_without_copying() {
    let request = produce(Bytes::from(vec![7; 1 << 20]));
    let client_id = "me".into();
    for version in ApiKey::Produce.versions() {
        let sent = encode_request(4, Some(&client_id), version, &request);
        let mut reader = Reader::new(sent.slice(4..));
        let (header, key) = decode_request_header(&mut reader).expect("header");
        assert_eq!(
            (key, header.api_version, header.client_id),
            (ApiKey::Produce, version, Some("me".into()))
        );
        let decoded = ProduceRequest::decode(&mut reader, version).expect("body");
        let records = decoded.topic_data[0].partition_data[0].records.as_ref().expect("records");
        assert!(records == request.topic_data[0].partition_data[0].records.as_ref().expect("records"));
        assert!(sent.as_ptr_range().contains(&records.as_ptr()));
        assert!(sent.as_ptr_range().contains(&decoded.topic_data[0].name.as_bytes().as_ptr()));
    }
}

/// What the wire cannot say is left out, shortened, or empty; encoding does not fail.
#[test]
fn encoding_is_total() {
    use ottla::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
    use ottla::protocol::messages::sasl_handshake::SaslHandshakeRequest;
    let no_topics = MetadataRequest { topics: None, ..Default::default() };
    let sent = encode_request(1, None, 0, &no_topics);
    assert_eq!(sent[sent.len() - 4..], [0; 4]);
    let nameless = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: None, ..Default::default() }]),
        ..Default::default()
    };
    let sent = encode_request(1, None, 0, &nameless);
    assert_eq!(sent[sent.len() - 6..], [0, 0, 0, 1, 0, 0]);

    let mechanism = "é".repeat(20_000).into();
    let sent = encode_request(1, None, 0, &SaslHandshakeRequest { mechanism, ..Default::default() });
    let mut reader = Reader::new(sent.slice(14..));
    let decoded = SaslHandshakeRequest::decode(&mut reader, 0).expect("decodes");
    assert_eq!((decoded.mechanism.len(), reader.remaining()), (32766, 0));
}

#[test]
fn responses_decode_to_memory() {
    let frame = encode(vec![Some(Bytes::from_static(b"abc").into()), None], 12);
    let sent = on_the_wire(&frame).slice(4..);
    let (correlation_id, decoded) =
        client::decode_response::<ottla::protocol::messages::fetch::FetchRequest>(sent, 12).expect("decodes");
    assert_eq!(correlation_id, 9);
    assert_eq!(decoded, response(vec![Some(Bytes::from_static(b"abc").into()), None]));
}
