//! What was acknowledged is there, unless something newer is; what a transaction has not committed is not.

use std::collections::HashMap;

/// Where a committed value stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Plain,
    Open,
    Committed,
    Aborted,
}

#[derive(Default)]
pub struct Commits {
    /// By value, which is unique: partition, place in the log, fate.
    values: HashMap<i64, (i32, Option<i64>, Fate)>,
    /// By partition: the value that was acknowledged last, by its place in the log.
    acknowledged: HashMap<i32, i64>,
}

impl Commits {
    pub fn sent(&mut self, value: i64, partition: i32, transactional: bool) {
        let fate = if transactional { Fate::Open } else { Fate::Plain };
        self.values.insert(value, (partition, None, fate));
    }

    /// The record stands at `log_offset`, whoever hears of it.
    pub fn written(&mut self, value: i64, log_offset: i64) {
        if let Some((_, place, _)) = self.values.get_mut(&value) {
            // A request that comes twice is written twice: the later place counts.
            *place = Some(log_offset);
        }
    }

    /// The record of it at this place is there for good: one that came twice may stand at a later one, too, of which
    /// nobody has heard yet.
    pub fn acknowledged(&mut self, value: i64, at: i64) {
        let Some((partition, _, Fate::Plain | Fate::Committed)) = self.values.get(&value).copied() else {
            return;
        };
        let known = self.acknowledged.entry(partition).or_insert(at);
        *known = (*known).max(at);
    }

    pub fn ended(&mut self, values: &[i64], commits: bool) {
        for value in values {
            if let Some((_, _, fate)) = self.values.get_mut(value) {
                *fate = if commits { Fate::Committed } else { Fate::Aborted };
            }
            let place = self.values.get(value).and_then(|(_, place, _)| *place);
            self.acknowledged(*value, place.unwrap_or(i64::MAX));
        }
    }

    /// A reader was told this.
    pub fn read(&self, partition: i32, value: Option<i64>) -> Result<(), String> {
        let acknowledged = self.acknowledged.get(&partition).copied();
        let Some(value) = value else {
            return match acknowledged {
                Some(at) => Err(format!("partition {partition}: the offset at {at} is lost")),
                None => Ok(()),
            };
        };
        let Some((of, place, fate)) = self.values.get(&value).copied() else {
            return Err(format!("partition {partition}: nobody committed {value}"));
        };
        if of != partition {
            return Err(format!("partition {partition}: {value} was committed for {of}"));
        }
        if matches!(fate, Fate::Open | Fate::Aborted) {
            return Err(format!("partition {partition}: {value} is visible, its transaction is {fate:?}"));
        }
        if acknowledged.is_some_and(|at| place.unwrap_or(-1) < at) {
            return Err(format!(
                "partition {partition}: {value} at {place:?} is older than what stands at {acknowledged:?}"
            ));
        }
        Ok(())
    }
}
