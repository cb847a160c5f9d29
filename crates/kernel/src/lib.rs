#![doc = include_str!("../README.md")]

pub mod fate;
pub mod id;
pub mod random;
pub mod region_id;
pub mod secret;
pub mod state;
pub mod subject;
pub mod time;
pub mod zoom_id;

pub use fate::Fate;
pub use id::{
    AuditId, BotMessageId, ConnectSessionId, EventId, FileId, InboxId, JobId, KeyId, LeaseToken, LinkId,
    MailboxId, RecordingId, WorkerId,
};
pub use random::{Ids, Rng};
pub use region_id::RegionId;
pub use secret::Secret;
pub use subject::Subject;
pub use time::{Clock, Timestamp};
pub use zoom_id::{MeetingUuid, ZoomAccountId, ZoomFileId, ZoomUserId};
