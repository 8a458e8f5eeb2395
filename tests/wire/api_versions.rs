//! ApiVersions (key 18), and pipelining.

use super::script::{Script, versions};
use ottla::protocol::json::to_json;
use ottla::protocol::messages::api_versions::ApiVersionsRequest;
use ottla::protocol::messages::metadata::MetadataRequest;
use serde_json::{Value, json};

fn named(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: name.into(),
        client_software_version: version.into(),
        ..Default::default()
    }
}

/// APIs of later releases of ours: left out of the comparison, but if advertised, then with Apache's versions.
const LATER: &[i64] = &[
    7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 24, 25, 26, 27, 28, 29, 30, 31, 34, 36, 38, 39, 40, 41, 42, 43,
    45, 46, 47, 48, 49, 50, 51, 56, 57, 61,
];

/// Splits what is compared from what may be missing.
fn without_later(mut answer: Value) -> (Value, Vec<Value>) {
    let Some(keys) = answer.get_mut("apiKeys").and_then(Value::as_array_mut) else {
        return (answer, Vec::new());
    };
    let (later, kept) = std::mem::take(keys)
        .into_iter()
        .partition(|key| key["apiKey"].as_i64().is_some_and(|key| LATER.contains(&key)));
    *keys = kept;
    (answer, later)
}

#[test]
fn answers() {
    let mut script = Script::start("api_versions", &[]);
    for v in versions::<ApiVersionsRequest>() {
        let response = script.exchange(v, &named("wire-test", "1.0.0")).expect("an answer");
        let (compared, later) = without_later(to_json(&response, v));
        script.note("ok", v, compared);
        for key in later {
            let (key, min, max) = (&key["apiKey"], &key["minVersion"], &key["maxVersion"]);
            let known = ottla::protocol::ApiKey::from_i16(key.as_i64().expect("a number") as i16);
            let newest = known.expect("a key of Kafka 2.8.2").max_version();
            assert_eq!((min, max), (&json!(0), &json!(newest)), "versions of key {key}");
        }
    }
    for (step, name, version) in [
        ("badName", "bad name!", "1.0"),
        ("emptyName", "", ""),
        ("emptyVersion", "name", ""),
        ("badVersion", "name", "1 0"),
        ("dashFirst", "-name", "1"),
        ("dotLast", "name.", "1"),
        ("dotInside", "a.b-c_d", "1"),
        ("oneCharacter", "a", "1"),
    ] {
        script.call_status(step, 3, &named(name, version));
    }
    script.finish();
}

impl Script {
    /// Notes all but the list of APIs, and whether there is one.
    fn call_status(&mut self, step: &str, version: i16, request: &ApiVersionsRequest) {
        let response = self.exchange(version, request).expect("an answer");
        let mut answer = to_json(&response, version);
        answer["apiKeys"] = json!(!response.api_keys.is_empty());
        self.note(step, version, answer);
    }
}

/// Requests that are sent without waiting are answered in their order, whatever each of them costs.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut script = Script::start("pipelining", &[]);
    script.create_topics(&[("t", 1, &[])]);
    let mut sent = Vec::new();
    for round in 0..50 {
        let ids = if round % 3 == 0 {
            // Waits on the broker; the ones behind it do not overtake.
            let fetch = super::fetch::fetch_one("t", 0, 0, 50);
            script.send(11, &fetch)
        } else if round % 3 == 1 {
            script.send(3, &named("a", "1"))
        } else {
            script.send(5, &MetadataRequest { topics: None, ..Default::default() })
        };
        sent.push(ids.expect("an open connection"));
    }
    for (round, id) in sent.into_iter().enumerate() {
        let received = match round % 3 {
            0 => script.receive::<ottla::protocol::messages::fetch::FetchRequest>(11).expect("an answer").0,
            1 => script.receive::<ApiVersionsRequest>(3).expect("an answer").0,
            _ => script.receive::<MetadataRequest>(5).expect("an answer").0,
        };
        assert_eq!(received, id, "answer {round}");
    }
}
