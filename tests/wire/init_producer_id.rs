//! InitProducerId (key 22), without transactional ids.

use super::script::{Script, versions};
use ottla::protocol::messages::init_producer_id::InitProducerIdRequest;

fn init(producer_id: i64, producer_epoch: i16) -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 60_000,
        producer_id,
        producer_epoch,
        ..Default::default()
    }
}

/// Ids come from blocks of 1000, each broker's first block is the first free one: here 0 to 999, in order.
#[test]
fn answers() {
    let mut script = Script::start("init_producer_id", &[]);
    for v in versions::<InitProducerIdRequest>() {
        script.call("idempotent", v, &init(-1, -1));
        script.call("again", v, &init(-1, -1));
        let no_timeout = InitProducerIdRequest { transaction_timeout_ms: 0, ..init(-1, -1) };
        script.call("timeout 0", v, &no_timeout);
        let negative = InitProducerIdRequest { transaction_timeout_ms: -1, ..init(-1, -1) };
        script.call("timeout -1", v, &negative);
        let empty = InitProducerIdRequest { transactional_id: Some("".into()), ..init(-1, -1) };
        script.call("empty transactional id", v, &empty);
        if v >= 3 {
            script.call("known id", v, &init(0, 0));
            script.call("id without epoch", v, &init(0, -1));
            script.call("epoch without id", v, &init(-1, 0));
            script.call("negative id", v, &init(-5, 0));
        }
    }
    for _ in 0..1000 {
        script.exchange(4, &init(-1, -1)).expect("an answer");
    }
    script.call("next block", 4, &init(-1, -1));
    script.finish();
}
