//! DescribeConfigs (key 32), AlterConfigs (key 33), IncrementalAlterConfigs (key 44).

use super::script::{NewTopic, Script, versions};
use super::support::wait_for;
use ottla::protocol::messages::alter_configs::{self, AlterConfigsRequest};
use ottla::protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla::protocol::messages::incremental_alter_configs::{self, IncrementalAlterConfigsRequest};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const LOGGER: i8 = 8;

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn describe(resources: &[(i8, &str, Option<&[&str]>)]) -> DescribeConfigsRequest {
    let resource = |(kind, name, keys): &(i8, &str, Option<&[&str]>)| DescribeConfigsResource {
        resource_type: *kind,
        resource_name: (*name).into(),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).into()).collect()),
        ..Default::default()
    };
    DescribeConfigsRequest { resources: resources.iter().map(resource).collect(), ..Default::default() }
}

type Pairs<'a> = &'a [(&'a str, Option<&'a str>)];

fn alter(resources: &[(i8, &str, Pairs)]) -> AlterConfigsRequest {
    let config = |(name, value): &(&str, Option<&str>)| alter_configs::AlterableConfig {
        name: (*name).into(),
        value: value.map(Into::into),
        ..Default::default()
    };
    let resource = |(kind, name, configs): &(i8, &str, Pairs)| alter_configs::AlterConfigsResource {
        resource_type: *kind,
        resource_name: (*name).into(),
        configs: configs.iter().map(config).collect(),
        ..Default::default()
    };
    AlterConfigsRequest { resources: resources.iter().map(resource).collect(), ..Default::default() }
}

type Operations<'a> = &'a [(&'a str, i8, Option<&'a str>)];

fn incremental(resources: &[(i8, &str, Operations)]) -> IncrementalAlterConfigsRequest {
    let config =
        |(name, operation, value): &(&str, i8, Option<&str>)| incremental_alter_configs::AlterableConfig {
            name: (*name).into(),
            config_operation: *operation,
            value: value.map(Into::into),
            ..Default::default()
        };
    let resource =
        |(kind, name, configs): &(i8, &str, Operations)| incremental_alter_configs::AlterConfigsResource {
            resource_type: *kind,
            resource_name: (*name).into(),
            configs: configs.iter().map(config).collect(),
            ..Default::default()
        };
    IncrementalAlterConfigsRequest {
        resources: resources.iter().map(resource).collect(),
        ..Default::default()
    }
}

/// Waits until the broker has taken in what was written, which it hears of a little later.
fn wait_for_value(script: &mut Script, kind: i8, name: &str, key: &str, value: Option<&str>) {
    let request = describe(&[(kind, name, Some(&[key]))]);
    wait_for("change of the configuration", || {
        let response = script.exchange(4, &request)?;
        let shown = response.results[0].configs.first().and_then(|config| config.value.clone());
        (shown.as_deref() == value).then_some(())
    });
}

/// Synonyms stand in the order of their precedence.
const UNORDERED: &[&str] = &["configs"];

#[test]
fn describe_configs() {
    let mut script =
        Script::start("describe_configs", &[("log.retention.hours", "100"), ("compression.type", "lz4")]);
    script.create_topics(&[("t", 1, &[("retention.ms", "999"), ("cleanup.policy", "compact,delete")])]);
    let dynamic = incremental(&[
        (BROKER, "0", &[("log.cleaner.threads", SET, Some("2"))]),
        (
            BROKER,
            "",
            &[("log.retention.ms", SET, Some("888888")), ("message.max.bytes", SET, Some("2000000"))],
        ),
    ]);
    let altered = script.exchange(1, &dynamic).expect("an answer");
    assert!(altered.responses.iter().all(|r| r.error_code == 0), "{altered:?}");
    wait_for_value(&mut script, TOPIC, "t", "max.message.bytes", Some("2000000"));
    wait_for_value(&mut script, BROKER, "0", "log.cleaner.threads", Some("2"));
    let keys: &[&str] = &["retention.ms", "message.format.version", "nope"];
    let broker_keys: &[&str] = &[
        "log.retention.hours",
        "log.retention.ms",
        "log.cleaner.threads",
        "message.max.bytes",
        "compression.type",
        "listeners",
        "ssl.keystore.password",
        "zookeeper.connect",
        "nope",
    ];
    for v in versions::<DescribeConfigsRequest>() {
        let full = |resources: &[(i8, &str, Option<&[&str]>)]| DescribeConfigsRequest {
            include_synonyms: v >= 1,
            include_documentation: v >= 3,
            ..describe(resources)
        };
        script.call_sorted("topic", v, &full(&[(TOPIC, "t", None)]), UNORDERED);
        script.call_sorted("topic, short", v, &describe(&[(TOPIC, "t", None)]), UNORDERED);
        script.call_sorted(
            "keys",
            v,
            &full(&[(TOPIC, "t", Some(keys)), (BROKER, "0", Some(broker_keys))]),
            UNORDERED,
        );
        script.call_sorted("no keys", v, &full(&[(TOPIC, "t", Some(&[]))]), UNORDERED);
        script.call_sorted("brokerDefault", v, &full(&[(BROKER, "", None)]), UNORDERED);
        let mistakes: &[(&str, i8, &str)] = &[
            ("unknown topic", TOPIC, "nope"),
            ("bad topic", TOPIC, "bad name!"),
            ("empty topic", TOPIC, ""),
            ("other broker", BROKER, "77"),
            ("not a broker", BROKER, "abc"),
            ("unknown type", 99, "x"),
            ("type 0", 0, "x"),
            ("other logger", LOGGER, "77"),
            ("not a logger", LOGGER, "abc"),
            ("default logger", LOGGER, ""),
        ];
        for (step, kind, name) in mistakes {
            script.call(step, v, &describe(&[(*kind, name, None)]));
        }
        script.call("empty", v, &describe(&[]));
    }
    whole_broker(&mut script);
    script.finish();
}

/// Every key, once with all there is to say.
fn whole_broker(script: &mut Script) {
    let request = DescribeConfigsRequest {
        include_synonyms: true,
        include_documentation: true,
        ..describe(&[(BROKER, "0", None)])
    };
    script.call_sorted("broker", 4, &request, UNORDERED);
    script.call_sorted("broker", 0, &describe(&[(BROKER, "0", None)]), UNORDERED);
}

const TOPICS: &[NewTopic<'static>] =
    &[("a", 1, &[("cleanup.policy", "compact")]), ("b", 1, &[("segment.bytes", "1000000")])];

/// What the topics and the broker have afterwards.
fn note_state(script: &mut Script, step: &str, version: i16) {
    let request = DescribeConfigsRequest {
        include_synonyms: true,
        ..describe(&[(TOPIC, "a", None), (TOPIC, "b", None), (BROKER, "", None)])
    };
    let mut response = script.exchange(4, &request).expect("an answer");
    for result in &mut response.results {
        // 1: topic, 3: default of the brokers
        result.configs.retain(|config| matches!(config.config_source, 1 | 3));
    }
    let mut value = ottla::protocol::json::to_json(&response, 4);
    super::script::sort(&mut value, UNORDERED);
    script.note(step, version, value);
}

#[test]
fn alter_configs() {
    let mut script = Script::start("alter_configs", &[]);
    script.create_topics(TOPICS);
    let unordered = &["responses"];
    for v in versions::<AlterConfigsRequest>() {
        let ok = alter(&[(
            TOPIC,
            "a",
            &[("retention.ms", Some("777000")), ("max.message.bytes", Some("2000000"))],
        )]);
        script.call("ok", v, &ok);
        note_state(&mut script, "after ok", v);
        let validate = AlterConfigsRequest {
            validate_only: true,
            ..alter(&[
                (TOPIC, "a", &[("retention.ms", Some("1"))]),
                (TOPIC, "b", &[("retention.ms", Some("x"))]),
            ])
        };
        script.call_sorted("validate", v, &validate, unordered);
        let cases: &[(&str, i8, &str, Pairs)] = &[
            ("not a number", TOPIC, "b", &[("retention.ms", Some("abc"))]),
            ("below minimum", TOPIC, "b", &[("retention.ms", Some("-2"))]),
            ("unknown key", TOPIC, "b", &[("nope", Some("1"))]),
            ("unknown topic", TOPIC, "nope", &[("retention.ms", Some("1"))]),
            ("bad topic", TOPIC, "bad name!", &[("retention.ms", Some("1"))]),
            ("empty topic", TOPIC, "", &[("retention.ms", Some("1"))]),
            ("null value", TOPIC, "b", &[("retention.ms", None)]),
            ("twice", TOPIC, "b", &[("retention.ms", Some("1")), ("retention.ms", Some("2"))]),
            ("static key of broker", BROKER, "0", &[("log.dirs", Some("/x"))]),
            ("unknown key of broker", BROKER, "0", &[("nope", Some("/x"))]),
            ("bad value of broker", BROKER, "0", &[("log.retention.ms", Some("x"))]),
            ("other broker", BROKER, "9", &[("log.retention.ms", Some("1"))]),
            ("not a broker", BROKER, "abc", &[("log.retention.ms", Some("1"))]),
            ("per-broker key as default", BROKER, "", &[("listeners", Some("PLAINTEXT://:1"))]),
            ("default of brokers", BROKER, "", &[("log.retention.ms", Some("66666666"))]),
            ("clear default", BROKER, "", &[]),
            ("type 1", 1, "9", &[]),
            ("unknown type", 99, "9", &[]),
            ("logger", LOGGER, "0", &[("root", Some("INFO"))]),
            ("clear topic", TOPIC, "a", &[]),
        ];
        for (step, kind, name, configs) in cases {
            script.call(step, v, &alter(&[(*kind, name, configs)]));
            let default = match *step {
                "default of brokers" => Some("66666666"),
                "clear default" => None,
                _ => continue,
            };
            wait_for_value(&mut script, BROKER, "", "log.retention.ms", default);
        }
        note_state(&mut script, "after all", v);
        script.call("empty", v, &alter(&[]));
    }
    script.finish();
}

const INCREMENTAL_CASES: &[(&str, i8, &str, Operations<'static>)] = &[
    ("append twice the same", TOPIC, "a", &[("cleanup.policy", APPEND, Some("delete"))]),
    ("subtract", TOPIC, "a", &[("cleanup.policy", SUBTRACT, Some("compact"))]),
    ("subtract what is not there", TOPIC, "a", &[("cleanup.policy", SUBTRACT, Some("compact"))]),
    ("append to a number", TOPIC, "b", &[("retention.ms", APPEND, Some("1"))]),
    ("subtract from a number", TOPIC, "b", &[("retention.ms", SUBTRACT, Some("1"))]),
    ("unknown key", TOPIC, "b", &[("nope", SET, Some("1"))]),
    ("delete unknown key", TOPIC, "b", &[("nope", DELETE, None)]),
    ("append unknown key", TOPIC, "b", &[("nope", APPEND, Some("1"))]),
    ("twice", TOPIC, "b", &[("retention.ms", SET, Some("1")), ("retention.ms", SET, Some("2"))]),
    ("unknown operation", TOPIC, "b", &[("retention.ms", 9, Some("1"))]),
    ("null value", TOPIC, "b", &[("retention.ms", SET, None)]),
    ("null append", TOPIC, "b", &[("cleanup.policy", APPEND, None)]),
    ("bad value", TOPIC, "b", &[("retention.ms", SET, Some("x"))]),
    ("bad element", TOPIC, "b", &[("cleanup.policy", APPEND, Some("shred"))]),
    ("unknown topic", TOPIC, "nope", &[("retention.ms", SET, Some("1"))]),
    ("bad topic", TOPIC, "bad name!", &[("retention.ms", SET, Some("1"))]),
    ("nothing", TOPIC, "b", &[]),
    ("nothing for unknown topic", TOPIC, "nope", &[]),
    ("delete what is not set", TOPIC, "b", &[("retention.ms", DELETE, None)]),
    ("delete", TOPIC, "b", &[("segment.bytes", DELETE, None)]),
    ("set again", TOPIC, "b", &[("segment.bytes", SET, Some("1000000"))]),
    ("static key of broker", BROKER, "0", &[("log.dirs", SET, Some("/x"))]),
    ("unknown key of broker", BROKER, "0", &[("nope", SET, Some("/x"))]),
    ("other broker", BROKER, "9", &[("log.retention.ms", SET, Some("1"))]),
    ("not a broker", BROKER, "abc", &[("log.retention.ms", SET, Some("1"))]),
    ("delete default", BROKER, "", &[("log.retention.ms", DELETE, None)]),
    ("delete of broker", BROKER, "0", &[("log.cleaner.threads", DELETE, None)]),
    ("type 1", 1, "9", &[("a", SET, Some("1"))]),
    ("unknown type", 99, "9", &[]),
];

#[test]
fn incremental_alter_configs() {
    let mut script = Script::start("incremental_alter_configs", &[]);
    script.create_topics(TOPICS);
    for v in versions::<IncrementalAlterConfigsRequest>() {
        let ok = incremental(&[
            (
                TOPIC,
                "a",
                &[
                    ("retention.ms", SET, Some("888000")),
                    ("max.message.bytes", DELETE, None),
                    ("cleanup.policy", APPEND, Some("delete")),
                ],
            ),
            (BROKER, "0", &[("log.cleaner.threads", SET, Some("1"))]),
            (BROKER, "", &[("log.retention.ms", SET, Some("999999999"))]),
        ]);
        script.call_sorted("ok", v, &ok, &["responses"]);
        wait_for_value(&mut script, BROKER, "", "log.retention.ms", Some("999999999"));
        note_state(&mut script, "after ok", v);
        for (step, kind, name, configs) in INCREMENTAL_CASES {
            script.call(step, v, &incremental(&[(*kind, name, configs)]));
        }
        wait_for_value(&mut script, BROKER, "", "log.retention.ms", None);
        note_state(&mut script, "after all", v);
        let validate = IncrementalAlterConfigsRequest {
            validate_only: true,
            ..incremental(&[(TOPIC, "a", &[("retention.ms", SET, Some("1"))])])
        };
        script.call("validate", v, &validate);
        let set = ("retention.ms", SET, Some("1"));
        let same = incremental(&[(TOPIC, "b", &[set]), (TOPIC, "b", &[set])]);
        script.call("same resource twice", v, &same);
        note_state(&mut script, "at the end", v);
        let reset = incremental(&[
            (TOPIC, "a", &[("cleanup.policy", SET, Some("compact")), ("retention.ms", DELETE, None)]),
            (TOPIC, "b", &[("retention.ms", DELETE, None)]),
        ]);
        script.exchange(v, &reset);
        script.call("empty", v, &incremental(&[]));
    }
    script.finish();
}

/// Levels of loggers (KIP-412). Which loggers there are is each broker's affair; these two exist in both.
#[test]
fn loggers() {
    let mut script = Script::start("loggers", &[]);
    let keys: &[&str] = &["root", "kafka.server.KafkaApis"];
    for v in versions::<DescribeConfigsRequest>() {
        let request = DescribeConfigsRequest {
            include_synonyms: v >= 1,
            include_documentation: v >= 3,
            ..describe(&[(LOGGER, "0", Some(keys))])
        };
        script.call_sorted("show", v, &request, UNORDERED);
    }
    let cases: &[(&str, &str, Operations)] = &[
        ("set", "0", &[("kafka.server.KafkaApis", SET, Some("DEBUG"))]),
        ("set root", "0", &[("root", SET, Some("WARN"))]),
        ("unset", "0", &[("kafka.server.KafkaApis", DELETE, None)]),
        ("unset root", "0", &[("root", DELETE, None)]),
        ("no level", "0", &[("root", SET, Some("LOUD"))]),
        ("small letters", "0", &[("root", SET, Some("debug"))]),
        ("fatal", "0", &[("kafka.server.KafkaApis", SET, Some("FATAL"))]),
        ("unknown logger", "0", &[("no.such.logger", SET, Some("INFO"))]),
        ("unset unknown logger", "0", &[("no.such.logger", DELETE, None)]),
        ("append", "0", &[("root", APPEND, Some("INFO"))]),
        ("subtract", "0", &[("root", SUBTRACT, Some("INFO"))]),
        ("other broker", "7", &[("root", SET, Some("INFO"))]),
        ("not a broker", "x", &[("root", SET, Some("INFO"))]),
        ("all brokers", "", &[("root", SET, Some("INFO"))]),
        ("back", "0", &[("root", SET, Some("INFO")), ("kafka.server.KafkaApis", SET, Some("INFO"))]),
    ];
    for v in versions::<IncrementalAlterConfigsRequest>() {
        for (step, name, operations) in cases {
            script.call(step, v, &incremental(&[(LOGGER, name, operations)]));
            let shown = describe(&[(LOGGER, "0", Some(keys))]);
            let response = script.exchange(4, &shown).expect("an answer");
            let mut value = ottla::protocol::json::to_json(&response, 4);
            super::script::sort(&mut value, UNORDERED);
            script.note(&format!("after {step}"), v, value);
        }
    }
    script.finish();
}
