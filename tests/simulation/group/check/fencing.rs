//! Once a static member's successor is in, the predecessor is refused.

use std::collections::HashMap;

#[derive(Default)]
pub struct Fencing(HashMap<String, String>);

impl Fencing {
    /// This id stands for the instance from now on.
    pub fn joined(&mut self, instance: &str, member_id: &str) {
        self.0.insert(instance.to_string(), member_id.to_string());
    }

    /// The coordinator that knew it is gone.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    /// Something that only a member may do was accepted.
    pub fn accepted(&self, instance: &str, member_id: &str) -> Result<(), String> {
        match self.0.get(instance) {
            Some(current) if current != member_id => {
                Err(format!("{member_id} was served, but {current} has taken over as {instance}"))
            }
            _ => Ok(()),
        }
    }
}
