//! Below the committed position every input has one committed output, in order; above it none has.

use super::super::partition::Entry;
use super::super::world::{OUTPUTS, World};

pub fn check(world: &World) -> Result<(), String> {
    let position = world.positions().position();
    let mut seen = Vec::new();
    for (number, partition) in world.partitions[..OUTPUTS].iter().enumerate() {
        let outputs: Vec<i64> = partition
            .committed()
            .into_iter()
            .filter_map(|entry| if let Entry::Output(input) = entry { Some(input) } else { None })
            .collect();
        if !outputs.is_sorted() {
            return Err(format!("partition {number} is out of order: {outputs:?}"));
        }
        seen.extend(outputs);
    }
    seen.sort_unstable();
    let expected: Vec<i64> = (0..position).collect();
    if seen == expected { Ok(()) } else { Err(format!("position {position}, outputs of {seen:?}")) }
}
