//! ● The page and its files, with headers that let it load its own files and talk to this service, and nothing else.

use actix_web::{
    HttpRequest, HttpResponse,
    guard::{Any, Get, Head},
    http::header::{self, EntityTag, Header as _, HeaderName, IfNoneMatch},
    middleware::DefaultHeaders,
    web,
};

use super::assets::{self, Asset};

/// `/` and `/assets/…`.
pub fn routes(config: &mut web::ServiceConfig) {
    let read = || web::route().guard(Any(Get()).or(Head()));
    config
        .service(web::resource("/").wrap(headers()).route(read().to(page)))
        .service(web::resource("/assets/{version}/{path:.*}").wrap(headers()).route(read().to(file)));
}

/// Asked for again at every visit; it is small, and most answers are 304.
async fn page(request: HttpRequest) -> HttpResponse {
    answer(&request, assets::page(), EntityTag::new_strong(assets::version().to_owned()), "no-cache")
}

async fn file(request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let (version, path) = path.into_inner();
    let Some(asset) = assets::find(&path) else {
        return HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body("there is no such file");
    };
    // While instances of two versions run side by side, a page of the one may ask the other for its files: it gets
    // what there is, once.
    let keep = if version == assets::version() { "public, max-age=31536000, immutable" } else { "no-store" };
    answer(&request, asset, EntityTag::new_strong(assets::version().to_owned()), keep)
}

fn answer(request: &HttpRequest, asset: Asset, tag: EntityTag, keep: &'static str) -> HttpResponse {
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::CACHE_CONTROL, keep)).insert_header(header::ETag(tag));
    if known {
        return response.finish();
    }
    response.content_type(asset.content_type).body(asset.bytes.into_owned())
}

fn headers() -> DefaultHeaders {
    HEADERS
        .iter()
        .fold(DefaultHeaders::new(), |headers, (name, value)| headers.add((HeaderName::from_static(name), *value)))
}

const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    // For browsers that do not know `frame-ancestors`.
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

#[cfg(test)]
mod tests {
    use actix_web::{App, body::to_bytes, dev::ServiceResponse, http::StatusCode, test};

    use super::*;

    async fn get(path: &str, tag: Option<&str>) -> ServiceResponse {
        let app = test::init_service(App::new().configure(routes)).await;
        let mut request = test::TestRequest::get().uri(path);
        if let Some(tag) = tag {
            request = request.insert_header((header::IF_NONE_MATCH, tag));
        }
        test::call_service(&app, request.to_request()).await
    }

    fn value(response: &ServiceResponse, name: &str) -> String {
        response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    #[actix_web::test]
    async fn whatever_is_answered_may_load_nothing_from_elsewhere_and_stand_in_no_frame() {
        let script = format!("/assets/{}/app.js", assets::version());
        for path in ["/", script.as_str(), "/assets/1/nothing.js"] {
            let response = get(path, None).await;
            let policy = value(&response, "content-security-policy");
            assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
            assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
            assert_eq!(value(&response, "x-content-type-options"), "nosniff");
        }
    }

    #[actix_web::test]
    async fn a_file_is_kept_for_good_under_its_own_version_only() {
        let own = get(&format!("/assets/{}/app.js", assets::version()), None).await;
        assert_eq!(own.status(), StatusCode::OK);
        assert!(value(&own, "cache-control").contains("immutable"));
        assert_eq!(value(&own, "content-type"), "text/javascript; charset=utf-8");
        let other = get("/assets/0000000000000000/app.js", None).await;
        assert_eq!((other.status(), value(&other, "cache-control").as_str()), (StatusCode::OK, "no-store"));
    }

    #[actix_web::test]
    async fn who_has_the_page_is_told_so_without_a_body() {
        let first = get("/", None).await;
        assert_eq!(value(&first, "cache-control"), "no-cache");
        let again = get("/", Some(&value(&first, "etag"))).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(to_bytes(again.into_body()).await.expect("a body").is_empty());
    }
}
