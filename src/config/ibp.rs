//! Releases as `inter.broker.protocol.version` and `log.message.format.version` name them, and what each implies.
//!
//! Brokers do not negotiate versions with each other: the sender's protocol version alone decides the version of
//! each request. Source: Kafka 2.8.2, `kafka.api.ApiVersion`, `ControllerChannelManager`, `ReplicaFetcherThread`,
//! `KafkaServer`.

use std::fmt;

/// A release of the protocol between brokers. Ordered by age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IbpVersion(u8);

/// Short name and number of the change within the release; releases before 0.10.0 have none.
const VERSIONS: &[(&str, Option<u8>)] = &[
    ("0.8.0", None),
    ("0.8.1", None),
    ("0.8.2", None),
    ("0.9.0", None),
    ("0.10.0", Some(0)),
    ("0.10.0", Some(1)),
    ("0.10.1", Some(0)),
    ("0.10.1", Some(1)),
    ("0.10.1", Some(2)),
    ("0.10.2", Some(0)),
    ("0.11.0", Some(0)),
    ("0.11.0", Some(1)),
    ("0.11.0", Some(2)),
    ("1.0", Some(0)),
    ("1.1", Some(0)),
    ("2.0", Some(0)),
    ("2.0", Some(1)),
    ("2.1", Some(0)),
    ("2.1", Some(1)),
    ("2.1", Some(2)),
    ("2.2", Some(0)),
    ("2.2", Some(1)),
    ("2.3", Some(0)),
    ("2.3", Some(1)),
    ("2.4", Some(0)),
    ("2.4", Some(1)),
    ("2.5", Some(0)),
    ("2.6", Some(0)),
    ("2.7", Some(0)),
    ("2.7", Some(1)),
    ("2.7", Some(2)),
    ("2.8", Some(0)),
    ("2.8", Some(1)),
];

macro_rules! versions {
    ($($name:ident = $id:literal;)*) => {
        #[allow(missing_docs)]
        impl IbpVersion {
            $(pub const $name: IbpVersion = IbpVersion($id);)*
        }
    };
}

versions! {
    V0_8_0 = 0; V0_8_1 = 1; V0_8_2 = 2; V0_9_0 = 3;
    V0_10_0_IV0 = 4; V0_10_0_IV1 = 5; V0_10_1_IV0 = 6; V0_10_1_IV1 = 7; V0_10_1_IV2 = 8; V0_10_2_IV0 = 9;
    V0_11_0_IV0 = 10; V0_11_0_IV1 = 11; V0_11_0_IV2 = 12;
    V1_0_IV0 = 13; V1_1_IV0 = 14;
    V2_0_IV0 = 15; V2_0_IV1 = 16; V2_1_IV0 = 17; V2_1_IV1 = 18; V2_1_IV2 = 19; V2_2_IV0 = 20; V2_2_IV1 = 21;
    V2_3_IV0 = 22; V2_3_IV1 = 23; V2_4_IV0 = 24; V2_4_IV1 = 25; V2_5_IV0 = 26; V2_6_IV0 = 27;
    V2_7_IV0 = 28; V2_7_IV1 = 29; V2_7_IV2 = 30; V2_8_IV0 = 31; V2_8_IV1 = 32;
}

/// The version of a request that begins with each release, oldest first.
type Steps = &'static [(IbpVersion, i16)];

impl IbpVersion {
    /// The newest.
    pub const LATEST: IbpVersion = IbpVersion::V2_8_IV1;

    /// All, oldest first.
    pub fn all() -> impl Iterator<Item = IbpVersion> {
        (0..VERSIONS.len() as u8).map(IbpVersion)
    }

    /// Reads `2.8-IV1`, `2.8`, `2.8.2` or `0.10.0.1`: parts beyond the release's are ignored, and without `-IV`
    /// the last change of the release is meant. The error is Kafka's text.
    pub fn parse(text: &str) -> Result<IbpVersion, String> {
        let parts = if text.starts_with("0.") { 3 } else { 2 };
        let key = text.split('.').take(parts).collect::<Vec<_>>().join(".");
        let found = IbpVersion::all().filter(|v| v.to_string() == key || v.short_name() == key).last();
        found.ok_or_else(|| format!("Version `{text}` is not a valid version"))
    }

    /// The release, `2.8`.
    pub fn short_name(self) -> &'static str {
        VERSIONS[usize::from(self.0)].0
    }

    /// Magic of the message format that belongs to this release: 0, 1 or 2.
    pub fn message_format_magic(self) -> i8 {
        match self {
            v if v < IbpVersion::V0_10_0_IV0 => 0,
            v if v < IbpVersion::V0_11_0_IV0 => 1,
            _ => 2,
        }
    }

    /// The oldest release with a message format. Magics above 2 do not exist.
    pub fn oldest_with_magic(magic: i8) -> IbpVersion {
        match magic {
            0 => IbpVersion::V0_8_0,
            1 => IbpVersion::V0_10_0_IV0,
            _ => IbpVersion::V0_11_0_IV0,
        }
    }

    fn step(self, steps: Steps) -> i16 {
        steps.iter().rev().find(|(from, _)| self >= *from).map_or(0, |(_, version)| *version)
    }

    /// Version of LeaderAndIsr requests.
    pub fn leader_and_isr_version(self) -> i16 {
        self.step(&[
            (IbpVersion::V1_0_IV0, 1),
            (IbpVersion::V2_2_IV0, 2),
            (IbpVersion::V2_4_IV0, 3),
            (IbpVersion::V2_4_IV1, 4),
            (IbpVersion::V2_8_IV1, 5),
        ])
    }

    /// Version of StopReplica requests.
    pub fn stop_replica_version(self) -> i16 {
        self.step(&[(IbpVersion::V2_2_IV0, 1), (IbpVersion::V2_4_IV1, 2), (IbpVersion::V2_6_IV0, 3)])
    }

    /// Version of UpdateMetadata requests.
    pub fn update_metadata_version(self) -> i16 {
        self.step(&[
            (IbpVersion::V0_9_0, 1),
            (IbpVersion::V0_10_0_IV1, 2),
            (IbpVersion::V0_10_2_IV0, 3),
            (IbpVersion::V1_0_IV0, 4),
            (IbpVersion::V2_2_IV0, 5),
            (IbpVersion::V2_4_IV1, 6),
            (IbpVersion::V2_8_IV1, 7),
        ])
    }

    /// Version of ControlledShutdown requests.
    pub fn controlled_shutdown_version(self) -> i16 {
        self.step(&[(IbpVersion::V0_9_0, 1), (IbpVersion::V2_2_IV0, 2), (IbpVersion::V2_4_IV1, 3)])
    }

    /// Version of followers' Fetch requests.
    pub fn fetch_version(self) -> i16 {
        self.step(&[
            (IbpVersion::V0_9_0, 1),
            (IbpVersion::V0_10_0_IV0, 2),
            (IbpVersion::V0_10_1_IV1, 3),
            (IbpVersion::V0_11_0_IV0, 4),
            (IbpVersion::V0_11_0_IV1, 5),
            (IbpVersion::V1_1_IV0, 7),
            (IbpVersion::V2_0_IV1, 8),
            (IbpVersion::V2_1_IV2, 10),
            (IbpVersion::V2_3_IV1, 11),
            (IbpVersion::V2_7_IV1, 12),
        ])
    }

    /// Version of followers' OffsetForLeaderEpoch requests; `None` before 0.11.0-IV2, when followers truncate to
    /// their high watermark instead.
    pub fn offset_for_leader_epoch_version(self) -> Option<i16> {
        (self >= IbpVersion::V0_11_0_IV2).then(|| {
            self.step(&[
                (IbpVersion::V2_0_IV0, 1),
                (IbpVersion::V2_1_IV1, 2),
                (IbpVersion::V2_3_IV1, 3),
                (IbpVersion::V2_8_IV0, 4),
            ])
        })
    }

    /// Version of followers' ListOffsets requests.
    pub fn list_offsets_version(self) -> i16 {
        self.step(&[
            (IbpVersion::V0_10_1_IV2, 1),
            (IbpVersion::V0_11_0_IV0, 2),
            (IbpVersion::V2_0_IV1, 3),
            (IbpVersion::V2_1_IV1, 4),
            (IbpVersion::V2_2_IV1, 5),
            (IbpVersion::V2_8_IV0, 6),
        ])
    }

    /// Version of WriteTxnMarkers requests.
    pub fn write_txn_markers_version(self) -> i16 {
        self.step(&[(IbpVersion::V2_8_IV0, 1)])
    }

    /// True if leaders change the in-sync replicas through the controller (KIP-497) instead of writing the znode.
    pub fn has_alter_isr(self) -> bool {
        self >= IbpVersion::V2_7_IV2
    }

    /// True if followers truncate by what Fetch responses say (KIP-595), without a phase of its own.
    pub fn truncates_on_fetch(self) -> bool {
        self >= IbpVersion::V2_7_IV1
    }

    /// True if the controller gives topics ids (KIP-516).
    pub fn has_topic_ids(self) -> bool {
        self >= IbpVersion::V2_8_IV0
    }

    /// True if the `/feature` znode is used (KIP-584).
    pub fn has_feature_versioning(self) -> bool {
        self >= IbpVersion::V2_7_IV0
    }
}

impl fmt::Display for IbpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match VERSIONS[usize::from(self.0)] {
            (name, None) => f.write_str(name),
            (name, Some(change)) => write!(f, "{name}-IV{change}"),
        }
    }
}

impl fmt::Debug for IbpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_order() {
        let all: Vec<IbpVersion> = IbpVersion::all().collect();
        assert_eq!(all.len(), 33);
        assert_eq!(all.last(), Some(&IbpVersion::LATEST));
        for version in &all {
            assert_eq!(IbpVersion::parse(&version.to_string()), Ok(*version));
        }
        assert!(all.is_sorted());
        assert_eq!(IbpVersion::V0_11_0_IV2.to_string(), "0.11.0-IV2");
        assert_eq!(IbpVersion::V2_4_IV1.to_string(), "2.4-IV1");
        assert_eq!(IbpVersion::V2_7_IV2.to_string(), "2.7-IV2");
    }

    #[test]
    fn short_and_long_forms() {
        for (text, expected) in [
            ("2.8", "2.8-IV1"),
            ("2.8.2", "2.8-IV1"),
            ("2.1", "2.1-IV2"),
            ("0.10.0.1", "0.10.0-IV1"),
            ("0.8.2.2", "0.8.2"),
            ("0.10.0-IV0", "0.10.0-IV0"),
            ("1.1.1", "1.1-IV0"),
        ] {
            assert_eq!(IbpVersion::parse(text).map(|v| v.to_string()), Ok(expected.to_string()), "{text}");
        }
        for bad in ["", "3.0", "2", "0.8", "2.8-IV2", "0.10.0-IV9", "x"] {
            assert_eq!(IbpVersion::parse(bad), Err(format!("Version `{bad}` is not a valid version")));
        }
    }

    #[test]
    fn implied_versions() {
        let table = |text: &str| {
            let v = IbpVersion::parse(text).expect("known");
            [
                v.leader_and_isr_version(),
                v.stop_replica_version(),
                v.update_metadata_version(),
                v.controlled_shutdown_version(),
                v.fetch_version(),
                v.offset_for_leader_epoch_version().unwrap_or(-1),
                v.list_offsets_version(),
                i16::from(v.message_format_magic()),
            ]
        };
        assert_eq!(table("0.8.2"), [0, 0, 0, 0, 0, -1, 0, 0]);
        assert_eq!(table("0.9.0"), [0, 0, 1, 1, 1, -1, 0, 0]);
        assert_eq!(table("0.10.2"), [0, 0, 3, 1, 3, -1, 1, 1]);
        assert_eq!(table("0.11.0"), [0, 0, 3, 1, 5, 0, 2, 2]);
        assert_eq!(table("1.1"), [1, 0, 4, 1, 7, 0, 2, 2]);
        assert_eq!(table("2.3"), [2, 1, 5, 2, 11, 3, 5, 2]);
        assert_eq!(table("2.8"), [5, 3, 7, 3, 12, 4, 6, 2]);
    }
}
