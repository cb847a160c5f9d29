//! `/marketplace/apps`: making, reading and changing apps by manifest (marketplace: validate, export, update, create).
//!
//! Quirks included: validate answers 200 whatever it finds, an update replaces everything, a published app has no manifest.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::api::call::{ApiError, Caller, Category, Endpoint};
use crate::api::decoded;
use crate::manifest::{Fault, ManifestRefused, Occasion};
use crate::model::app::{App, NewApp, Usage};
use crate::model::fault::Target;
use crate::sim::Sim;
use crate::webhook::recording_payload::zoom_time;

const READ: &[&str] = &["marketplace:read:app", "marketplace_app:read"];
const WRITE: &[&str] = &["marketplace:write:app", "marketplace_app:write"];
/// What a new app must say of itself, with its greatest length.
const REQUIRED: [(&str, usize); 4] = [
    ("app_name", 50),
    ("contact_name", 150),
    ("contact_email", 150),
    ("company_name", 150),
];

fn endpoint(category: Category, scopes: &'static [&'static str]) -> Endpoint {
    Endpoint {
        target: Target::Marketplace,
        category,
        scopes,
    }
}

/// `POST /marketplace/apps/manifest/validate`
pub(crate) async fn validate(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> HttpResponse {
    sim.call(&request, endpoint(Category::Medium, READ), None, async |_| {
        let (body, manifest) = wrapped(&bytes)?;
        let app_id = body["app_id"].as_str().unwrap_or_default();
        let faults = sim.manifest_faults(&manifest, app_id, Occasion::Create);
        Ok(HttpResponse::Ok().json(if faults.is_empty() {
            json!({ "ok": true, "error": "", "errors": null })
        } else {
            verdict(&faults)
        }))
    })
    .await
}

/// `GET /marketplace/apps/{appId}/manifest`
pub(crate) async fn export(sim: web::Data<Sim>, request: HttpRequest) -> HttpResponse {
    sim.call(&request, endpoint(Category::Medium, READ), None, async |caller| {
        let app = app_of(&sim, caller, &request)?;
        if app.published {
            let text = "You can only export Draft General app's manifest now";
            return Err(ApiError::new(StatusCode::NOT_FOUND, 1500, text));
        }
        Ok(HttpResponse::Ok().json(json!({ "manifest": app.exported_manifest() })))
    })
    .await
}

/// `PUT /marketplace/apps/{appId}/manifest`
pub(crate) async fn update(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> HttpResponse {
    sim.call(&request, endpoint(Category::Heavy, WRITE), None, async |caller| {
        let app = match app_of(&sim, caller, &request) {
            Err(_) if sim.apps().iter().any(|app| app.app_id == app_id(&request)) => {
                let text = "The current user does not have permission to edit this app.";
                return Err(ApiError::new(StatusCode::FORBIDDEN, 1003, text));
            }
            other => other?,
        };
        let (_, manifest) = wrapped(&bytes)?;
        if app.published {
            let text = "You can only update Draft General app now";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, 1500, text));
        }
        Ok(match sim.with_manifest(app, &manifest, Occasion::Put).await {
            Ok(app) => {
                sim.save_app(app);
                HttpResponse::NoContent().finish()
            }
            Err(refused) => invalid(&refused),
        })
    })
    .await
}

/// `POST /marketplace/apps`, for General apps.
pub(crate) async fn create(sim: web::Data<Sim>, request: HttpRequest, bytes: Bytes) -> HttpResponse {
    sim.call(&request, endpoint(Category::Heavy, WRITE), None, async |caller| {
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        for (field, longest) in REQUIRED {
            match body[field].as_str() {
                Some(text) if text.chars().count() <= longest => {}
                Some(_) => return Err(ApiError::invalid_field(field, "It is too long.")),
                None => {
                    let text = "The request body is missing required fields. For more information, see the API documentation.";
                    return Err(ApiError::new(StatusCode::NOT_FOUND, 1500, text));
                }
            }
        }
        if body["app_type"] != "general" {
            return Err(ApiError::invalid_field("app_type", "Only General apps can be made here."));
        }
        let (_, manifest) = wrapped(&bytes)?;
        let new = NewApp {
            account_id: Some(caller.user.account_id.clone()),
            ..NewApp::default()
        };
        let draft = sim
            .draft_app(new)
            .map_err(|_| ApiError::invalid_field("app_name", "It could not be made."))?;
        let app = match sim.with_manifest(draft, &manifest, Occasion::Create).await {
            Ok(app) => sim.save_app(app),
            Err(refused) => return Ok(invalid(&refused)),
        };
        let credentials = json!({ "client_id": app.client_id, "client_secret": app.client_secret });
        Ok(HttpResponse::Created().json(json!({
            "created_at": zoom_time(sim.now()), "app_id": app.app_id, "app_name": app.name, "app_type": "general",
            "scopes": app.granted(&[]), "development_credentials": credentials, "production_credentials": credentials,
        })))
    })
    .await
}

/// `GET /marketplace/apps/{appId}`
pub(crate) async fn info(sim: web::Data<Sim>, request: HttpRequest) -> HttpResponse {
    sim.call(&request, endpoint(Category::Medium, READ), None, async |caller| {
        let app = app_of(&sim, caller, &request)?;
        let manifest = app.kept_manifest();
        let display = &manifest["display_information"];
        let admin = app.usage == Usage::AdminManaged;
        Ok(HttpResponse::Ok().json(json!({
            "app_id": app.app_id, "app_name": app.name, "app_description": display["description"],
            // Zoom calls General apps so too (marketplace: not to be branched on).
            "app_type": "OAuthApp", "app_usage": if admin { 1 } else { 2 },
            "app_status": if app.published { "PUBLISHED" } else { "UNPUBLISHED" },
            "app_links": {
                "documentation_url": display["doc_url"], "privacy_policy_url": display["privacy_url"],
                "support_url": display["support_url"], "terms_of_use_url": display["terms_url"],
            },
            "app_scopes": app.granted(&[]),
            "app_requirements": { "user_role": if admin { "admin" } else { "user" } },
        })))
    })
    .await
}

/// `DELETE /marketplace/apps/{appId}`
pub(crate) async fn delete(sim: web::Data<Sim>, request: HttpRequest) -> HttpResponse {
    sim.call(&request, endpoint(Category::Heavy, WRITE), None, async |caller| {
        let app = app_of(&sim, caller, &request)?;
        let gone = |_| unknown(&app.app_id);
        sim.delete_app(&app.client_id).map_err(gone)?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

fn app_id(request: &HttpRequest) -> String {
    decoded(request.match_info().query("app")).0
}

/// The app of the path, if it is the caller's account's.
fn app_of(sim: &Sim, caller: &Caller, request: &HttpRequest) -> Result<App, ApiError> {
    let id = app_id(request);
    let found = sim.apps().into_iter().find(|app| {
        app.app_id == id
            && app
                .account_id
                .as_ref()
                .is_none_or(|account| *account == caller.user.account_id)
    });
    found.ok_or_else(|| unknown(&id))
}

fn unknown(id: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        1401,
        format!("APP ID does not exist: {id}"),
    )
}

/// The body and the manifest in it.
fn wrapped(bytes: &Bytes) -> Result<(Value, Value), ApiError> {
    let body: Value =
        serde_json::from_slice(bytes).map_err(|_| ApiError::invalid_field("body", "It is not JSON."))?;
    let manifest = body
        .get("manifest")
        .filter(|manifest| manifest.is_object())
        .cloned()
        .ok_or_else(|| ApiError::invalid_field("manifest", "It is required."))?;
    Ok((body, manifest))
}

fn verdict(faults: &[Fault]) -> Value {
    json!({ "ok": false, "error": "invalid_manifest", "errors": faults })
}

fn invalid(ManifestRefused(faults): &ManifestRefused) -> HttpResponse {
    HttpResponse::BadRequest().json(json!({ "error": "invalid_manifest", "errors": faults }))
}
