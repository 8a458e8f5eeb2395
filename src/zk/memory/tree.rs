//! The tree of nodes of the ZooKeeper in memory.
//!
//! Invariants: every node but the root has a parent, which lists it; an ephemeral node has no children; a
//! transaction happens as a whole or leaves no trace, not even in the transaction number.

use super::{Bytes, CreateMode, Created, Op, OpResult, Stat, WatchKind, ZkError};
use crate::zk::types::ANY_VERSION;
use std::collections::{BTreeMap, BTreeSet};

/// Which of a node's watches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WatchSlot {
    /// Data and existence.
    Data,
    /// Children.
    Child,
}

/// A watch to fire.
pub(super) type Fired = (String, WatchSlot, WatchKind);

/// Results, watches to fire, and lines for the log.
type Done = (Vec<OpResult>, Vec<Fired>, Vec<String>);

#[derive(Clone, Default)]
struct Node {
    data: Bytes,
    stat: Stat,
    /// Children ever created.
    created: i32,
    children: BTreeSet<String>,
}

pub(super) struct Tree {
    nodes: BTreeMap<String, Node>,
    zxid: i64,
}

impl Tree {
    pub(super) fn new(now_ms: i64) -> Tree {
        let stat = Stat { ctime_ms: now_ms, mtime_ms: now_ms, ..Stat::default() };
        Tree { nodes: BTreeMap::from([("/".to_string(), Node { stat, ..Node::default() })]), zxid: 0 }
    }

    pub(super) fn get(&self, path: &str) -> Result<Option<(Bytes, Stat)>, ZkError> {
        validate(path)?;
        Ok(self.nodes.get(path).map(|node| (node.data.clone(), node.visible_stat())))
    }

    pub(super) fn children(&self, path: &str) -> Result<Option<Vec<String>>, ZkError> {
        validate(path)?;
        Ok(self.nodes.get(path).map(|node| node.children.iter().cloned().collect()))
    }

    pub(super) fn dump(&self, path: &str) -> Vec<String> {
        let below = |name: &str| name == path || path == "/" || name.starts_with(&format!("{path}/"));
        let line = |(name, node): (&String, &Node)| {
            let kind = if node.stat.ephemeral_owner == 0 { "P" } else { "E" };
            format!("{name} | {kind} | {}", text(&node.data))
        };
        self.nodes.iter().filter(|(name, _)| below(name)).map(line).collect()
    }

    /// All operations or none; a failure names its position.
    pub(super) fn transaction(
        &mut self,
        ops: &[Op],
        session_id: i64,
        now_ms: i64,
    ) -> Result<Done, (usize, ZkError)> {
        let mut undo: Vec<(String, Option<Node>)> = Vec::new();
        let mut done: Done = Default::default();
        self.zxid += 1;
        for (index, op) in ops.iter().enumerate() {
            let before = (op, session_id, now_ms);
            if let Err(error) = self.apply(before, &mut undo, &mut done) {
                for (path, node) in undo.into_iter().rev() {
                    match node {
                        Some(node) => self.nodes.insert(path, node),
                        None => self.nodes.remove(&path),
                    };
                }
                self.zxid -= 1;
                return Err((index, error));
            }
        }
        Ok(done)
    }

    /// Deletes the ephemerals of a session.
    pub(super) fn end_session(&mut self, session_id: i64, fired: &mut Vec<Fired>) {
        let owned = |node: &Node| node.stat.ephemeral_owner == session_id;
        let gone: Vec<String> =
            self.nodes.iter().filter(|(_, node)| owned(node)).map(|(path, _)| path.clone()).collect();
        self.zxid += 1;
        for path in gone {
            self.remove(&path, fired);
        }
    }

    fn apply(
        &mut self,
        (op, session_id, now_ms): (&Op, i64, i64),
        undo: &mut Vec<(String, Option<Node>)>,
        (results, fired, lines): &mut Done,
    ) -> Result<(), ZkError> {
        validate_op(op)?;
        match op {
            Op::Check { path, version } => {
                self.expect(path, *version)?;
                lines.push(format!("check {path} v{version}"));
                results.push(OpResult::Checked);
            }
            Op::Create { path, data, mode } => {
                let created = self.create((path, data, *mode), session_id, now_ms, undo)?;
                let kind = match mode {
                    CreateMode::Persistent => "P",
                    CreateMode::Ephemeral => "E",
                    CreateMode::PersistentSequential => "PS",
                };
                lines.push(format!("create {kind} {} {}", created.path, text(data)));
                fired.push((created.path.clone(), WatchSlot::Data, WatchKind::Created));
                fired.push((parent(&created.path), WatchSlot::Child, WatchKind::ChildrenChanged));
                results.push(OpResult::Created(created));
            }
            Op::Set { path, data, version } => {
                self.expect(path, *version)?;
                undo.push((path.clone(), self.nodes.get(path).cloned()));
                let zxid = self.zxid;
                let node = self.nodes.get_mut(path).ok_or_else(|| ZkError::NoNode { path: path.clone() })?;
                node.data = data.clone();
                node.stat.version += 1;
                node.stat.mzxid = zxid;
                node.stat.mtime_ms = now_ms;
                lines.push(format!("set {path} v{} {}", node.stat.version, text(data)));
                fired.push((path.clone(), WatchSlot::Data, WatchKind::DataChanged));
                results.push(OpResult::Set(node.visible_stat()));
            }
            Op::Delete { path, version } => {
                let node = self.expect(path, *version)?;
                if !node.children.is_empty() {
                    return Err(ZkError::NotEmpty { path: path.clone() });
                }
                undo.push((path.clone(), Some(node.clone())));
                undo.push((parent(path), self.nodes.get(&parent(path)).cloned()));
                self.remove(path, fired);
                lines.push(format!("delete {path}"));
                results.push(OpResult::Deleted);
            }
        }
        Ok(())
    }

    fn create(
        &mut self,
        (path, data, mode): (&str, &Bytes, CreateMode),
        session_id: i64,
        now_ms: i64,
        undo: &mut Vec<(String, Option<Node>)>,
    ) -> Result<Created, ZkError> {
        let above = parent(path);
        let no_node = || ZkError::NoNode { path: path.to_string() };
        let holder = self.nodes.get(&above).ok_or_else(no_node)?;
        if holder.stat.ephemeral_owner != 0 {
            return Err(ZkError::NoChildrenForEphemerals { path: path.to_string() });
        }
        let path = match mode {
            CreateMode::PersistentSequential => format!("{path}{:010}", holder.created),
            CreateMode::Persistent | CreateMode::Ephemeral => path.to_string(),
        };
        if self.nodes.contains_key(&path) {
            return Err(ZkError::NodeExists { path });
        }
        undo.push((above.clone(), Some(holder.clone())));
        undo.push((path.clone(), None));
        let name = path[path.rfind('/').map_or(0, |at| at + 1)..].to_string();
        let holder = self.nodes.get_mut(&above).ok_or_else(no_node)?;
        holder.children.insert(name);
        holder.created += 1;
        let ephemeral_owner = if mode == CreateMode::Ephemeral { session_id } else { 0 };
        let stat = Stat {
            czxid: self.zxid,
            mzxid: self.zxid,
            ctime_ms: now_ms,
            mtime_ms: now_ms,
            ephemeral_owner,
            ..Stat::default()
        };
        let node = Node { data: data.clone(), stat, ..Node::default() };
        let stat = node.visible_stat();
        self.nodes.insert(path.clone(), node);
        Ok(Created { path, stat })
    }

    fn remove(&mut self, path: &str, fired: &mut Vec<Fired>) {
        self.nodes.remove(path);
        let above = parent(path);
        if let Some(holder) = self.nodes.get_mut(&above) {
            holder.children.remove(&path[path.rfind('/').map_or(0, |at| at + 1)..]);
        }
        fired.push((path.to_string(), WatchSlot::Data, WatchKind::Deleted));
        fired.push((path.to_string(), WatchSlot::Child, WatchKind::Deleted));
        fired.push((above, WatchSlot::Child, WatchKind::ChildrenChanged));
    }

    fn expect(&self, path: &str, version: i32) -> Result<&Node, ZkError> {
        let node = self.nodes.get(path).ok_or_else(|| ZkError::NoNode { path: path.to_string() })?;
        if version != ANY_VERSION && version != node.stat.version {
            return Err(ZkError::BadVersion { path: path.to_string() });
        }
        Ok(node)
    }
}

impl Node {
    fn visible_stat(&self) -> Stat {
        let num_children = self.children.len() as i32;
        Stat {
            data_length: self.data.len() as i32,
            num_children,
            // Creations and deletions.
            cversion: self.created * 2 - num_children,
            ..self.stat
        }
    }
}

fn text(data: &Bytes) -> String {
    if data.is_empty() { "null".into() } else { String::from_utf8_lossy(data).into_owned() }
}

fn parent(path: &str) -> String {
    match path.rfind('/') {
        None | Some(0) => "/".to_string(),
        Some(at) => path[..at].to_string(),
    }
}

fn validate_op(op: &Op) -> Result<(), ZkError> {
    match op {
        // A sequential node may have nothing but its number for a name.
        Op::Create { path, mode: CreateMode::PersistentSequential, .. } if path.ends_with('/') => {
            validate(&parent(path))
        }
        Op::Create { path, .. } | Op::Delete { path, .. } if path == "/" => {
            Err(ZkError::BadArgument("/: the root stays".into()))
        }
        op => validate(op.path()),
    }
}

fn validate(path: &str) -> Result<(), ZkError> {
    let good = path == "/"
        || path.starts_with('/')
            && path[1..].split('/').all(|name| !name.is_empty() && name != "." && name != "..")
            && !path.chars().any(|c| c.is_control());
    if good { Ok(()) } else { Err(ZkError::BadArgument(format!("{path}: not a path of ZooKeeper"))) }
}
