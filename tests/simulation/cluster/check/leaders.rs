//! One leader for each leader epoch.

use ottla::common::BrokerId;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Leaders(BTreeMap<(i32, i32), BrokerId>);

impl Leaders {
    /// A broker leads, by its own word or by ZooKeeper's.
    pub fn leads(&mut self, partition: i32, epoch: i32, id: BrokerId) -> Result<(), String> {
        let known = *self.0.entry((partition, epoch)).or_insert(id);
        if known == id {
            Ok(())
        } else {
            Err(format!("partition {partition}, leader epoch {epoch}: broker {known} and broker {id} lead"))
        }
    }
}
