//! DeleteTopics (key 20).

use super::script::{Script, UNKNOWN_ID, versions};
use ottla::common::Uuid;
use ottla::protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use ottla::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};

fn delete(v: i16, names: &[&str]) -> DeleteTopicsRequest {
    let mut request = DeleteTopicsRequest { timeout_ms: 30_000, ..Default::default() };
    if v >= 6 {
        request.topics = names.iter().map(|name| state(Some(name), Uuid::ZERO)).collect();
    } else {
        request.topic_names = names.iter().map(|name| (*name).into()).collect();
    }
    request
}

fn state(name: Option<&str>, topic_id: Uuid) -> DeleteTopicState {
    DeleteTopicState { name: name.map(Into::into), topic_id, ..Default::default() }
}

fn id_of(script: &mut Script, name: &str) -> Uuid {
    let topic = MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    script.exchange(11, &request).expect("an answer").topics[0].topic_id
}

#[test]
fn answers() {
    let mut script = Script::start("delete_topics", &[]);
    let unordered = &["responses"];
    for v in versions::<DeleteTopicsRequest>() {
        for name in ["a", "b", "hurried"] {
            script.create_topics(&[(&format!("{name}-v{v}"), 2, &[])]);
        }
        script.call_sorted("ok", v, &delete(v, &[&format!("a-v{v}")]), unordered);
        script.call_sorted("again", v, &delete(v, &[&format!("a-v{v}")]), unordered);
        script.call_sorted("mixed", v, &delete(v, &[&format!("b-v{v}"), "nope", "bad name!"]), unordered);
        let hurried = DeleteTopicsRequest { timeout_ms: 0, ..delete(v, &[&format!("hurried-v{v}")]) };
        script.call_sorted("timeout0", v, &hurried, unordered);
        script.call_sorted("empty", v, &delete(v, &[]), unordered);
        script.create_topics(&[(&format!("twice-v{v}"), 1, &[])]);
        let name = format!("twice-v{v}");
        script.call_sorted("duplicate", v, &delete(v, &[&name, &name]), unordered);
        script.create_topics(&[(&format!("a-v{v}"), 1, &[])]);
    }
    by_id(&mut script);
    script.call_sorted(
        "what is left",
        5,
        &MetadataRequest { topics: None, ..Default::default() },
        &["topics", "partitions"],
    );
    script.finish();
}

fn by_id(script: &mut Script) {
    let unknown = Uuid::parse(UNKNOWN_ID).expect("an id");
    let id = id_of(script, "a-v1");
    let request = |topics| DeleteTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() };
    let mixed = vec![state(None, id), state(Some("nope"), Uuid::ZERO), state(None, unknown)];
    script.call("byId", 6, &request(mixed));
    let id = id_of(script, "a-v2");
    let wrong = vec![state(Some("a-v2"), id), state(None, Uuid::ZERO)];
    script.call_sorted("bothOrNeither", 6, &request(wrong), &["responses"]);
    let same = vec![state(Some("a-v2"), Uuid::ZERO), state(None, id)];
    script.call_sorted("same topic by name and id", 6, &request(same), &["responses"]);
    let id = id_of(script, "a-v3");
    script.call_sorted("same id twice", 6, &request(vec![state(None, id), state(None, id)]), &["responses"]);
}

#[test]
fn disabled() {
    let mut script = Script::start("delete_topics_disabled", &[("delete.topic.enable", "false")]);
    script.create_topics(&[("t", 1, &[])]);
    for v in versions::<DeleteTopicsRequest>() {
        script.call_sorted("disabled", v, &delete(v, &["t", "nope"]), &["responses"]);
    }
    script.finish();
}
