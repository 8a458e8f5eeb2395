//! Below the high watermark of any replica all logs are the same, for ever; and that is all that consumers see.

use crate::cluster::disk::Entry;

pub struct Committed {
    /// By partition: what is committed, without gaps.
    logs: Vec<Vec<Entry>>,
    /// By partition: from which offset on leaders of this epoch committed, in the order in which they did.
    reigns: Vec<Vec<(i64, i32)>>,
    /// By broker and partition: how far its present life was compared.
    seen: Vec<Vec<i64>>,
}

impl Committed {
    pub fn new(partitions: usize, brokers: usize) -> Committed {
        Committed {
            logs: vec![Vec::new(); partitions],
            reigns: vec![Vec::new(); partitions],
            seen: vec![vec![0; partitions]; brokers],
        }
    }

    pub fn started(&mut self, at: usize) {
        self.seen[at].fill(0);
    }

    pub fn seen_by(&self, at: usize, partition: i32) -> i64 {
        self.seen[at][partition as usize]
    }

    /// True if a replica's high watermark has moved up since it was compared.
    pub fn is_news(&mut self, at: usize, partition: i32, high_watermark: i64) -> bool {
        let seen = &mut self.seen[at][partition as usize];
        // After a cut everything from there on is compared again.
        *seen = (*seen).min(high_watermark);
        high_watermark > *seen
    }

    /// A replica's log from where it was compared, and its high watermark.
    pub fn seen(
        &mut self,
        at: usize,
        partition: i32,
        (high_watermark, epoch): (i64, i32),
        entries: &[Entry],
    ) -> Result<(), String> {
        let reigns = &mut self.reigns[partition as usize];
        let log = &mut self.logs[partition as usize];
        let mut end = self.seen[at][partition as usize];
        for entry in entries.iter().filter(|entry| entry.next_offset <= high_watermark) {
            match log.binary_search_by_key(&entry.offset, |known| known.offset) {
                Ok(found) if log[found] == *entry => {}
                Err(_) if log.last().map_or(0, |last| last.next_offset) == entry.offset => {
                    log.push(*entry);
                    if reigns.last().is_none_or(|(_, last)| *last != epoch) {
                        reigns.push((entry.offset, epoch));
                    }
                }
                _ => {
                    return Err(format!(
                        "partition {partition}: broker {at} has {entry:?} below its high watermark \
                        {high_watermark}, elsewhere that was {:?}",
                        near(log, entry.offset)
                    ));
                }
            }
            end = entry.next_offset;
        }
        if end < high_watermark {
            return Err(format!(
                "partition {partition}: the log of broker {at} ends at {end}, below its high watermark {high_watermark}"
            ));
        }
        self.seen[at][partition as usize] = high_watermark;
        Ok(())
    }

    /// A new leader has all that was committed before its epoch.
    pub fn elected(&self, at: usize, partition: i32, epoch: i32, entries: &[Entry]) -> Result<(), String> {
        let reigns = &self.reigns[partition as usize];
        let later = reigns.iter().filter(|(_, reign)| *reign >= epoch).map(|(offset, _)| *offset).min();
        let before = |known: &&Entry| later.is_none_or(|later| known.offset < later);
        for (place, known) in self.logs[partition as usize].iter().take_while(before).enumerate() {
            let found = entries.get(place);
            if found != Some(known) {
                return Err(format!(
                    "partition {partition}: broker {at} leads with {found:?} where {known:?} was committed"
                ));
            }
        }
        Ok(())
    }

    /// A consumer was given this.
    pub fn read(&self, partition: i32, entry: &Entry) -> Result<(), String> {
        let log = &self.logs[partition as usize];
        match log.binary_search_by_key(&entry.offset, |known| known.offset) {
            Ok(found) if log[found] == *entry => Ok(()),
            _ => Err(format!(
                "partition {partition}: a consumer saw {entry:?}, which was not committed: {:?}",
                near(log, entry.offset)
            )),
        }
    }
}

fn near(log: &[Entry], offset: i64) -> Option<&Entry> {
    log.iter().find(|known| known.next_offset > offset)
}
