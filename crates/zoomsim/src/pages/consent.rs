//! Zoom's consent page, with a choice of users instead of a sign-in; and the Marketplace's "Add" button.

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use maud::html;
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use crate::control::{ControlError, Decision};
use crate::oauth::authorize::{AuthorizeQuery, AuthorizeRefusal, AuthorizeRequest};
use crate::pages::frame;
use crate::sim::Sim;

/// `GET /oauth/authorize`.
pub(crate) async fn show(sim: web::Data<Sim>, query: web::Query<AuthorizeQuery>) -> HttpResponse {
    match sim.check_authorize(&query) {
        Ok(request) => ask(&sim, &request, &query),
        Err(refusal) => refused(&refusal),
    }
}

/// The form: the query as it came, and the choice.
#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(flatten)]
    query: AuthorizeQuery,
    user_id: Option<String>,
    decision: Decision,
}

/// The name of the boxes that are ticked; it stands once for each.
const OPTIONAL_SCOPE: &str = "optional_scope";

/// `POST /oauth/authorize`.
pub(crate) async fn decide(sim: web::Data<Sim>, body: String) -> HttpResponse {
    let Ok(choice) = web::Query::<Choice>::from_query(&body) else {
        return HttpResponse::BadRequest().body("That is not the form of this page.");
    };
    let request = match sim.check_authorize(&choice.query) {
        Ok(request) => request,
        Err(refusal) => return refused(&refusal),
    };
    let user_id = choice.user_id.as_deref().unwrap_or_default();
    let declined: Vec<String> = request
        .app
        .optional_scopes
        .iter()
        .filter(|scope| {
            form_urlencoded::parse(body.as_bytes())
                .all(|(name, value)| name != OPTIONAL_SCOPE || value != scope.as_str())
        })
        .cloned()
        .collect();
    match sim.decide(&request, user_id, choice.decision, &declined) {
        Ok(to) => HttpResponse::Found()
            .insert_header((LOCATION, to.as_str()))
            .finish(),
        Err(_) => ask(&sim, &request, &choice.query),
    }
}

/// `GET /marketplace/{client_id}/add`: Zoom builds the authorize URL itself, without state or PKCE.
pub(crate) async fn marketplace_add(
    sim: web::Data<Sim>,
    client_id: web::Path<String>,
) -> Result<HttpResponse, ControlError> {
    let app = sim.app(&client_id)?;
    let none = || ControlError::Invalid("the app has no redirect URI".to_owned());
    let redirect_uri = app.redirect_uris.first().ok_or_else(none)?;
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &app.client_id)
        .append_pair("redirect_uri", redirect_uri)
        .finish();
    Ok(HttpResponse::Found()
        .insert_header((LOCATION, format!("/oauth/authorize?{query}")))
        .finish())
}

/// Zoom answers JSON in place of a page or a redirect (platform: authorize page errors).
fn refused(refusal: &AuthorizeRefusal) -> HttpResponse {
    HttpResponse::build(StatusCode::BAD_REQUEST).json(json!({
        "status": false, "errorCode": refusal.code, "errorMessage": refusal.message, "result": null,
    }))
}

fn ask(sim: &Sim, request: &AuthorizeRequest, query: &AuthorizeQuery) -> HttpResponse {
    let users = sim.may_consent(&request.app);
    let hidden = [
        ("response_type", &query.response_type),
        ("client_id", &query.client_id),
        ("redirect_uri", &query.redirect_uri),
        ("state", &query.state),
        ("code_challenge", &query.code_challenge),
        ("code_challenge_method", &query.code_challenge_method),
    ];
    let content = html! {
        main.consent {
            section {
                h1 { "Allow " (request.app.name) " to use your Zoom account?" }
                p.faint { "This is zoomsim: nobody signs in, you choose who you are." }
                form method="post" action="/oauth/authorize" {
                    @for (name, value) in hidden {
                        @if let Some(value) = value { input type="hidden" name=(name) value=(value); }
                    }
                    @for (index, user) in users.iter().enumerate() {
                        label.choice {
                            input type="radio" name="user_id" value=(user.id) checked[index == 0] required;
                            span { (user.display_name()) small { (user.email) " · account " (user.account_id) } }
                        }
                    }
                    @if users.is_empty() {
                        p.notice { "No user may authorise this app yet. " a href="/" { "Make one on the desk" } ", then reload." }
                    }
                    @for scope in &request.app.optional_scopes {
                        label.choice {
                            input type="checkbox" name=(OPTIONAL_SCOPE) value=(scope) checked;
                            span { code { (scope) } small { "optional: without the tick it is not granted" } }
                        }
                    }
                    details {
                        summary { "It may" }
                        ul { @for scope in &request.app.scopes { li { code { (scope) } } } }
                    }
                    div.row {
                        button.main name="decision" value="allow" disabled[users.is_empty()] { "Allow" }
                        button name="decision" value="decline" formnovalidate { "Decline" }
                    }
                }
                p.faint { "You will be sent back to " code { (request.redirect_text) } }
            }
        }
    };
    frame::page("Consent", &content)
}
