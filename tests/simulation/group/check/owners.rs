//! In one generation a partition has one owner.

use std::collections::HashMap;

#[derive(Default)]
pub struct Owners(HashMap<(i32, i32), String>);

impl Owners {
    /// `owner` was told that it owns `partitions`.
    pub fn told(&mut self, generation: i32, owner: &str, partitions: &[i32]) -> Result<(), String> {
        for partition in partitions {
            let known = self.0.entry((generation, *partition)).or_insert_with(|| owner.to_string());
            if known != owner {
                return Err(format!(
                    "partition {partition} has two owners in generation {generation}: {known} and {owner}"
                ));
            }
        }
        Ok(())
    }
}
