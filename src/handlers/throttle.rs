//! Quotas of clients around every request: what it took is counted when its answer is there; who took too much reads in
//! the answer for how long to be silent, and is not listened to until then (KIP-124, KIP-219).
//!
//! Bytes of produce requests and the time of all requests are counted here, for all APIs alike; `throttle_time_ms` is
//! written into the encoded answer, which is rare. Bytes of fetches are counted by their handler, which answers with
//! nothing instead, and changes of topics by theirs: what these have written into the answer mutes, too. What brokers ask
//! each other is exempt. Different from Kafka: a request's time is that of its dispatch; what is sent is not counted.

use super::dispatch::{Broker, Call};
use crate::common::clock;
use crate::network::{Dispatch, Outcome};
use crate::protocol::header::response_header_version;
use crate::protocol::{ApiKey, Frame, Part, Reader};
use crate::quota::client::Client;
use bytes::BytesMut;
use bytestring::ByteString;
use std::sync::Arc;

/// The user of every connection, as long as nobody has to say who he is.
pub const ANONYMOUS: &str = "ANONYMOUS";
const MICROS_PER_PERCENT_SECOND: f64 = 10_000.0;

/// What is known of a request before it is dispatched; none if no client has a quota.
pub struct Measured {
    api: ApiKey,
    version: i16,
    client_id: Option<ByteString>,
    size_bytes: usize,
    /// By a follower, not by a client.
    exempt: bool,
    began_us: i64,
}

/// Who asks.
pub fn client_of(client_id: &Option<ByteString>) -> Client<'_> {
    Client { user: ANONYMOUS, client_id: client_id.as_deref().unwrap_or("") }
}

impl Measured {
    /// About to dispatch a request of `size_bytes`.
    pub fn begin(broker: &Broker, call: &Call, body: &Reader, size_bytes: usize) -> Option<Measured> {
        let quotas = &broker.quotas;
        let counts = quotas.request.is_enabled()
            || (call.api == ApiKey::Produce && quotas.produce.is_enabled())
            || (call.api == ApiKey::Fetch && quotas.fetch.is_enabled())
            || quotas.mutations.is_enabled();
        counts.then(|| Measured {
            api: call.api,
            version: call.version,
            client_id: call.client_id.clone(),
            size_bytes,
            exempt: is_between_brokers(call.api, body),
            began_us: clock::monotonic_us(),
        })
    }

    /// Has the answer counted when it is there.
    pub fn end(self, broker: &Arc<Broker>, dispatched: Dispatch) -> Dispatch {
        if self.exempt {
            return dispatched;
        }
        let took_us = clock::monotonic_us() - self.began_us;
        match dispatched {
            Dispatch::Done(outcome) => Dispatch::Done(self.count(broker, took_us, outcome)),
            Dispatch::Pending(reply) => {
                let broker = Arc::clone(broker);
                Dispatch::Pending(Box::pin(async move {
                    let outcome = reply.await;
                    self.count(&broker, took_us, outcome)
                }))
            }
        }
    }

    fn count(&self, broker: &Broker, took_us: i64, outcome: Outcome) -> Outcome {
        let (quotas, client, now_ms) = (&broker.quotas, client_of(&self.client_id), clock::monotonic_ms());
        let mut throttle_ms = 0;
        if self.api == ApiKey::Produce && quotas.produce.is_enabled() {
            throttle_ms = quotas.produce.record(client, self.size_bytes as f64, now_ms);
        }
        if quotas.request.is_enabled() && !matches!(outcome, Outcome::Nothing) {
            let percent = took_us as f64 / MICROS_PER_PERCENT_SECOND;
            let of_time = quotas.request.record(client, percent, now_ms);
            throttle_ms = throttle_ms.max(of_time.min(quotas.request_throttle_ms_max));
        }
        let (mut frame, muted_ms) = match outcome {
            Outcome::Close(_) => return outcome,
            Outcome::Nothing => (None, 0),
            Outcome::Reply(frame) => (Some(frame), 0),
            Outcome::Throttled(throttled) => *throttled,
        };
        throttle_ms = throttle_ms.max(muted_ms);
        if let Some(frame) = &mut frame
            && let Some(at) = place(self.api, self.version, frame)
        {
            let written = read(frame, at).unwrap_or(0);
            if throttle_ms > i64::from(written) {
                write(frame, at, i32::try_from(throttle_ms).unwrap_or(i32::MAX));
            }
            throttle_ms = throttle_ms.max(i64::from(written));
        }
        match (frame, throttle_ms) {
            (Some(frame), 0) => Outcome::Reply(frame),
            (None, 0) => Outcome::Nothing,
            (frame, throttle_ms) => Outcome::Throttled(Box::new((frame, throttle_ms))),
        }
    }
}

fn is_between_brokers(api: ApiKey, body: &Reader) -> bool {
    match api {
        // The replica's id comes first.
        ApiKey::Fetch => body.clone().i32().is_ok_and(|replica_id| replica_id >= 0),
        ApiKey::LeaderAndIsr
        | ApiKey::StopReplica
        | ApiKey::UpdateMetadata
        | ApiKey::ControlledShutdown
        | ApiKey::WriteTxnMarkers
        | ApiKey::AlterIsr => true,
        _ => false,
    }
}

/// Where `throttle_time_ms` stands in an encoded answer; none if the version has none.
fn place(api: ApiKey, version: i16, frame: &Frame) -> Option<usize> {
    if version < version_min(api)? {
        return None;
    }
    let body = 8 + usize::from(response_header_version(api, version) >= 1);
    Some(match api {
        // The last field, before the tags.
        ApiKey::Produce => frame.size_bytes - 4 - usize::from(version >= 9),
        ApiKey::ApiVersions if version < 3 => frame.size_bytes - 4,
        // After the code and a compact array of elements of seven bytes.
        ApiKey::ApiVersions => {
            let count = usize::from(byte(frame, body + 2)?).checked_sub(1)?;
            body + 3 + 7 * count
        }
        // After the code.
        ApiKey::OffsetDelete => body + 2,
        _ => body,
    })
}

/// The first version whose answer has the field.
fn version_min(api: ApiKey) -> Option<i16> {
    match api {
        ApiKey::LeaderAndIsr
        | ApiKey::StopReplica
        | ApiKey::UpdateMetadata
        | ApiKey::ControlledShutdown
        | ApiKey::WriteTxnMarkers
        | ApiKey::SaslHandshake
        | ApiKey::SaslAuthenticate
        // Later in the answer, and not served.
        | ApiKey::CreateDelegationToken
        | ApiKey::RenewDelegationToken
        | ApiKey::ExpireDelegationToken
        | ApiKey::DescribeDelegationToken => None,
        ApiKey::Metadata | ApiKey::OffsetCommit | ApiKey::OffsetFetch => Some(3),
        ApiKey::CreateTopics | ApiKey::JoinGroup | ApiKey::ListOffsets | ApiKey::OffsetForLeaderEpoch => Some(2),
        ApiKey::Produce
        | ApiKey::Fetch
        | ApiKey::ApiVersions
        | ApiKey::DeleteTopics
        | ApiKey::DescribeGroups
        | ApiKey::FindCoordinator
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::ListGroups
        | ApiKey::SyncGroup => Some(1),
        _ => Some(0),
    }
}

fn byte(frame: &Frame, at: usize) -> Option<u8> {
    match frame.parts.first()? {
        Part::Memory(bytes) => bytes.get(at).copied(),
        Part::File(_) => None,
    }
}

/// The part in memory that has the four bytes at `at`, and where it begins.
fn part_at(frame: &Frame, at: usize) -> Option<(usize, usize)> {
    let mut begins = 0;
    for (index, part) in frame.parts.iter().enumerate() {
        if at >= begins && at + 4 <= begins + part.len() {
            return matches!(part, Part::Memory(_)).then_some((index, begins));
        }
        begins += part.len();
    }
    None
}

fn read(frame: &Frame, at: usize) -> Option<i32> {
    let (index, begins) = part_at(frame, at)?;
    let Part::Memory(bytes) = &frame.parts[index] else { return None };
    bytes[at - begins..].first_chunk().map(|field| i32::from_be_bytes(*field))
}

fn write(frame: &mut Frame, at: usize, throttle_ms: i32) {
    let Some((index, begins)) = part_at(frame, at) else { return };
    if let Part::Memory(bytes) = &mut frame.parts[index] {
        let mut copy = BytesMut::from(&bytes[..]);
        copy[at - begins..][..4].copy_from_slice(&throttle_ms.to_be_bytes());
        *bytes = copy.freeze();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::messages::*;
    use crate::protocol::{Message, encode_response, json};

    /// Every answer that has the field, in every version that is served, has it where it is looked for.
    fn check<R: Message>(api: ApiKey, response: &R) {
        for version in R::VERSIONS {
            let mut frame = encode_response(7, api, version, response);
            let has_field = json::to_json(response, version).get("throttleTimeMs").is_some();
            let Some(at) = place(api, version, &frame) else {
                assert!(!has_field || api.name().contains("DelegationToken"), "{} v{version}", api.name());
                continue;
            };
            assert!(has_field, "{} v{version}", api.name());
            assert_eq!(read(&frame, at), Some(0), "{} v{version}", api.name());
            write(&mut frame, at, 0x0102_0304);
            let bytes = frame.into_memory().expect("in memory");
            let body = 8 + usize::from(response_header_version(api, version) >= 1);
            let read = R::decode(&mut Reader::new(bytes.slice(body..)), version).expect("an answer");
            let json = json::to_json(&read, version);
            assert_eq!(json.get("throttleTimeMs"), Some(&0x0102_0304.into()), "{} v{version}", api.name());
        }
    }

    macro_rules! check_all {
        ($($name:ident = $key:literal, $module:ident::{$request:ident, $response:ident};)*) => {
            $(check(ApiKey::$name, &$module::$response::default());)*
        };
    }

    #[test]
    fn the_field_is_where_it_is_looked_for() {
        crate::for_each_api!(check_all);
        let range = |api_key| api_versions::ApiVersion { api_key, ..Default::default() };
        let keys = (0..60).map(range).collect();
        let response = api_versions::ApiVersionsResponse { api_keys: keys, ..Default::default() };
        check(ApiKey::ApiVersions, &response);
    }
}
