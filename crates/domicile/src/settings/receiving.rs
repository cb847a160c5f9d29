//! `DOMICILE_INTAKE_*`, `DOMICILE_BOT_*` and the headers that a subscription adds: how what Zoom sends is received.

use std::ops::RangeInclusive;
use std::time::Duration;

use domicile_kernel::Secret;
use domicile_region::words::Words;
use domicile_web::extract::ZoomEndpointVerifier;
use domicile_zoom::authorization::{RequiredAuthorization, RequiredHeader, RequiredOwnHeader};
use domicile_zoom::signature::{WebhookSecrets, Window};
use serde::Deserialize;

use super::parse::Reader;
use super::{BotSettings, ReceivingSettings, ZoomSettings};

const ROBOT_JID: &str = "DOMICILE_BOT_ROBOT_JID";
const BOT_CLIENT_ID: &str = "DOMICILE_BOT_CLIENT_ID";
const BOT_CLIENT_SECRET: &str = "DOMICILE_BOT_CLIENT_SECRET";
const BOT_WEBHOOK_SECRETS: &str = "DOMICILE_BOT_WEBHOOK_SECRETS";
const BOT_AUTHORIZATION: &str = "DOMICILE_BOT_WEBHOOK_AUTHORIZATION";
const BOT_HEADER: &str = "DOMICILE_BOT_WEBHOOK_HEADER";
const BOT_WORDS: &str = "DOMICILE_BOT_WORDS";
const BOT_PROGRESS: &str = "DOMICILE_BOT_PROGRESS";

/// A signature older than a day has outlived every retry of Zoom's many times over.
const MAX_AGE_SECONDS: RangeInclusive<u64> = 1..=86_400;
const MAX_AHEAD_SECONDS: RangeInclusive<u64> = 0..=3_600;
const BODY_LIMIT_BYTES: RangeInclusive<u64> = 1..=ZoomEndpointVerifier::MAX_BODY_LIMIT_BYTES as u64;
const MAX_JID_BYTES: usize = 256;

#[derive(Deserialize, Default)]
struct IntakeSection {
    max_age_seconds: Option<String>,
    max_ahead_seconds: Option<String>,
    body_limit_bytes: Option<String>,
}

#[derive(Deserialize, Default)]
struct BotSection {
    robot_jid: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    webhook_secrets: Option<String>,
    webhook_authorization: Option<String>,
    webhook_header: Option<String>,
    words: Option<String>,
    progress: Option<String>,
}

impl BotSection {
    /// The settings that are there, the robot's id aside.
    fn names(&self) -> impl Iterator<Item = &'static str> {
        [
            (BOT_CLIENT_ID, &self.client_id),
            (BOT_CLIENT_SECRET, &self.client_secret),
            (BOT_WEBHOOK_SECRETS, &self.webhook_secrets),
            (BOT_AUTHORIZATION, &self.webhook_authorization),
            (BOT_HEADER, &self.webhook_header),
            (BOT_WORDS, &self.words),
            (BOT_PROGRESS, &self.progress),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|_| name))
    }
}

impl Reader {
    pub(super) fn receiving(&mut self) -> Option<ReceivingSettings> {
        let section: IntakeSection = self.section("DOMICILE_INTAKE_");
        let max_age = self.whole(
            "DOMICILE_INTAKE_MAX_AGE_SECONDS",
            section.max_age_seconds,
            MAX_AGE_SECONDS,
        );
        let max_ahead = self.whole(
            "DOMICILE_INTAKE_MAX_AHEAD_SECONDS",
            section.max_ahead_seconds,
            MAX_AHEAD_SECONDS,
        );
        let body_limit = self.whole(
            "DOMICILE_INTAKE_BODY_LIMIT_BYTES",
            section.body_limit_bytes,
            BODY_LIMIT_BYTES,
        );
        Some(ReceivingSettings {
            window: Window {
                max_age: Duration::from_secs(max_age?),
                max_ahead: Duration::from_secs(max_ahead?),
            },
            body_limit_bytes: usize::try_from(body_limit?).ok()?,
            body_timeout: ZoomEndpointVerifier::DEFAULT_BODY_TIME,
        })
    }

    /// The bot's settings; the outer `None` is a fault, the inner that the bot is off.
    #[expect(clippy::option_option, reason = "a fault and an absent option are two things")]
    pub(super) fn bot(&mut self, zoom: Option<&ZoomSettings>) -> Option<Option<BotSettings>> {
        let section: BotSection = self.section("DOMICILE_BOT_");
        let Some(robot_jid) = self.text(ROBOT_JID, section.robot_jid.clone()) else {
            let mut off = true;
            for name in section.names() {
                self.faults.add(
                    name,
                    format!("is set, but {ROBOT_JID} is not, and without it the bot is off; set it, or remove this"),
                );
                off = false;
            }
            return off.then_some(None);
        };
        let robot_jid = self.faults.take(ROBOT_JID, robot_jid_of(robot_jid));
        let own = match (
            self.text(BOT_CLIENT_ID, section.client_id),
            self.text(BOT_CLIENT_SECRET, section.client_secret),
        ) {
            (None, None) => Some(None),
            (Some(id), Some(secret)) => Some(Some((id, Secret::new(secret)))),
            (Some(_), None) => {
                self.missing_half(BOT_CLIENT_SECRET, BOT_CLIENT_ID);
                None
            }
            (None, Some(_)) => {
                self.missing_half(BOT_CLIENT_ID, BOT_CLIENT_SECRET);
                None
            }
        };
        let secrets = match self.text(BOT_WEBHOOK_SECRETS, section.webhook_secrets) {
            Some(tokens) => self.webhook_secrets(BOT_WEBHOOK_SECRETS, Some(tokens)),
            // A fault of the Zoom app's own secrets is told there.
            None => zoom.map(|zoom| zoom.webhook_secrets.clone()),
        };
        let required_header = self.required_header(
            (BOT_AUTHORIZATION, section.webhook_authorization),
            (BOT_HEADER, section.webhook_header),
        );
        let words = self.bot_words(section.words);
        let progress = match self.text(BOT_PROGRESS, section.progress).as_deref() {
            None | Some("on") => Some(true),
            Some("off") => Some(false),
            Some(_) => {
                self.faults.add(BOT_PROGRESS, "is neither on nor off");
                None
            }
        };
        let (client_id, client_secret) =
            own?.or_else(|| zoom.map(|zoom| (zoom.client_id.clone(), zoom.client_secret.clone())))?;
        Some(Some(BotSettings {
            robot_jid: robot_jid?,
            client_id,
            client_secret,
            webhook_secrets: secrets?,
            required_header: required_header?,
            words: words?,
            progress: progress?,
        }))
    }

    fn bot_words(&mut self, value: Option<String>) -> Option<Words> {
        let Some(text) = self.text(BOT_WORDS, value) else {
            return Some(Words::default());
        };
        let faults = match Words::parse(&text) {
            Ok(words) => return Some(words),
            Err(faults) => faults,
        };
        for fault in faults {
            self.faults
                .add(BOT_WORDS, format!("{}: {}", fault.path, fault.fault));
        }
        None
    }

    pub(super) fn webhook_secrets(&mut self, name: &str, value: Option<String>) -> Option<WebhookSecrets> {
        let tokens: Vec<_> = self.list(name, value)?.into_iter().map(Secret::new).collect();
        self.faults.take(name, WebhookSecrets::new(&tokens))
    }

    /// The header that the subscription adds: one of two kinds, or none. The outer `None` is a fault.
    #[expect(clippy::option_option, reason = "a fault and an absent option are two things")]
    pub(super) fn required_header(
        &mut self,
        (authorization_name, authorization): (&str, Option<String>),
        (own_name, own): (&str, Option<String>),
    ) -> Option<Option<RequiredHeader>> {
        let authorization = self.text(authorization_name, authorization).map(|text| {
            self.faults
                .take(authorization_name, text.parse::<RequiredAuthorization>())
        });
        let own = self
            .text(own_name, own)
            .map(|text| self.faults.take(own_name, text.parse::<RequiredOwnHeader>()));
        match (authorization, own) {
            (None, None) => Some(None),
            (Some(authorization), None) => authorization.map(|required| Some(required.0)),
            (None, Some(own)) => own.map(|required| Some(required.0)),
            (Some(_), Some(_)) => {
                self.faults.add(
                    own_name,
                    format!("is set, but {authorization_name} is too; a subscription at Zoom adds one header, so set one of them"),
                );
                None
            }
        }
    }

    fn missing_half(&mut self, missing: &str, present: &str) {
        self.faults.add(
            missing,
            format!("is not set, but {present} is; a bot with a Marketplace app of its own needs both"),
        );
    }

    /// A whole number within bounds.
    fn whole(&mut self, name: &str, value: Option<String>, range: RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(name, value)?;
        let number = text.parse::<u64>().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            self.faults
                .add(name, format!("must be a whole number from {least} to {most}"));
        }
        number
    }
}

fn robot_jid_of(text: String) -> Result<String, &'static str> {
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    let is_jid = text.len() <= MAX_JID_BYTES
        && text
            .split_once('@')
            .is_some_and(|(robot, host)| plain(robot) && plain(host) && !host.contains('@'));
    is_jid
        .then_some(text)
        .ok_or("is no robot JID; copy it from the app's Zoom Chat page, such as v1abc@xmpp.zoom.us")
}

#[cfg(test)]
mod tests {
    use super::super::environment::Environment;
    use super::super::faults::Faults;
    use super::super::parse::Reader;
    use super::*;

    const ZOOM: [(&str, &str); 3] = [
        ("DOMICILE_ZOOM_CLIENT_ID", "the-app"),
        ("DOMICILE_ZOOM_CLIENT_SECRET", "its-secret"),
        ("DOMICILE_ZOOM_WEBHOOK_SECRETS", "new,old"),
    ];

    fn reader(variables: &[(&str, &str)]) -> Reader {
        let variables = ZOOM.iter().chain(variables);
        let environment: Environment = variables
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut faults = Faults::default();
        Reader {
            environment: environment.resolved(&mut faults),
            faults,
        }
    }

    fn faults(reader: &Reader) -> Vec<String> {
        reader.faults.iter().map(ToString::to_string).collect()
    }

    #[expect(clippy::option_option, reason = "as the function under test")]
    fn bot(variables: &[(&str, &str)]) -> (Option<Option<BotSettings>>, Vec<String>) {
        let mut reader = reader(variables);
        let zoom = reader.zoom();
        let bot = reader.bot(zoom.as_ref());
        let faults = faults(&reader);
        (bot, faults)
    }

    #[test]
    fn the_limits_have_defaults_and_bounds() {
        let mut reader_of_none = reader(&[]);
        let settings = reader_of_none.receiving().unwrap();
        assert_eq!(settings.window, Window::default());
        assert_eq!(settings.body_limit_bytes, 1024 * 1024);

        let mut full = reader(&[
            ("DOMICILE_INTAKE_MAX_AGE_SECONDS", "60"),
            ("DOMICILE_INTAKE_MAX_AHEAD_SECONDS", "0"),
            ("DOMICILE_INTAKE_BODY_LIMIT_BYTES", "10485760"),
        ]);
        let settings = full.receiving().unwrap();
        assert_eq!(settings.window.max_age, Duration::from_secs(60));
        assert_eq!(settings.window.max_ahead, Duration::ZERO);
        assert_eq!(settings.body_limit_bytes, 10 * 1024 * 1024);

        let mut wrong = reader(&[
            ("DOMICILE_INTAKE_MAX_AGE_SECONDS", "0"),
            ("DOMICILE_INTAKE_MAX_AHEAD_SECONDS", "soon"),
            ("DOMICILE_INTAKE_BODY_LIMIT_BYTES", "10485761"),
        ]);
        assert!(wrong.receiving().is_none());
        assert_eq!(
            faults(&wrong),
            [
                "DOMICILE_INTAKE_MAX_AGE_SECONDS: must be a whole number from 1 to 86400",
                "DOMICILE_INTAKE_MAX_AHEAD_SECONDS: must be a whole number from 0 to 3600",
                "DOMICILE_INTAKE_BODY_LIMIT_BYTES: must be a whole number from 1 to 10485760",
            ]
        );
    }

    #[test]
    fn the_bot_is_off_without_its_jid_and_borrows_from_the_zoom_app_with_it() {
        let (off, none) = bot(&[]);
        assert!(matches!(off, Some(None)));
        assert_eq!(none, [""; 0]);

        let (on, none) = bot(&[(ROBOT_JID, "v1abc@xmpp.zoom.us")]);
        assert_eq!(none, [""; 0]);
        let on = on.flatten().unwrap();
        assert_eq!(
            (on.robot_jid.as_str(), on.client_id.as_str()),
            ("v1abc@xmpp.zoom.us", "the-app")
        );
        assert_eq!(on.client_secret.expose(), "its-secret");
        assert_eq!(on.webhook_secrets.len(), 2);
        assert!(on.required_header.is_none());

        let (own, none) = bot(&[
            (ROBOT_JID, "v1abc@xmpp.zoom.us"),
            (BOT_CLIENT_ID, "the-bot"),
            (BOT_CLIENT_SECRET, "the-bots"),
            (BOT_WEBHOOK_SECRETS, "bot"),
            (BOT_AUTHORIZATION, "Bearer hunter2"),
        ]);
        assert_eq!(none, [""; 0]);
        let own = own.flatten().unwrap();
        assert_eq!(
            (own.client_id.as_str(), own.webhook_secrets.len()),
            ("the-bot", 1)
        );
        assert_eq!(own.required_header.unwrap().name(), "authorization");
    }

    #[test]
    fn half_a_bot_is_a_fault() {
        let (half, told) = bot(&[(BOT_WEBHOOK_SECRETS, "hunter2"), (BOT_HEADER, "x-a: hunter2")]);
        assert!(half.is_none());
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told.iter()
                .all(|fault| fault.contains("without it the bot is off") && !fault.contains("hunter"))
        );

        let (half, told) = bot(&[(ROBOT_JID, "v1abc"), (BOT_CLIENT_ID, "the-bot")]);
        assert!(half.is_none());
        assert_eq!(
            told,
            [
                "DOMICILE_BOT_ROBOT_JID: is no robot JID; copy it from the app's Zoom Chat page, such as v1abc@xmpp.zoom.us",
                "DOMICILE_BOT_CLIENT_SECRET: is not set, but DOMICILE_BOT_CLIENT_ID is; a bot with a Marketplace app of its own needs both",
            ]
        );
    }

    #[test]
    fn the_subscriptions_header_is_of_one_kind_and_may_come_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Basic dXNlcjpodW50ZXIy\n").unwrap();
        let path = file.path().to_str().unwrap();
        let mut from_file = reader(&[("DOMICILE_ZOOM_WEBHOOK_AUTHORIZATION_FILE", path)]);
        let header = from_file.zoom().unwrap().required_header.unwrap();
        assert_eq!(header.check([&b"Basic dXNlcjpodW50ZXIy"[..]]), Ok(()));

        let mut both = reader(&[
            ("DOMICILE_ZOOM_WEBHOOK_AUTHORIZATION", "user:hunter2"),
            ("DOMICILE_ZOOM_WEBHOOK_HEADER", "x-a: hunter2"),
        ]);
        assert!(both.zoom().is_none());
        let told = faults(&both);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("the whole value of the header"));
        assert!(told[1].contains("set one of them"));
        assert!(told.iter().all(|fault| !fault.contains("hunter")));
    }
}
