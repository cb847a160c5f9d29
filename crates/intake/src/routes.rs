//! What Zoom calls.

use actix_web::{HttpResponse, Resource, web};
use domicile_web::extract::{ZoomEndpointVerifier, ZoomRequest};
use domicile_web::problem::{Problem, ProblemError};
use domicile_zoom::challenge::OWN_TOKEN_PREFIX;

use crate::endpoint::Endpoint;
use crate::error::IntakeError;
use crate::intake::Intake;

/// One of Zoom's endpoints, for the public listener. The verifier has that endpoint's secrets.
pub fn endpoint(
    endpoint: Endpoint,
    verifier: web::Data<ZoomEndpointVerifier>,
    intake: web::Data<Intake>,
) -> Resource {
    web::resource(endpoint.path())
        .app_data(verifier)
        .app_data(intake)
        // Every method: the extractor refuses the others with 405 and says which one it takes.
        .route(
            web::route().to(move |request: ZoomRequest, intake: web::Data<Intake>| {
                take_in(endpoint, request, intake)
            }),
        )
}

async fn take_in(
    endpoint: Endpoint,
    request: ZoomRequest,
    intake: web::Data<Intake>,
) -> Result<HttpResponse, ProblemError> {
    let request = match request {
        ZoomRequest::Challenge(answer) => {
            // Our own question must not hide that Zoom has fallen silent.
            if !answer.plain_token.starts_with(OWN_TOKEN_PREFIX) {
                intake.challenged(endpoint);
            }
            return Ok(HttpResponse::Ok().json(answer));
        }
        ZoomRequest::Event(request) => request,
    };
    match intake.keep(endpoint, &request).await {
        Ok(_) => Ok(HttpResponse::Ok().finish()),
        // Whatever the cause: only a 5xx makes Zoom send it again.
        Err(error) => {
            let problem = ProblemError::new(Problem::Unavailable).retry_after(intake.settings().retry_after);
            // The writer says once that the database is away, and both are counted; a line each would add to the load.
            Err(match error {
                IntakeError::Away | IntakeError::Full => problem,
                error => problem.cause(error),
            })
        }
    }
}
