//! Frames that no client sends. Expected: what Apache Kafka 2.8.2 did with the same bytes on a plaintext listener
//! (captured; the correlation id is 7 throughout).

use super::support::{Broker, Wire, ZooKeeper};
use std::io::Write as _;
use std::net::{Shutdown, TcpStream};

/// What follows the bytes.
enum Then {
    /// The connection ends without an answer.
    Closed,
    /// An answer that begins with this, and the connection goes on.
    Answer(&'static str),
    /// Neither: the broker waits for the rest.
    Waits,
}

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.chars().filter(|c| !c.is_whitespace()).collect();
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect()
}

fn framed(hex: &str) -> Vec<u8> {
    let body = bytes(hex);
    let mut frame = (body.len() as i32).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

/// Header version 1 with client id "mal": key, version, correlation id 7.
fn header(key: i16, version: i16) -> String {
    format!("{:04x}{:04x}000000070003{}", key as u16, version as u16, "6d616c")
}

/// An ApiVersions v0 request, to see that a connection is still usable.
const PROBE: &str = "001200000000000800036d616c";

fn check(broker: &Broker, name: &str, sent: &[u8], then: Then) {
    let mut wire = Wire::connect(&broker.address());
    wire.send_raw(sent).unwrap_or_else(|e| panic!("{name}: {e}"));
    match then {
        Then::Closed => assert!(wire.is_closed_by_peer(), "{name}: an answer instead of the end"),
        Then::Answer(expected) => {
            let answer = wire.read_frame().unwrap_or_else(|e| panic!("{name}: no answer: {e}"));
            let expected = bytes(expected);
            assert!(answer.starts_with(&expected), "{name}: answered {answer:02x?}");
            wire.send_raw(&framed(PROBE)).expect("a connection that goes on");
            let probe = wire.read_frame().unwrap_or_else(|e| panic!("{name}: afterwards: {e}"));
            assert_eq!(probe[..4], [0, 0, 0, 8], "{name}: afterwards");
        }
        Then::Waits => {
            // The rest of the frame never comes; the broker serves others meanwhile, and lets go when we do.
            let mut other = Wire::connect(&broker.address());
            other.send_raw(&framed(PROBE)).expect("another connection");
            assert_eq!(other.read_frame().expect("an answer")[..4], [0, 0, 0, 8], "{name}: others wait, too");
        }
    }
}

fn headers() -> Vec<(&'static str, Vec<u8>, Then)> {
    let metadata_v1 = framed(&format!("{}00000000", header(3, 1)));
    vec![
        ("unknown api key 999", framed(&header(999, 0)), Then::Closed),
        ("negative api key", framed(&header(-1, 0)), Then::Closed),
        ("api key 52 Vote", framed(&header(52, 0)), Then::Closed),
        ("api key 58 Envelope", framed(&header(58, 0)), Then::Closed),
        ("api key 62 BrokerRegistration", framed(&header(62, 0)), Then::Closed),
        (
            "ApiVersions v4, flexible body",
            framed("00120004 00000007 00036d616c 00 026d 0231 00"),
            Then::Answer("00000007002300000001001200000003"),
        ),
        ("ApiVersions v127, empty body", framed(&header(18, 127)), Then::Closed),
        (
            "ApiVersions v-1",
            framed(&format!("{}00", header(18, -1))),
            Then::Answer("00000007002300000001001200000003"),
        ),
        ("ApiVersions v3, header cut after correlation id", framed("0012000300000007"), Then::Closed),
        ("ApiVersions v3 without tag section of the header", framed(&header(18, 3)), Then::Closed),
        (
            "ApiVersions v0 with trailing garbage",
            framed(&format!("{}deadbeef", header(18, 0))),
            Then::Answer("000000070000000000"),
        ),
        ("ApiVersions v0 null client id", framed("0012000000000007ffff"), Then::Answer("000000070000000000")),
        ("Metadata v12", framed(&format!("{}00", header(3, 12))), Then::Closed),
        ("Metadata v-1", framed(&header(3, -1)), Then::Closed),
        ("Produce v10", framed(&format!("{}00", header(0, 10))), Then::Closed),
        ("Fetch v13", framed(&format!("{}00", header(1, 13))), Then::Closed),
        ("client id length -2", framed("0003000100000007fffe00000000"), Then::Answer("0000000700000001")),
        ("client id longer than frame", framed("00030001000000077fff61"), Then::Closed),
        (
            "client id invalid UTF-8",
            framed("00030001000000070002fffe00000000"),
            Then::Answer("0000000700000001"),
        ),
        ("correlation id negative", framed("00030001fffffffb00016100000000"), Then::Answer("fffffffb")),
        ("zero-length frame", framed(""), Then::Closed),
        ("1-byte frame", framed("00"), Then::Closed),
        ("4-byte frame", framed("00030001"), Then::Closed),
        ("8-byte frame without client id", framed("0003000100000007"), Then::Closed),
        ("baseline Metadata v1", metadata_v1, Then::Answer("0000000700000001")),
    ]
}

fn bodies() -> Vec<(&'static str, Vec<u8>, Then)> {
    let metadata = |version: i16, body: &str| framed(&format!("{}{body}", header(3, version)));
    vec![
        ("Metadata v1 body missing", metadata(1, ""), Then::Closed),
        ("Metadata v1 truncated array", metadata(1, "0000000200016100"), Then::Closed),
        ("Metadata v1 trailing garbage", metadata(1, "00000000deadbeef"), Then::Answer("0000000700000001")),
        ("Metadata v1 array length -5", metadata(1, "fffffffb"), Then::Answer("0000000700000001")),
        ("Metadata v0 array length -1", metadata(0, "ffffffff"), Then::Closed),
        ("Metadata v1 array length 2^31-1", metadata(1, "7fffffff"), Then::Closed),
        ("Metadata v1 array length 10,000,000", metadata(1, "00989680"), Then::Closed),
        ("Metadata v1 topic name length 32767, cut", metadata(1, "000000017fff6161"), Then::Closed),
        ("Metadata v0 topic name null", metadata(0, "00000001ffff"), Then::Closed),
        ("Metadata v9 compact array varint of 5 bytes 0xff", metadata(9, "00ffffffffff"), Then::Closed),
        ("Metadata v9 compact array huge", metadata(9, "00ffffffff07"), Then::Closed),
        (
            "Metadata v9 unknown tagged field in header and body",
            metadata(9, "01640161 00 01 00 00 01640161"),
            Then::Answer("0000000700"),
        ),
        ("Metadata v9 tagged field longer than frame", metadata(9, "0164ff01"), Then::Closed),
        (
            "Metadata v1 invalid UTF-8 topic name",
            metadata(1, "000000010002fffe"),
            Then::Answer("0000000700000001"),
        ),
        (
            "Fetch v4 maxWait -1",
            framed(&format!("{}ffffffffffffffff0000000100000001 00 00000000", header(1, 4))),
            Then::Answer("000000070000000000000000"),
        ),
        (
            "Produce v3 acks=2, no topics",
            framed(&format!("{}ffff00020000000000000000", header(0, 3))),
            Then::Answer("000000070000000000000000"),
        ),
        (
            "Produce v8 acks=1, no topics",
            framed(&format!("{}ffff0001000003e800000000", header(0, 8))),
            Then::Answer("000000070000000000000000"),
        ),
    ]
}

fn sizes() -> Vec<(&'static str, Vec<u8>, Then)> {
    let size = |n: i32| n.to_be_bytes().to_vec();
    vec![
        ("negative size -1", size(-1), Then::Closed),
        ("size -2147483648", size(i32::MIN), Then::Closed),
        ("size 104857600 and nothing more", size(104857600), Then::Waits),
        ("size 104857601", size(104857601), Then::Closed),
        ("size 2147483647", size(i32::MAX), Then::Closed),
        ("size 100, only 10 bytes sent", [size(100), vec![0; 10]].concat(), Then::Waits),
        ("HTTP GET", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), Then::Closed),
        (
            "TLS ClientHello",
            bytes("16030100c8010000c40303aabbccddeeff00112233445566778899aabbccddeeff"),
            Then::Closed,
        ),
    ]
}

#[test]
fn malformed_frames_get_kafkas_answer_and_harm_nobody() {
    let zookeeper = ZooKeeper::start();
    let mut broker = Broker::start(&zookeeper.address(), &[]);
    for (name, sent, then) in headers().into_iter().chain(bodies()).chain(sizes()) {
        check(&broker, name, &sent, then);
    }
    half_open_connections_are_let_go(&broker);
    two_requests_in_one_write_are_answered_in_order(&broker);
    assert!(broker.is_running(), "the broker ended:\n{}", broker.log());
    assert!(!broker.log().contains("panicked"), "a panic:\n{}", broker.log());
}

fn half_open_connections_are_let_go(broker: &Broker) {
    for _ in 0..50 {
        let mut stream = TcpStream::connect(broker.address()).expect("a connection");
        stream.write_all(&104857600i32.to_be_bytes()).expect("a size");
        stream.shutdown(Shutdown::Write).expect("half a connection");
    }
}

fn two_requests_in_one_write_are_answered_in_order(broker: &Broker) {
    let mut wire = Wire::connect(&broker.address());
    let mut both = framed(&format!("{}00000000", header(3, 1)));
    both.extend(framed(PROBE));
    wire.send_raw(&both).expect("two frames");
    assert_eq!(wire.read_frame().expect("the first answer")[..4], [0, 0, 0, 7]);
    assert_eq!(wire.read_frame().expect("the second answer")[..4], [0, 0, 0, 8]);
}
