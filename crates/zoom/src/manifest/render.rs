//! From a region's file to the manifests of its apps: the one template.
//!
//! Everything that a manifest can say and that differs between regions comes from the file; what never differs (strict
//! redirects, the landing page, `sender_type`) stands here. What the template does not name is left to the live app.

use std::fmt;

use domicile_region::RegionFile;
use domicile_region::file::{AppUsage, Chat, EventReceiver, MarketplaceApp, Product};
use thiserror::Error;
use url::Url;

use super::{
    ChatSubscription, CommandHint, DisplayInformation, DomainEntry, EventEntry, EventSubscription,
    EventUsage, Features, Manifest, OauthInformation, ScopeEntry, SlashCommand, Usage, Welcome,
};

/// Which of a region's Marketplace apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AppKind {
    /// The app through which subjects are linked.
    Linking,
    /// The Team Chat bot's app, where it is one of its own.
    Bot,
}

impl AppKind {
    /// Both kinds, in the order of the file.
    pub const ALL: [Self; 2] = [Self::Linking, Self::Bot];

    /// Its name in the region's file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linking => "linking",
            Self::Bot => "bot",
        }
    }

    /// The app of this kind, where the region has one.
    pub fn of(self, region: &RegionFile) -> Option<&MarketplaceApp> {
        let apps = &region.zoom.apps;
        match self {
            Self::Linking => Some(&apps.linking),
            Self::Bot => apps.bot.as_ref(),
        }
    }
}

impl fmt::Display for AppKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a manifest cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenderError {
    /// The region has no such app.
    #[error("the region {region} has no {app} app: zoom.apps.{app} is not in its file")]
    NoSuchApp {
        /// The region.
        region: String,
        /// The app.
        app: AppKind,
    },
    /// The development environment's endpoints follow from the production ones, and these cannot be read.
    #[error("zoom.apps.{app}.{field} is no URL, so the development environment's cannot be made from it")]
    NotAUrl {
        /// The app.
        app: AppKind,
        /// The member of the region's file.
        field: &'static str,
    },
}

/// The apps that the region has.
pub fn apps(region: &RegionFile) -> impl Iterator<Item = AppKind> {
    AppKind::ALL.into_iter().filter(|app| app.of(region).is_some())
}

/// The manifest of one of the region's apps.
pub fn render(region: &RegionFile, kind: AppKind) -> Result<Manifest, RenderError> {
    let app = kind.of(region).ok_or_else(|| RenderError::NoSuchApp {
        region: region.region.id.clone(),
        app: kind,
    })?;
    let environment = Environments { kind, app };
    let redirect = environment.of("redirectUrl", &app.redirect_url)?;
    let events = environment.of("eventsUrl", &app.events_url)?;
    let chat = match &app.chat {
        Some(chat) => Some((chat, environment.of("chat.messageUrl", &chat.message_url)?)),
        None => None,
    };
    Ok(Manifest {
        display_information: display(region, app),
        oauth_information: oauth(app, &redirect),
        features: Features {
            products: app
                .products
                .iter()
                .map(|product| name(*product).to_owned())
                .collect(),
            domain_allow_list: domains(region, app, &redirect),
            // Off rather than left out, so that what is switched on by hand is found.
            team_chat_subscription: Some(chat.map_or_else(ChatSubscription::default, bot)),
            event_subscription: Some(subscription(app, &events)),
            ..Features::default()
        },
        ..Manifest::default()
    })
}

/// A URL of each of the app's two environments at Zoom.
struct Endpoint {
    development: String,
    production: String,
}

struct Environments<'a> {
    kind: AppKind,
    app: &'a MarketplaceApp,
}

impl Environments<'_> {
    /// Zoom wants both. Where the app has no deployment for development, its own client reaches the one that there is.
    fn of(&self, field: &'static str, production: &str) -> Result<Endpoint, RenderError> {
        let development = match &self.app.development {
            None => production.to_owned(),
            Some(development) => {
                let not_a_url = |_| RenderError::NotAUrl {
                    app: self.kind,
                    field,
                };
                let path = Url::parse(production).map_err(not_a_url)?;
                let base = Url::parse(&development.public_url).map_err(|_| RenderError::NotAUrl {
                    app: self.kind,
                    field: "development.publicUrl",
                })?;
                base.join(path.path()).map_err(not_a_url)?.into()
            }
        };
        Ok(Endpoint {
            development,
            production: production.to_owned(),
        })
    }
}

fn display(region: &RegionFile, app: &MarketplaceApp) -> DisplayInformation {
    let listing = &region.zoom.listing;
    DisplayInformation {
        display_name: app.name.clone(),
        description: Some(app.description.clone()),
        long_description: Some(app.long_description.clone()),
        company_name: Some(listing.company_name.clone()),
        discover_type: Some(if app.listed { "LISTED" } else { "UNLISTED" }.to_owned()),
        // An install begins at the region's own page, where one chooses the region.
        install_type: Some("LANDING_PAGE".to_owned()),
        install_landing_url: Some(app.install_url.clone()),
        privacy_url: Some(listing.privacy_url.clone()),
        terms_url: Some(listing.terms_url.clone()),
        support_url: Some(listing.support_url.clone()),
        doc_url: Some(listing.documentation_url.clone()),
        ..DisplayInformation::default()
    }
}

fn oauth(app: &MarketplaceApp, redirect: &Endpoint) -> OauthInformation {
    let mut allowed = vec![redirect.production.clone()];
    if redirect.development != redirect.production {
        allowed.push(redirect.development.clone());
    }
    OauthInformation {
        usage: Some(match app.usage {
            AppUsage::UserManaged => Usage::UserOperation,
            AppUsage::AdminManaged => Usage::AdminManagement,
        }),
        development_redirect_uri: Some(redirect.development.clone()),
        production_redirect_uri: Some(redirect.production.clone()),
        oauth_allow_list: allowed,
        strict_mode: Some(true),
        subdomain_strict_mode: Some(true),
        scopes: app
            .scopes
            .iter()
            .map(|scope| ScopeEntry {
                scope: scope.scope.clone(),
                optional: scope.optional,
                ..ScopeEntry::default()
            })
            .collect(),
        scope_description: Some(app.scope_description.clone()),
        ..OauthInformation::default()
    }
}

/// Zoom refuses the list where the app is in no product.
fn domains(region: &RegionFile, app: &MarketplaceApp, redirect: &Endpoint) -> Vec<DomainEntry> {
    if app.products.is_empty() {
        return Vec::new();
    }
    let region_name = &region.region.name;
    let host = |url: &str| Some(Url::parse(url).ok()?.host_str()?.to_owned());
    let entry = |domain: String, explanation: String| DomainEntry {
        domain,
        explanation,
        ..DomainEntry::default()
    };
    let production = host(&redirect.production);
    let development = host(&redirect.development).filter(|host| Some(host) != production.as_ref());
    let production = production.map(|domain| {
        let what = format!("Install page, consent callback and endpoints of the region {region_name}.");
        entry(domain, what)
    });
    let development = development.map(|domain| {
        let what = format!("The same of the region {region_name} in development.");
        entry(domain, what)
    });
    production.into_iter().chain(development).collect()
}

fn bot((chat, endpoint): (&Chat, Endpoint)) -> ChatSubscription {
    let slash = &chat.slash_command;
    ChatSubscription {
        enable: true,
        enable_support_channel: Some(false),
        slash_command: Some(SlashCommand {
            command: slash.command.clone(),
            command_hints: slash
                .hints
                .iter()
                .map(|hint| CommandHint {
                    description: hint.description.clone(),
                    usage_hint: hint.usage.clone(),
                    ..CommandHint::default()
                })
                .collect(),
            enable_add_to_channel: Some(slash.add_to_channel),
            development_message_url: Some(endpoint.development),
            production_message_url: Some(endpoint.production),
            sender_type: Some("zoom".to_owned()),
            welcome_msg: chat.welcome.as_ref().map(|welcome| Welcome {
                title: welcome.title.clone(),
                body: welcome.body.clone(),
                ..Welcome::default()
            }),
            trust_domain_list: Some(Vec::new()),
            ..SlashCommand::default()
        }),
        ..ChatSubscription::default()
    }
}

fn subscription(app: &MarketplaceApp, endpoint: &Endpoint) -> EventSubscription {
    EventSubscription {
        enable: !app.events.is_empty(),
        events: app
            .events
            .iter()
            .map(|event| EventEntry {
                subscription_id: Some(event.name.clone()),
                subscription_name: Some(event.name.clone()),
                event_usage: Some(match event.receiver {
                    EventReceiver::User => EventUsage::User,
                    EventReceiver::Account => EventUsage::Admin,
                }),
                event_types: event.types.clone(),
                development_webhook_url: Some(endpoint.development.clone()),
                production_webhook_url: Some(endpoint.production.clone()),
                ..EventEntry::default()
            })
            .collect(),
        ..EventSubscription::default()
    }
}

/// Zoom's own spelling.
fn name(product: Product) -> &'static str {
    match product {
        Product::ZoomMeeting => "ZOOM_MEETING",
        Product::ZoomChat => "ZOOM_CHAT",
        Product::ZoomPhone => "ZOOM_PHONE",
        Product::ZoomRoom => "ZOOM_ROOM",
        Product::ZoomWebinar => "ZOOM_WEBINAR",
        Product::ZoomContactCenter => "ZOOM_CONTACT_CENTER",
        Product::ZoomWhiteboard => "ZOOM_WHITEBOARD",
        Product::ZoomEvents => "ZOOM_EVENTS",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::manifest::lint::lint;
    use domicile_region::file::Development;
    use serde_json::json;

    /// The samples of the tree.
    pub(crate) const SAMPLES: [&str; 3] = [
        include_str!("../../../../regions/eu.yaml"),
        include_str!("../../../../regions/uk.yaml"),
        include_str!("../../../../regions/us.yaml"),
    ];

    pub(crate) fn region(text: &str) -> RegionFile {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn every_app_of_the_samples_is_rendered_without_a_finding() {
        for text in SAMPLES {
            let region = region(text);
            assert_eq!(
                apps(&region).collect::<Vec<_>>(),
                AppKind::ALL,
                "{}",
                region.region.id
            );
            for app in AppKind::ALL {
                let manifest = render(&region, app).unwrap();
                assert_eq!(lint(&manifest), [], "{} {app}", region.region.id);
            }
        }
    }

    #[test]
    fn a_bots_manifest_is_zooms_documented_structure() {
        let region = region(SAMPLES[0]);
        let manifest = render(&region, AppKind::Bot).unwrap().to_value();
        let bot = region.zoom.apps.bot.as_ref().unwrap();
        assert_eq!(
            manifest["oauth_information"],
            json!({
                "usage": "ADMIN_MANAGEMENT",
                "development_redirect_uri": "https://zoom.eu.example.com/oauth/callback",
                "production_redirect_uri": "https://zoom.eu.example.com/oauth/callback",
                "oauth_allow_list": ["https://zoom.eu.example.com/oauth/callback"],
                "strict_mode": true, "subdomain_strict_mode": true,
                "scopes": [{ "scope": "imchat:bot", "optional": false }],
                "scope_description": bot.scope_description,
            })
        );
        assert_eq!(
            manifest["features"],
            json!({
                "products": ["ZOOM_CHAT"],
                "domain_allow_list": [{
                    "domain": "zoom.eu.example.com",
                    "explanation": "Install page, consent callback and endpoints of the region European Union.",
                }],
                "team_chat_subscription": { "enable": true, "enable_support_channel": false, "slash_command": {
                    "command": "example-eu",
                    "command_hints": [{ "description": "Says what the bot can do", "usage_hint": "help" }],
                    "enable_add_to_channel": true,
                    "development_message_url": "https://zoom.eu.example.com/zoom/bot",
                    "production_message_url": "https://zoom.eu.example.com/zoom/bot",
                    "sender_type": "zoom",
                    "welcome_msg": {
                        "title": "Hello from Example",
                        "body": bot.chat.as_ref().unwrap().welcome.as_ref().unwrap().body,
                    },
                    "trust_domain_list": [],
                } },
                "event_subscription": { "enable": false, "events": [] },
            })
        );
    }

    #[test]
    fn a_linking_apps_events_go_to_the_regions_endpoint() {
        let manifest = render(&region(SAMPLES[0]), AppKind::Linking).unwrap().to_value();
        assert_eq!(
            manifest["features"]["event_subscription"],
            json!({ "enable": true, "events": [{
                "subscription_id": "recordings", "subscription_name": "recordings",
                "event_usage": "EVENT_FOR_USER",
                "event_types": ["recording.completed", "recording.transcript_completed"],
                "development_webhook_url": "https://zoom.eu.example.com/zoom/events",
                "production_webhook_url": "https://zoom.eu.example.com/zoom/events",
            }] })
        );
        assert_eq!(
            manifest["features"]["team_chat_subscription"],
            json!({ "enable": false })
        );
        assert_eq!(manifest["display_information"]["discover_type"], "LISTED");
        assert_eq!(manifest["display_information"]["install_type"], "LANDING_PAGE");
    }

    #[test]
    fn a_development_deployment_has_the_same_paths_on_its_own_host() {
        let mut region = region(SAMPLES[0]);
        region.zoom.apps.linking.development = Some(Development {
            client_id: "dev".to_owned(),
            public_url: "https://zoom-dev.eu.example.com".to_owned(),
        });
        let manifest = render(&region, AppKind::Linking).unwrap();
        let oauth = &manifest.oauth_information;
        assert_eq!(
            oauth.development_redirect_uri.as_deref(),
            Some("https://zoom-dev.eu.example.com/oauth/callback")
        );
        assert_eq!(
            oauth.oauth_allow_list,
            [
                "https://zoom.eu.example.com/oauth/callback",
                "https://zoom-dev.eu.example.com/oauth/callback",
            ]
        );
        assert_eq!(manifest.features.domain_allow_list.len(), 2);
        assert_eq!(lint(&manifest), []);
        region.zoom.apps.bot = None;
        assert!(matches!(
            render(&region, AppKind::Bot),
            Err(RenderError::NoSuchApp { .. })
        ));
    }
}
