//! ● The page and its files, with headers that let it load its own files and talk to this service, and nothing else.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    guard::{Any, Get, Head},
    http::header::{self, AcceptEncoding, ContentEncoding, Encoding, EntityTag, Header as _, HeaderName, IfNoneMatch},
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
    answer(&request, assets::page(), "no-cache")
}

async fn file(request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let (version, path) = path.into_inner();
    let Some(asset) = assets::find(&path) else {
        return HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body("there is no such file");
    };
    // While instances of two versions run side by side, a page of the one may ask the other for its files: it gets
    // what there is, once.
    let keep = if version == assets::version() { "public, max-age=31536000, immutable" } else { "no-store" };
    answer(&request, asset, keep)
}

fn answer(request: &HttpRequest, asset: &'static Asset, keep: &'static str) -> HttpResponse {
    let gzipped = asset.gzipped.as_ref().filter(|_| takes_gzip(request));
    // A strong tag is one form's alone.
    let tag = if gzipped.is_some() { format!("{}-gzip", assets::version()) } else { assets::version().to_owned() };
    let tag = EntityTag::new_strong(tag);
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CACHE_CONTROL, keep))
        .insert_header((header::VARY, "accept-encoding"))
        .insert_header(header::ETag(tag));
    if known {
        return response.finish();
    }
    if gzipped.is_some() {
        response.insert_header(ContentEncoding::Gzip);
    }
    response.content_type(asset.content_type).body(gzipped.unwrap_or(&asset.bytes).clone())
}

/// True if it was said that gzip is taken, and not that the plain form is liked better.
pub fn takes_gzip(request: &HttpRequest) -> bool {
    let forms = [Encoding::gzip(), Encoding::identity()];
    AcceptEncoding::parse(request).is_ok_and(|accepted| accepted.negotiate(forms.iter()) == Some(Encoding::gzip()))
}

fn headers() -> DefaultHeaders {
    let all = DefaultHeaders::new().add((header::CONTENT_SECURITY_POLICY, POLICY.as_str()));
    HEADERS.iter().fold(all, |headers, (name, value)| headers.add((HeaderName::from_static(name), *value)))
}

/// Content security policy: of scripts the page's own files may run, and the one that stands within it.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src 'self' 'sha256-{}'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        assets::script_sha256(),
    )
});

const HEADERS: [(&str, &str); 6] = [
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
        get_with(path, &tag.map(|tag| ("if-none-match", tag)).into_iter().collect::<Vec<_>>()).await
    }

    async fn get_with(path: &str, headers: &[(&str, &str)]) -> ServiceResponse {
        let app = test::init_service(App::new().configure(routes)).await;
        let request = test::TestRequest::get().uri(path);
        let request = headers.iter().fold(request, |request, header| request.insert_header(*header));
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
    async fn the_script_within_the_page_may_run_and_no_other() {
        let response = get("/", None).await;
        let policy = value(&response, "content-security-policy");
        let page = to_bytes(response.into_body()).await.expect("a body");
        let page = std::str::from_utf8(&page).expect("text");
        assert_eq!(page.matches("<script>").count(), 1);
        let script = page.split("<script>").nth(1).and_then(|rest| rest.split("</script>").next()).expect("a script");
        assert!(script.contains("postriderEarly") && script.contains("postriderTheme"), "{script}");
        let hash = ring::digest::digest(&ring::digest::SHA256, script.as_bytes());
        let hash = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, hash);
        assert_eq!(policy.matches("sha256-").count(), 1, "{policy}");
        assert!(policy.contains(&format!("script-src 'self' 'sha256-{hash}';")), "{policy}");
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

    #[actix_web::test]
    async fn who_takes_gzip_gets_it_and_who_does_not_gets_the_same_in_plain() {
        let path = format!("/assets/{}/vendor/preact.js", assets::version());
        let plain = get(&path, None).await;
        assert_eq!(
            (value(&plain, "content-encoding"), value(&plain, "vary")),
            (String::new(), "accept-encoding".into())
        );
        let plain_tag = value(&plain, "etag");
        let plain = to_bytes(plain.into_body()).await.expect("a body");
        for accepted in ["gzip", "gzip, deflate, br", "br;q=1, GZIP;q=0.5"] {
            let response = get_with(&path, &[("accept-encoding", accepted)]).await;
            assert_eq!(value(&response, "content-encoding"), "gzip", "{accepted}");
            assert_eq!(value(&response, "vary"), "accept-encoding");
            assert_ne!(value(&response, "etag"), plain_tag, "two forms are two entities");
            let body = to_bytes(response.into_body()).await.expect("a body");
            assert!(body.len() * 2 < plain.len() && body.starts_with(&[0x1f, 0x8b]), "{accepted}");
        }
        for accepted in ["", "*", "identity", "br", "gzip;q=0", "*;q=0", "gzip;q=0.1, identity;q=0.9", "gzip;;", ",;="]
        {
            let response = get_with(&path, &[("accept-encoding", accepted)]).await;
            assert_eq!(value(&response, "content-encoding"), "", "{accepted}");
            assert!(to_bytes(response.into_body()).await.expect("a body") == plain, "{accepted}");
        }
    }

    #[actix_web::test]
    async fn a_compressed_form_that_is_known_is_not_sent_again() {
        let first = get_with("/", &[("accept-encoding", "gzip")]).await;
        let again = get_with("/", &[("accept-encoding", "gzip"), ("if-none-match", &value(&first, "etag"))]).await;
        assert_eq!((again.status(), value(&again, "vary").as_str()), (StatusCode::NOT_MODIFIED, "accept-encoding"));
        assert_eq!(value(&again, "content-encoding"), "");
        let plain = get("/", Some(&value(&first, "etag"))).await;
        assert_eq!(plain.status(), StatusCode::OK, "whoever has the one form does not have the other");
    }
}
