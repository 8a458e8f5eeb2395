//! Pure decisions about multis: how to do without creates in them (ZooKeeper 3.4), and how to recognise one's own
//! earlier attempt.

use super::types::{ANY_VERSION, CreateMode, Op};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A step of a multi taken apart for a server whose multi cannot create. Numbers are positions in the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// These operations, atomically.
    Multi(Vec<(usize, Op)>),
    /// A plain create; `set` is a write of the same node that it already includes.
    Create { create: usize, set: Option<usize>, path: String, data: Bytes, mode: CreateMode },
}

/// Takes a multi apart: all checks stand before every step (but those of a node that the multi itself changes
/// before stay in their place), each create goes alone, and a create followed by the first write of the same node
/// becomes one create with that data.
pub(crate) fn without_creates(ops: &[Op]) -> Vec<Step> {
    let mut steps = Vec::new();
    let is_early = |index: usize, op: &Op| {
        let changes = |earlier: &Op| !matches!(earlier, Op::Check { .. }) && earlier.path() == op.path();
        matches!(op, Op::Check { .. }) && !ops[..index].iter().any(changes)
    };
    let numbered = ops.iter().cloned().enumerate();
    let checks: Vec<(usize, Op)> = numbered.filter(|(index, op)| is_early(*index, op)).collect();
    let mut pending: Vec<(usize, Op)> = Vec::new();
    let flush = |pending: &mut Vec<(usize, Op)>, checks: &[(usize, Op)], steps: &mut Vec<Step>| {
        let mut group = checks.to_vec();
        group.append(pending);
        if !group.is_empty() {
            steps.push(Step::Multi(group));
        }
    };
    for (index, op) in ops.iter().enumerate() {
        match op {
            op if is_early(index, op) => {}
            Op::Create { path, data, mode } => {
                flush(&mut pending, &checks, &mut steps);
                let (path, data) = (path.clone(), data.clone());
                steps.push(Step::Create { create: index, set: None, path, data, mode: *mode });
            }
            Op::Set { path, data, version } => match steps.last_mut() {
                Some(Step::Create { set: set @ None, path: created, data: first, mode, .. })
                    if pending.is_empty()
                        && *mode != CreateMode::PersistentSequential
                        && path == created
                        && matches!(*version, 0 | ANY_VERSION) =>
                {
                    *set = Some(index);
                    *first = data.clone();
                }
                _ => pending.push((index, op.clone())),
            },
            Op::Check { .. } | Op::Delete { .. } => pending.push((index, op.clone())),
        }
    }
    let only_checks = steps.is_empty();
    if !pending.is_empty() || only_checks {
        flush(&mut pending, &checks, &mut steps);
    }
    steps
}

/// How a node must look after a multi that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It exists with this data, and this version if it is known.
    Present { data: Bytes, version: Option<i32> },
    /// It does not exist.
    Absent,
}

/// The node that these operations leave at `path` ends with its session.
pub(crate) fn is_ephemeral(ops: &[Op], path: &str) -> bool {
    ops.iter().any(|op| op.path() == path && matches!(op, Op::Create { mode: CreateMode::Ephemeral, .. }))
}

/// The traces of a multi, by path. `None` if they cannot be told (sequential creates).
pub(crate) fn effects(ops: &[Op]) -> Option<BTreeMap<&str, Effect>> {
    let mut effects = BTreeMap::new();
    for op in ops {
        let effect = match op {
            Op::Check { .. } => continue,
            Op::Create { mode: CreateMode::PersistentSequential, .. } => return None,
            Op::Create { data, .. } => Effect::Present { data: data.clone(), version: Some(0) },
            Op::Set { path, data, version } => {
                let before = match effects.get(path.as_str()) {
                    Some(Effect::Present { version, .. }) => *version,
                    _ if *version == ANY_VERSION => None,
                    _ => Some(*version),
                };
                Effect::Present { data: data.clone(), version: before.map(|v| v + 1) }
            }
            Op::Delete { .. } => Effect::Absent,
        };
        effects.insert(op.path(), effect);
    }
    Some(effects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use CreateMode::{Ephemeral, Persistent};

    #[test]
    fn registration_becomes_one_create() {
        let ops = [Op::create("/e", "", Ephemeral), Op::set("/e", "x", 0)];
        let create =
            Step::Create { create: 0, set: Some(1), path: "/e".into(), data: "x".into(), mode: Ephemeral };
        assert_eq!(without_creates(&ops), [create]);
    }

    #[test]
    fn election_creates_then_writes() {
        let ops = [Op::create("/controller", "c", Ephemeral), Op::set("/controller_epoch", "2", 1)];
        assert_eq!(
            without_creates(&ops),
            [
                Step::Create {
                    create: 0,
                    set: None,
                    path: "/controller".into(),
                    data: "c".into(),
                    mode: Ephemeral
                },
                Step::Multi(vec![(1, ops[1].clone())]),
            ]
        );
    }

    #[test]
    fn checks_stand_before_every_step() {
        let ops = [
            Op::check("/controller_epoch", 3),
            Op::create("/a", "", Persistent),
            Op::create("/b", "", Persistent),
            Op::delete("/c", 1),
            Op::set("/b", "late", 0),
        ];
        let check = (0, ops[0].clone());
        let create = |index, path: &str| Step::Create {
            create: index,
            set: None,
            path: path.into(),
            data: Bytes::new(),
            mode: Persistent,
        };
        assert_eq!(
            without_creates(&ops),
            [
                Step::Multi(vec![check.clone()]),
                create(1, "/a"),
                Step::Multi(vec![check.clone()]),
                create(2, "/b"),
                Step::Multi(vec![check, (3, ops[3].clone()), (4, ops[4].clone())]),
            ]
        );
        let late = [ops[1].clone(), Op::check("/a", 0), Op::check("/x", 1)];
        assert_eq!(
            without_creates(&late),
            [
                Step::Multi(vec![(2, late[2].clone())]),
                create(0, "/a"),
                Step::Multi(vec![(2, late[2].clone()), (1, late[1].clone())]),
            ]
        );
        assert_eq!(without_creates(&ops[..1]), [Step::Multi(vec![(0, ops[0].clone())])]);
        assert_eq!(without_creates(&[]), []);
    }

    #[test]
    fn effects_are_the_last_state() {
        let ops = [
            Op::check("/epoch", 1),
            Op::create("/a", "1", Ephemeral),
            Op::set("/a", "2", 0),
            Op::set("/b", "3", 4),
            Op::set("/c", "5", ANY_VERSION),
            Op::delete("/d", 0),
        ];
        let effects = effects(&ops).unwrap();
        assert_eq!(effects.len(), 4);
        assert_eq!(effects["/a"], Effect::Present { data: "2".into(), version: Some(1) });
        assert_eq!(effects["/b"], Effect::Present { data: "3".into(), version: Some(5) });
        assert_eq!(effects["/c"], Effect::Present { data: "5".into(), version: None });
        assert_eq!(effects["/d"], Effect::Absent);
        assert_eq!(super::effects(&[Op::create("/s", "", CreateMode::PersistentSequential)]), None);
    }
}
