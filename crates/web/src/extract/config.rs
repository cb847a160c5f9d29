use actix_web::web::{self, ServiceConfig};

use super::json;
use crate::problem::{Problem, ProblemError};

/// Makes the errors of actix's own extractors problems too: queries and forms name the parameter, and a path whose id
/// cannot exist is not found. Use it in every `App`.
pub fn configure(config: &mut ServiceConfig) {
    config
        .app_data(web::QueryConfig::default().error_handler(|error, _| match error {
            actix_web::error::QueryPayloadError::Deserialize(error) => {
                json::describe("", &error.to_string()).into()
            }
            _ => ProblemError::new(Problem::MalformedRequest).into(),
        }))
        .app_data(
            web::PathConfig::default().error_handler(|_, _| ProblemError::new(Problem::NotFound).into()),
        )
        .app_data(
            web::FormConfig::default()
                .limit(64 * 1024)
                .error_handler(|error, _| {
                    use actix_web::error::UrlencodedError;
                    match error {
                        UrlencodedError::Overflow { .. } | UrlencodedError::UnknownLength => {
                            ProblemError::new(Problem::PayloadTooLarge)
                        }
                        UrlencodedError::ContentType => ProblemError::new(Problem::UnsupportedMediaType),
                        _ => ProblemError::new(Problem::MalformedRequest),
                    }
                    .into()
                }),
        )
        .app_data(web::PayloadConfig::new(64 * 1024));
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::App;
    use actix_web::test::{self, TestRequest};
    use serde::Deserialize;
    use serde_json::Value;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Filter {
        subject: String,
        limit: Option<u32>,
    }

    async fn call(uri: &str) -> (u16, Value) {
        let app = test::init_service(
            App::new()
                .configure(configure)
                .route(
                    "/list",
                    web::get().to(async |filter: web::Query<Filter>| {
                        format!("{} {:?}", filter.subject, filter.limit)
                    }),
                )
                .route(
                    "/things/{id}",
                    web::get().to(async |id: web::Path<uuid::Uuid>| id.to_string()),
                ),
        )
        .await;
        let response = test::call_service(&app, TestRequest::get().uri(uri).to_request()).await;
        let status = response.status().as_u16();
        let body = test::read_body(response).await;
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[actix_web::test]
    async fn a_query_problem_names_the_parameter_and_not_the_value() {
        for (query, field) in [("limit=1", "subject"), ("subject=a&nonsense=PLANTED", "nonsense")] {
            let (status, problem) = call(&format!("/list?{query}")).await;
            assert_eq!(status, 422, "{query}");
            assert_eq!(problem["type"], "urn:domicile:problem:validation_failed");
            assert_eq!(problem["errors"][0]["field"], field, "{problem}");
            assert!(!problem.to_string().contains("PLANTED"));
        }
        let (status, problem) = call("/list?subject=a&limit=PLANTED").await;
        assert_eq!(status, 422);
        assert!(!problem.to_string().contains("PLANTED"), "{problem}");
        assert_eq!(call("/list?subject=a&limit=7").await.0, 200);
    }

    #[actix_web::test]
    async fn an_id_that_cannot_exist_is_not_found() {
        let (status, problem) = call("/things/not-a-uuid").await;
        assert_eq!(status, 404);
        assert_eq!(problem["type"], "urn:domicile:problem:not_found");
    }
}
