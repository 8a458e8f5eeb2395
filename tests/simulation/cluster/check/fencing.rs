//! One controller for each controller epoch. (That its writes are fenced is seen where they are made, that brokers
//! refuse earlier controllers where they obey.)

use ottla::common::BrokerId;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Fencing {
    reign: i32,
    controllers: BTreeMap<i32, BrokerId>,
}

impl Fencing {
    /// The epoch that was won last.
    pub fn reign(&self) -> i32 {
        self.reign
    }

    /// Somebody won this epoch, though he does not know yet.
    pub fn began(&mut self, epoch: i32) {
        self.reign = self.reign.max(epoch);
    }

    pub fn elected(&mut self, epoch: i32, id: BrokerId) -> Result<(), String> {
        let known = *self.controllers.entry(epoch).or_insert(id);
        if known == id {
            Ok(())
        } else {
            Err(format!("controller epoch {epoch}: broker {known} and broker {id}"))
        }
    }
}
