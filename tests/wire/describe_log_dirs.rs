//! DescribeLogDirs (key 35).

use super::records::batch;
use super::script::{Script, versions};
use ottla::protocol::messages::describe_log_dirs::{DescribableLogDirTopic, DescribeLogDirsRequest};

const UNORDERED: &[&str] = &["topics", "partitions"];

fn describe(topics: &[(&str, &[i32])]) -> DescribeLogDirsRequest {
    let topic = |(name, partitions): &(&str, &[i32])| DescribableLogDirTopic {
        topic: (*name).into(),
        partition_index: partitions.to_vec(),
        ..Default::default()
    };
    DescribeLogDirsRequest { topics: Some(topics.iter().map(topic).collect()), ..Default::default() }
}

#[test]
fn answers() {
    let mut script = Script::start("describe_log_dirs", &[("auto.create.topics.enable", "false")]);
    script.call("before any topic", 2, &DescribeLogDirsRequest { topics: None, ..Default::default() });
    script.create_topics(&[("t", 2, &[]), ("u", 1, &[])]);
    script.append("t", 0, batch(&[(None, Some("1")), (None, Some("2"))]));
    for v in versions::<DescribeLogDirsRequest>() {
        let all = DescribeLogDirsRequest { topics: None, ..Default::default() };
        script.call_sorted("all", v, &all, UNORDERED);
        script.call_sorted("some", v, &describe(&[("t", &[0, 1, 7]), ("nope", &[0])]), UNORDERED);
        script.call_sorted("none", v, &describe(&[]), UNORDERED);
        script.call_sorted("topic without partitions", v, &describe(&[("t", &[])]), UNORDERED);
    }
    script.finish();
}
