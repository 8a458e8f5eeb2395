//! Replicas of one partition, batch by batch. Pure. Source: Kafka 2.8.2, `ReplicaVerificationTool.verifyCheckSum`.

use crate::common::{BrokerId, Offset, TopicPartition};

/// A batch of a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BatchSeen {
    pub(super) last_offset: Offset,
    pub(super) checksum: u32,
}

/// What one replica answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Replica {
    pub(super) id: BrokerId,
    /// -1 if it did not answer.
    pub(super) high_watermark: Offset,
    pub(super) batches: Vec<BatchSeen>,
}

/// What came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Compared {
    /// Where to read on.
    pub(super) next_offset: Offset,
    /// What differs, each line after "partition ".
    pub(super) lines: Vec<String>,
    /// Batches end at different offsets: there is no way to go on.
    pub(super) parted: bool,
}

/// Compares up to the lowest high watermark, as far as every replica has answered.
pub(super) fn compare(name: &TopicPartition, from: Offset, replicas: &[Replica]) -> Compared {
    let mut compared = Compared { next_offset: from, lines: Vec::new(), parted: false };
    for at in 0.. {
        let committed = |replica: &Replica| {
            let batch = replica.batches.get(at).copied();
            batch.filter(|batch| batch.last_offset < replica.high_watermark).map(|batch| (replica.id, batch))
        };
        let there: Vec<(BrokerId, BatchSeen)> = replicas.iter().filter_map(committed).collect();
        let Some((&(first_id, first), others)) = there.split_first() else { break };
        for (id, batch) in others {
            if batch.last_offset != first.last_offset {
                compared.lines.push(format!(
                    "{name}: replica {first_id}'s offset {} doesn't match replica {id}'s offset {}",
                    first.last_offset, batch.last_offset
                ));
                compared.parted = true;
                return compared;
            }
            if batch.checksum != first.checksum {
                compared.lines.push(format!(
                    "{name} has unmatched checksum at offset {}; replica {first_id}'s checksum {}; replica {id}'s \
                     checksum {}",
                    batch.last_offset, first.checksum, batch.checksum
                ));
            }
        }
        if there.len() < replicas.len() {
            break;
        }
        compared.next_offset = first.last_offset + 1;
    }
    compared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(id: BrokerId, high_watermark: Offset, batches: &[(Offset, u32)]) -> Replica {
        let batch = |(last_offset, checksum): &(Offset, u32)| BatchSeen {
            last_offset: *last_offset,
            checksum: *checksum,
        };
        Replica { id, high_watermark, batches: batches.iter().map(batch).collect() }
    }

    #[test]
    fn replicas_are_compared_up_to_what_all_have_committed() {
        let name = TopicPartition::new("t", 0);
        let all = [(4, 7), (6, 8), (9, 9)];
        let same = compare(&name, 0, &[replica(1, 10, &all), replica(2, 7, &all), replica(3, 10, &all)]);
        assert_eq!(same, Compared { next_offset: 7, lines: Vec::new(), parted: false });
        let silent = compare(&name, 3, &[replica(1, 10, &all), replica(2, -1, &[])]);
        assert_eq!(silent.next_offset, 3);
        let short = compare(&name, 0, &[replica(1, 10, &all), replica(2, 10, &all[..1])]);
        assert_eq!(short.next_offset, 5);
        let damaged = compare(&name, 0, &[replica(1, 10, &all), replica(2, 10, &[(4, 7), (6, 1), (9, 9)])]);
        let line = "t-0 has unmatched checksum at offset 6; replica 1's checksum 8; replica 2's checksum 1";
        assert_eq!(damaged, Compared { next_offset: 10, lines: vec![line.into()], parted: false });
        let parted = compare(&name, 0, &[replica(1, 10, &all), replica(2, 10, &[(5, 7)])]);
        assert_eq!(parted.lines, ["t-0: replica 1's offset 4 doesn't match replica 2's offset 5"]);
        assert!(parted.parted);
    }
}
