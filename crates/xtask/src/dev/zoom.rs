//! Orders to zoomsim, by its control API.

use http::Method;
use serde_json::{Value, json};
use url::Url;

use super::http::Http;
use super::ports::SPAN;
use super::stack::{Region, at, origin, zoom_api_host};
use crate::run::{Failure, Outcome};

/// A simulated Zoom.
#[derive(Clone)]
pub(crate) struct Zoom {
    http: Http,
    pub(crate) base: Url,
}

/// A Zoom user of the story.
pub(crate) struct Person {
    /// Zoom's user id.
    pub(crate) id: &'static str,
    /// Zoom's account id.
    pub(crate) account_id: &'static str,
    pub(crate) first_name: &'static str,
    pub(crate) last_name: &'static str,
    /// The region whose Zoom cluster is her home.
    pub(crate) region: &'static str,
}

/// Everybody at Zoom: two colleagues in the European Union, two in the United States.
pub(crate) const PEOPLE: [Person; 4] = [
    Person::new(
        "dev-user-eu-alice-0001",
        "dev-account-eu-bank-01",
        "Alice",
        "Archer",
        "eu",
    ),
    Person::new(
        "dev-user-eu-bob-000002",
        "dev-account-eu-bank-01",
        "Bob",
        "Baker",
        "eu",
    ),
    Person::new(
        "dev-user-us-alice-0003",
        "dev-account-us-bank-02",
        "Alicia",
        "Archer",
        "us",
    ),
    Person::new(
        "dev-user-us-bob-000004",
        "dev-account-us-bank-02",
        "Robert",
        "Baker",
        "us",
    ),
];

impl Person {
    const fn new(
        id: &'static str,
        account_id: &'static str,
        first_name: &'static str,
        last_name: &'static str,
        region: &'static str,
    ) -> Self {
        Self {
            id,
            account_id,
            first_name,
            last_name,
            region,
        }
    }
}

impl Zoom {
    pub(crate) fn new(http: Http, base: Url) -> Self {
        Self { http, base }
    }

    /// Makes those people of the region who are not there yet.
    pub(crate) async fn ensure_people(&self, region: &Region) -> Outcome {
        let known = self.order(Method::GET, &["users"], None).await?;
        let mut api_url = self.base.clone();
        api_url.set_host(Some(&zoom_api_host(region.id)))?;
        for person in PEOPLE.iter().filter(|person| person.region == region.id) {
            if list(&known).iter().any(|user| user["id"] == person.id) {
                continue;
            }
            let user = json!({
                "id": person.id, "account_id": person.account_id,
                "first_name": person.first_name, "last_name": person.last_name,
                "email": format!("{}.{}.{}@bank.example", person.first_name, person.last_name, region.id).to_lowercase(),
                "api_url": origin(&api_url), "cluster": format!("{}01", region.id),
            });
            self.order(Method::POST, &["users"], Some(&user)).await?;
        }
        Ok(())
    }

    /// Registers the region's Marketplace app with its subscription, or brings what is registered up to date. The region
    /// must be up: Zoom challenges the endpoint before it saves.
    pub(crate) async fn ensure_app(&self, region: &Region, redirect_ports: std::ops::Range<u16>) -> Outcome {
        let id = region.secrets.zoom_client_id.as_str();
        let callback = |port| String::from(at(port, "/oauth/callback"));
        let events = String::from(at(region.public, "/zoom/events"));
        let subscription = json!({ "url": events, "secret_token": region.secrets.zoom_webhook_secret });
        let apps = self.order(Method::GET, &["apps"], None).await?;
        let app = list(&apps).iter().find(|app| app["client_id"] == id);
        let redirects = |app: &Value| {
            list(&app["redirect_uris"])
                .iter()
                .any(|uri| *uri == callback(region.public))
        };
        match app {
            Some(app) if redirects(app) => {
                let mut saved = false;
                for subscription in list(&app["subscriptions"]) {
                    let subscription_id = subscription["id"].as_str().unwrap_or_default();
                    let path = ["subscriptions", subscription_id];
                    if subscription["url"] != events || saved {
                        self.order(Method::DELETE, &path, None).await?;
                    } else {
                        saved = true;
                        if subscription["enabled"] != true {
                            self.order(Method::POST, &[path[0], path[1], "validate"], None)
                                .await?;
                        }
                    }
                }
                if !saved {
                    self.order(Method::POST, &["apps", id, "subscriptions"], Some(&subscription))
                        .await?;
                }
                return Ok(());
            }
            Some(_) => {
                self.order(Method::DELETE, &["apps", id], None).await?;
            }
            None => {}
        }
        // All ports that the region may ever have, since redirect URIs cannot be changed without losing the grants.
        let mut redirect_uris: Vec<String> = redirect_ports.map(callback).collect();
        if !redirect_uris.contains(&callback(region.public)) {
            redirect_uris.push(callback(region.public));
        }
        let app = json!({
            "client_id": id, "client_secret": region.secrets.zoom_client_secret,
            "name": format!("Minutebook ({})", region.name), "usage": "user_managed",
            "redirect_uris": redirect_uris, "subscriptions": [subscription],
        });
        self.order(Method::POST, &["apps"], Some(&app)).await?;
        Ok(())
    }

    /// Makes the region's bot with its endpoint as it is now, adds it for the account of its people, and puts them into a
    /// channel. The region must be up, since its endpoint is challenged.
    pub(crate) async fn ensure_bot(&self, region: &Region) -> Outcome {
        let client_id = region.secrets.bot_client_id();
        let client_id = client_id.as_str();
        let bot = json!({
            "url": at(region.public, "/zoom/bot").as_str(), "robot_jid": region.robot_jid(),
            "secret_token": region.secrets.bot_webhook_secret(), "slash_command": region.slash_command(),
            "unfurl_domains": ["127.0.0.1"],
        });
        let apps = self.order(Method::GET, &["apps"], None).await?;
        if list(&apps).iter().any(|app| app["client_id"] == client_id) {
            let path = ["apps", client_id, "bot"];
            self.order(Method::POST, &path, Some(&bot)).await?;
        } else {
            let app = json!({
                "client_id": client_id, "client_secret": region.secrets.bot_client_secret(),
                "name": format!("Minutebook bot ({})", region.name), "usage": "admin_managed", "bot": bot,
            });
            self.order(Method::POST, &["apps"], Some(&app)).await?;
        }
        let people: Vec<&str> = PEOPLE
            .iter()
            .filter(|person| person.region == region.id)
            .map(|person| person.id)
            .collect();
        let channel_id = format!("{}portfolioreview", region.id);
        let channels = self.order(Method::GET, &["channels"], None).await?;
        if !list(&channels)
            .iter()
            .any(|channel| channel["id"] == channel_id.as_str())
        {
            let channel = json!({ "id": channel_id, "name": "Portfolio review", "member_ids": people });
            self.order(Method::POST, &["channels"], Some(&channel)).await?;
        }
        let grants = self.order(Method::GET, &["grants"], None).await?;
        let added = list(&grants).iter().any(|grant| grant["client_id"] == client_id);
        if let Some(owner) = people.first().filter(|_| !added) {
            let path = ["apps", client_id, "bot", "install"];
            self.order(Method::POST, &path, Some(&json!({ "user_id": owner })))
                .await?;
        }
        Ok(())
    }

    /// One call of the control API.
    pub(crate) async fn order(&self, method: Method, path: &[&str], body: Option<&Value>) -> Outcome<Value> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Failure("zoomsim's URL has no path".to_owned()))?
            .pop_if_empty()
            .push("control")
            .extend(path);
        self.http.json(method, &url, None, body).await
    }
}

/// The ports from which a region's public listener takes one.
pub(crate) fn redirect_ports(first: u16) -> std::ops::Range<u16> {
    first..first.saturating_add(SPAN)
}

/// The items of a JSON list, none where it is not one.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
