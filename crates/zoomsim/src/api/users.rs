//! `GET /users/{id}` (platform: users/me).

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::api::call::{Category, Endpoint};
use crate::model::fault::Target;
use crate::model::user::{Role, User, UserStatus};
use crate::sim::Sim;
use crate::webhook::recording_payload::zoom_time;

/// Fields that Zoom always sends, and that are empty for most users.
const EMPTY_TEXTS: [&str; 13] = [
    "vanity_url",
    "location",
    "dept",
    "company",
    "job_title",
    "cost_center",
    "manager",
    "cms_user_id",
    "employee_unique_id",
    "phone_country",
    "phone_number",
    "pic_url",
    "pronouns",
];
const EMPTY_LISTS: [&str; 5] = [
    "group_ids",
    "division_ids",
    "im_group_ids",
    "custom_attributes",
    "license_info_list",
];

/// `GET /users/me` and `GET /users/{id}`.
pub(crate) async fn user(sim: web::Data<Sim>, request: HttpRequest) -> HttpResponse {
    let endpoint = Endpoint {
        target: Target::Users,
        category: Category::Light,
        scopes: &["user:read:user", "user:read"],
    };
    sim.call(&request, endpoint, None, async |caller| {
        let user = sim.user_in_path(caller, request.match_info().query("user"))?;
        Ok(HttpResponse::Ok().json(body(&sim, &user)))
    })
    .await
}

fn body(sim: &Sim, user: &User) -> serde_json::Value {
    let (role_id, role_name) = match user.role {
        Role::Owner => ("0", "Owner"),
        Role::Admin => ("1", "Admin"),
        Role::Member => ("2", "Member"),
    };
    let number = user.id.bytes().fold(7u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let pmi = 1_000_000_000 + number % 8_000_000_000;
    let mut body = json!({
        "id": user.id,
        "account_id": user.account_id,
        "account_number": 10_000_000 + number % 80_000_000,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "display_name": user.display_name(),
        "type": 2,
        "status": match user.status {
            UserStatus::Active => "active",
            UserStatus::Inactive | UserStatus::Deleted => "inactive",
        },
        "role_id": role_id,
        "role_name": role_name,
        "pmi": pmi,
        "use_pmi": false,
        "personal_meeting_url": format!("{}/j/{pmi}", sim.0.urls.base_text()),
        "timezone": user.timezone,
        "language": "en-US",
        "created_at": zoom_time(user.created_at),
        "user_created_at": zoom_time(user.created_at),
        "last_login_time": zoom_time(user.created_at),
        "last_client_version": "6.6.0.1000(mac)",
        "verified": 1,
        "login_types": [100],
        "jid": format!("{}@xmpp.zoom.us", user.id.to_lowercase()),
        "plan_united_type": "1",
        "pronouns_option": 1,
        "cluster": user.cluster,
        "zoom_one_type": 16,
    });
    for name in EMPTY_TEXTS {
        body[name] = json!("");
    }
    for name in EMPTY_LISTS {
        body[name] = json!([]);
    }
    body
}
