//! How long the parts of a run took: for who reads the output, nothing is asserted.

use std::fmt::{Display, Formatter, Result};
use std::time::Instant;

pub struct Laps {
    started: Instant,
    /// What ended, and how many seconds after the start.
    marks: Vec<(&'static str, f32)>,
}

impl Default for Laps {
    fn default() -> Laps {
        Laps { started: Instant::now(), marks: Vec::new() }
    }
}

impl Laps {
    /// A part has ended, the next one begins.
    pub fn mark(&mut self, what: &'static str) {
        self.marks.push((what, self.started.elapsed().as_secs_f32()));
    }
}

impl Display for Laps {
    fn fmt(&self, f: &mut Formatter) -> Result {
        let mut before = 0.0;
        write!(f, "{:.1} s", self.marks.last().map_or(0.0, |(_, at)| *at))?;
        for (what, at) in &self.marks {
            write!(f, ", {what} {:.1}", at - before)?;
            before = *at;
        }
        Ok(())
    }
}
