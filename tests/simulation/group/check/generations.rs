//! Once members know of a generation, nobody commits for an older one.

#[derive(Default)]
pub struct Generations {
    told: i32,
}

impl Generations {
    /// A member was told that it is in this generation.
    pub fn joined(&mut self, generation: i32) -> Result<(), String> {
        if generation < self.told {
            return Err(format!("generation {generation} was told after {}", self.told));
        }
        self.told = generation;
        Ok(())
    }

    /// A coordinator that was just loaded knows only what was stored.
    pub fn loaded(&mut self, generation: i32) {
        self.told = generation;
    }

    /// A member's commit was accepted.
    pub fn accepted(&self, generation: i32) -> Result<(), String> {
        if generation != self.told {
            return Err(format!("a commit of generation {generation} was accepted in {}", self.told));
        }
        Ok(())
    }
}
