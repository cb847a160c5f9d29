//! The one list of settings: what is read, what `config check` knows, and what the help says.

/// Whether a setting must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// The start stops without it.
    Required,
    /// Something is off without it.
    Optional,
    /// It has this value where it is not set.
    Default(&'static str),
}

/// One environment variable.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name. `<name>_FILE` may stand for it and names a file that holds the value.
    pub name: &'static str,
    /// Whether it must be there.
    pub requirement: Requirement,
    /// What it means, in a few words.
    pub meaning: &'static str,
}

const fn setting(name: &'static str, requirement: Requirement, meaning: &'static str) -> Setting {
    Setting {
        name,
        requirement,
        meaning,
    }
}

use Requirement::{Default, Optional, Required};

/// Every setting, in the order of the sections.
pub const SETTINGS: &[Setting] = &[
    setting("DOMICILE_REGION_ID", Required, "the region's id, such as eu"),
    setting(
        "DOMICILE_REGION_NAME",
        Required,
        "its name for people, such as European Union",
    ),
    setting(
        "DOMICILE_REGION_ZOOM_CLUSTERS",
        Required,
        "Zoom home clusters whose users may link here, such as eu",
    ),
    setting(
        "DOMICILE_REGION_UNKNOWN_CLUSTER",
        Required,
        "allow or refuse users whose home cluster Zoom does not name (`https://api.zoom.us`, vanity hosts)",
    ),
    setting(
        "DOMICILE_REGION_ADMISSION",
        Required,
        "open: every Zoom account may link; accounts: only those that were admitted",
    ),
    setting(
        "DOMICILE_REGION_FILE",
        Optional,
        "the region's own file, such as regions/eu.yaml: every setting must be what it says; `domicile region env` writes them",
    ),
    setting(
        "DOMICILE_REGION_DIRECTORY_FILE",
        Optional,
        "the public list of regions, for the install page and for users of another region; without it neither knows the others",
    ),
    setting(
        "DOMICILE_HTTP_PUBLIC_URL",
        Required,
        "how browsers and Zoom reach it, such as `https://zoom.eu.example.com`",
    ),
    setting(
        "DOMICILE_HTTP_PUBLIC_LISTEN",
        Default("0.0.0.0:8080"),
        "the listener for Zoom and browsers",
    ),
    setting(
        "DOMICILE_HTTP_APP_LISTEN",
        Default("0.0.0.0:8081"),
        "the listener for the app's backend",
    ),
    setting(
        "DOMICILE_HTTP_OPS_LISTEN",
        Default("0.0.0.0:9090"),
        "the listener for probes and metrics",
    ),
    setting(
        "DOMICILE_DATABASE_URL",
        Required,
        "`postgres://user:password@host/database?sslmode=verify-full`",
    ),
    setting(
        "DOMICILE_ZOOM_CLIENT_ID",
        Required,
        "the region's Marketplace app",
    ),
    setting("DOMICILE_ZOOM_CLIENT_SECRET", Required, "its client secret"),
    setting(
        "DOMICILE_ZOOM_WEBHOOK_SECRETS",
        Required,
        "comma list of secret tokens; all verify, for rotation",
    ),
    setting(
        "DOMICILE_ZOOM_WEBHOOK_AUTHORIZATION",
        Optional,
        "where the event subscription adds one: the whole value of its Authorization header, `Basic <base64>` or `Bearer <token>`; a comma list for rotation",
    ),
    setting(
        "DOMICILE_ZOOM_WEBHOOK_HEADER",
        Optional,
        "where the event subscription adds a header of your own: `x-name: value`; a comma list of one name for rotation",
    ),
    setting(
        "DOMICILE_ZOOM_OAUTH_URL",
        Default("https://zoom.us"),
        "where Zoom's consent page and tokens are",
    ),
    setting(
        "DOMICILE_ZOOM_API_URL",
        Default("https://api.zoom.us"),
        "Zoom's API where the token answer names none",
    ),
    setting(
        "DOMICILE_ZOOM_HOSTS",
        Default("zoom.us"),
        "host suffixes that downloads and api_url may use",
    ),
    setting(
        "DOMICILE_ZOOM_CALLS",
        Default(
            "GET /users/me, GET /users/me/recordings, GET /users/me/meetings, GET /users/{userId}, \
             GET /users/{userId}/recordings, GET /users/{userId}/meetings, GET /meetings/{meetingId}, \
             GET /meetings/{meetingId}/recordings, GET /meetings/{meetingId}/transcript",
        ),
        "comma list of the calls of Zoom's API that the app may make through a link, METHOD /path with {name} for an id; none for none",
    ),
    setting(
        "DOMICILE_ZOOM_DOMAIN_PROOF",
        Optional,
        "what GET /zoomverify/verifyzoom.html answers: the content of the file that Zoom gives to validate the public host",
    ),
    setting(
        "DOMICILE_BOT_ROBOT_JID",
        Optional,
        "set: the Team Chat bot is on, and this is its JID, such as v1abc@xmpp.zoom.us",
    ),
    setting(
        "DOMICILE_BOT_CLIENT_ID",
        Optional,
        "the bot's Marketplace app where it has one of its own; without it the Zoom app",
    ),
    setting(
        "DOMICILE_BOT_CLIENT_SECRET",
        Optional,
        "its client secret; needed with the client id",
    ),
    setting(
        "DOMICILE_BOT_WEBHOOK_SECRETS",
        Optional,
        "comma list of the secret tokens that sign what is sent to the bot; without it the Zoom app's",
    ),
    setting(
        "DOMICILE_BOT_WORDS",
        Optional,
        "what the bot says by itself, as JSON: the product's name, the words of its commands and their texts; what is not named keeps its default",
    ),
    setting(
        "DOMICILE_BOT_PROGRESS",
        Optional,
        "on or off: whether people who have spoken to the bot are shown how far the fetching of their recordings has come; on without it",
    ),
    setting(
        "DOMICILE_BOT_WEBHOOK_AUTHORIZATION",
        Optional,
        "as DOMICILE_ZOOM_WEBHOOK_AUTHORIZATION, for the bot's subscription",
    ),
    setting(
        "DOMICILE_BOT_WEBHOOK_HEADER",
        Optional,
        "as DOMICILE_ZOOM_WEBHOOK_HEADER, for the bot's subscription",
    ),
    setting(
        "DOMICILE_INTAKE_MAX_AGE_SECONDS",
        Default("5700"),
        "how old a signature of Zoom's may be, at most 86400; its last retry comes after 85 minutes",
    ),
    setting(
        "DOMICILE_INTAKE_MAX_AHEAD_SECONDS",
        Default("300"),
        "how far Zoom's clock may be ahead of ours, at most 3600",
    ),
    setting(
        "DOMICILE_INTAKE_BODY_LIMIT_BYTES",
        Default("1048576"),
        "the largest body that is taken from Zoom, at most 10485760; larger ones get 413, which Zoom never sends again",
    ),
    setting(
        "DOMICILE_VAULT_KEYS",
        Required,
        "comma list of id:base64, a key of 32 bytes, and id:aws-kms:ARN, a key at AWS KMS; the first seals, all open",
    ),
    setting(
        "DOMICILE_OBJECTS_URL",
        Required,
        "`s3://bucket/prefix` or `file:///path`",
    ),
    setting(
        "DOMICILE_EVIDENCE_KEY",
        Optional,
        "the seed, 32 bytes in base64, of the Ed25519 key that signs the evidence of residency; without it there is none",
    ),
    setting(
        "DOMICILE_APP_API_KEYS",
        Required,
        "comma list of name:sha256-hex of the app's API keys",
    ),
    setting(
        "DOMICILE_APP_START_URL",
        Required,
        "the app's page where a signed-in user begins",
    ),
    setting(
        "DOMICILE_APP_RETURN_URLS",
        Required,
        "comma list of URL prefixes to which a connect session may return",
    ),
    setting(
        "DOMICILE_APP_EVENTS_URL",
        Optional,
        "where events are delivered; without it the app pulls",
    ),
    setting(
        "DOMICILE_APP_EVENTS_SECRETS",
        Optional,
        "whsec_... secrets, the first signs; needed with the URL",
    ),
    setting(
        "DOMICILE_APP_IDENTITY",
        Required,
        "confirm or session-jwt: how the finisher of a connect session is known",
    ),
    setting(
        "DOMICILE_APP_JWT_ISSUER",
        Optional,
        "the iss of the app's session tokens; needed with session-jwt",
    ),
    setting(
        "DOMICILE_APP_JWT_AUDIENCE",
        Optional,
        "what their aud holds; needed with session-jwt",
    ),
    setting(
        "DOMICILE_APP_JWT_JWKS_URL",
        Optional,
        "where the app publishes its keys; needed with session-jwt",
    ),
    setting(
        "DOMICILE_APP_JWT_ALGORITHMS",
        Optional,
        "comma list such as ES256,RS256; needed with session-jwt",
    ),
    setting(
        "DOMICILE_APP_JWT_COOKIE",
        Optional,
        "the cookie that holds the token; this or the next with session-jwt",
    ),
    setting(
        "DOMICILE_APP_JWT_HEADER",
        Optional,
        "the header field that holds it; `Authorization` with `Bearer` before it",
    ),
    setting(
        "DOMICILE_APP_JWT_USER_CLAIM",
        Default("sub"),
        "the claim V that stands for the subject `user:V`",
    ),
    setting(
        "DOMICILE_APP_JWT_ORG_CLAIM",
        Optional,
        "the claim V that stands for the subject `org:V`",
    ),
    setting(
        "DOMICILE_APP_JWT_LEEWAY_SECONDS",
        Default("30"),
        "how far the app's clock may be from ours, at most 120",
    ),
    setting(
        "DOMICILE_EGRESS_ALLOW",
        Optional,
        "comma list of further hosts that the process may call",
    ),
    setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        Optional,
        "the region's own collector, OTLP over HTTP; without it no export",
    ),
    setting(
        "RUST_LOG",
        Default("info"),
        "what is logged, such as info,domicile_recordings=debug",
    ),
];

/// The list as the table in the README.
#[cfg(test)]
fn table() -> String {
    use std::fmt::Write;

    let mut table = String::from("| variable | | meaning |\n| --- | --- | --- |\n");
    for setting in SETTINGS {
        let requirement = match setting.requirement {
            Required => "required".to_owned(),
            Optional => "optional".to_owned(),
            Default(value) => format!("default `{value}`"),
        };
        writeln!(
            table,
            "| `{}` | {requirement} | {} |",
            setting.name, setting.meaning
        )
        .unwrap();
    }
    table
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_lists_exactly_the_settings() {
        let readme = include_str!("../../README.md");
        let (_, listed) = readme.split_once("<!-- settings -->\n").unwrap();
        assert_eq!(
            listed,
            super::table(),
            "put this table under the mark in the README"
        );
    }
}
