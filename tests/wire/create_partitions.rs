//! CreatePartitions (key 37).

use super::script::{Script, versions};
use ottla::protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla::protocol::messages::metadata::MetadataRequest;

fn grow(name: &str, count: i32, assignments: Option<&[&[i32]]>) -> CreatePartitionsTopic {
    let assignment =
        |ids: &&[i32]| CreatePartitionsAssignment { broker_ids: ids.to_vec(), ..Default::default() };
    CreatePartitionsTopic {
        name: name.into(),
        count,
        assignments: assignments.map(|all| all.iter().map(assignment).collect()),
        ..Default::default()
    }
}

fn request(topics: Vec<CreatePartitionsTopic>) -> CreatePartitionsRequest {
    CreatePartitionsRequest { topics, timeout_ms: 30_000, ..Default::default() }
}

#[test]
fn answers() {
    let mut script = Script::start("create_partitions", &[]);
    script.create_topics(&[("two", 2, &[])]);
    let unordered = &["results"];
    for v in versions::<CreatePartitionsRequest>() {
        let name = format!("t-v{v}");
        script.create_topics(&[(&name, 1, &[])]);
        script.call("ok", v, &request(vec![grow(&name, 4, None)]));
        script.call("manual", v, &request(vec![grow(&name, 5, Some(&[&[0]]))]));
        let mistakes = [
            ("fewer", grow("two", 1, None)),
            ("same", grow("two", 2, None)),
            ("zero", grow("two", 0, None)),
            ("negative", grow("two", -1, None)),
            ("unknown topic", grow("nope", 3, None)),
            ("bad name", grow("bad name!", 3, None)),
            ("unknown broker", grow("two", 3, Some(&[&[0, 1]]))),
            ("unknown brokers", grow("two", 4, Some(&[&[99], &[98]]))),
            ("too few assignments", grow("two", 4, Some(&[&[0]]))),
            ("too many assignments", grow("two", 3, Some(&[&[0], &[0]]))),
            ("empty assignment", grow("two", 3, Some(&[&[]]))),
            ("no assignments", grow("two", 3, Some(&[]))),
            ("duplicate broker", grow("two", 3, Some(&[&[0, 0]]))),
        ];
        for (step, mistake) in mistakes {
            script.call(step, v, &request(vec![mistake]));
        }
        let mixed = request(vec![grow("two", 1, None), grow("nope", 3, None), grow(&name, 6, None)]);
        script.call_sorted("mixed", v, &mixed, unordered);
        let twice = request(vec![grow("two", 3, None), grow("two", 4, None)]);
        script.call_sorted("duplicate", v, &twice, unordered);
        let validate = CreatePartitionsRequest { validate_only: true, ..request(vec![grow("two", 9, None)]) };
        script.call("validateOnly", v, &validate);
        let hurried = CreatePartitionsRequest { timeout_ms: 0, ..request(vec![grow(&name, 7, None)]) };
        script.call("timeout0", v, &hurried);
        script.call("empty", v, &request(vec![]));
    }
    let all = MetadataRequest { topics: None, ..Default::default() };
    script.call_sorted("afterwards", 7, &all, &["topics", "partitions"]);
    script.finish();
}
