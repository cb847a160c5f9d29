#![doc = include_str!("../README.md")]

mod api;
mod clock;
mod control;
mod control_api;
mod download;
mod faults;
mod manifest;
pub mod media;
pub mod model;
mod oauth;
mod pages;
mod random;
mod server;
mod settings;
mod signing;
mod sim;
mod state;
mod webhook;

pub use clock::SystemClock;
pub use control::{
    Act, ConsentOrder, ControlError, Decision, FileDigest, FileSelection, Said, Say, SendEvent,
};
pub use model::app::{App, EVENTS, NewApp, NewSubscription, Subscription, Usage};
pub use model::chat::{
    Author, BOT_EVENTS, Bot, Channel, ChatMessage, Conversation, NewBot, NewChannel, Place, Unfurl, Welcome,
};
pub use model::fault::{Fault, FaultKind, NewFault, RetryAfterForm, Target};
pub use model::meeting::{FileKind, FileState, Meeting, NewFile, NewMeeting, NewRecording, RecordingFile};
pub use model::token::Grant;
pub use model::user::{NewUser, Role, User, UserStatus};
pub use model::webhook::{Attempt, AttemptResult, DeliveryState, SignatureMode, WebhookDelivery};
pub use random::{SeededRng, SystemRng};
pub use server::{StartError, Zoomsim};
pub use settings::ZoomsimSettings;
pub use sim::Sim;
pub use webhook::challenge::ChallengeFailure;
pub use webhook::deliver::RunDue;
pub use webhook::publish::Audience;
pub use webhook::sender::{WebhookAnswer, WebhookRequest, WebhookSender};
