//! ● Long answers to reads are sent compressed, to whoever takes gzip.
//!
//! What shows a new secret is the answer to a write, and is never compressed: beside text that somebody else chose, the
//! length of a compressed answer says something of the rest of it. What has an entity tag stays as it is as well: a strong
//! tag is one form's alone, and comes back in `If-Match`.

use std::io::Write as _;

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderValue},
    },
    middleware::Next,
    web::{self, Bytes},
};
use flate2::{Compression, write::GzEncoder};

use super::work::Work;
use crate::dashboard::takes_gzip;

/// Around every operation: lists, mostly.
///
/// # Errors
/// What the operation came to.
pub(super) async fn compress(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let reads = request.method() == Method::GET;
    let taken = reads && takes_gzip(request.request());
    let work = request.app_data::<web::Data<Work>>().cloned();
    let mut response = next.call(request).await?.map_into_boxed_body();
    if !reads || response.status() != StatusCode::OK || response.headers().contains_key(header::ETAG) {
        return Ok(response);
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !taken || response.headers().contains_key(header::CONTENT_ENCODING) {
        return Ok(response);
    }
    let (request, response) = response.into_parts();
    let (mut response, body) = response.into_parts();
    let (body, is_gzip) = match body.try_into_bytes() {
        Ok(plain) if plain.len() >= COMPRESSED_BYTES_MIN => gzip(plain, work).await,
        Ok(plain) => (BoxBody::new(plain), false),
        Err(unknown) => (unknown, false),
    };
    if is_gzip {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(ServiceResponse::new(request, response.set_body(body)))
}

/// The success of the work is kept with it.
async fn gzip(plain: Bytes, work: Option<web::Data<Work>>) -> (BoxBody, bool) {
    // Pages of whole events are megabytes; the threads that answer are not for them.
    let compressed = match work {
        _ if plain.len() < AT_ONCE_BYTES_MAX => compressed(&plain),
        Some(work) => {
            let plain = plain.clone();
            // Sent as it is when this key's turn does not come.
            work.run(move || compressed(&plain)).await.ok().flatten()
        }
        None => None,
    };
    compressed.map_or_else(|| (BoxBody::new(plain), false), |compressed| (BoxBody::new(compressed), true))
}

fn compressed(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// The smallest answer that is compressed: one that fits into a packet arrives no sooner for being smaller.
const COMPRESSED_BYTES_MIN: usize = 1_400;
/// A millisecond of work or less.
const AT_ONCE_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use actix_web::{App, HttpResponse, body::to_bytes, middleware::from_fn, test};

    use super::*;

    const GZIP: Option<&str> = Some("gzip, deflate, br");

    fn long(length: usize) -> String {
        format!("[{}]", vec!["\"hooks.example.com\""; length / 20].join(","))
    }

    async fn answer(method: Method, path: &str, accepted: Option<&str>) -> (ServiceResponse, &'static str) {
        let json = |length| {
            web::to(move || async move { HttpResponse::Ok().content_type("application/json").body(long(length)) })
        };
        let tagged = || async { HttpResponse::Ok().insert_header((header::ETAG, "\"v1\"")).body(long(5_000)) };
        let gone = || async { HttpResponse::NotFound().body(long(5_000)) };
        let app = App::new()
            .app_data(web::Data::new(Work::new(2)))
            .wrap(from_fn(compress))
            .route("/short", json(500))
            .route("/long", json(5_000))
            .route("/huge", json(1_000_000))
            .route("/tagged", web::to(tagged))
            .route("/gone", web::to(gone));
        let request = test::TestRequest::default().method(method).uri(path);
        let request = accepted
            .into_iter()
            .fold(request, |request, accepted| request.insert_header(("accept-encoding", accepted)));
        let response = test::call_service(&test::init_service(app).await, request.to_request()).await;
        let encoding = response.headers().get(header::CONTENT_ENCODING).map_or("plain", |_| "gzip");
        (response, encoding)
    }

    #[actix_web::test]
    async fn a_long_answer_is_sent_compressed_to_whoever_takes_that() {
        for (path, length) in [("/long", 5_000), ("/huge", 1_000_000)] {
            let (response, encoding) = answer(Method::GET, path, GZIP).await;
            assert_eq!(encoding, "gzip", "{path}");
            assert_eq!(response.headers().get(header::VARY), Some(&HeaderValue::from_static("accept-encoding")));
            let body = to_bytes(response.into_body()).await.expect("a body");
            let mut text = String::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).expect("gzip");
            assert!(body.len() * 4 < length && text == long(length), "{path}: {} bytes", body.len());
        }
    }

    #[actix_web::test]
    async fn whoever_does_not_take_it_gets_the_plain_answer() {
        for accepted in [None, Some("br"), Some("gzip;q=0")] {
            let (response, encoding) = answer(Method::GET, "/long", accepted).await;
            assert_eq!(encoding, "plain", "{accepted:?}");
            assert!(
                response.headers().contains_key(header::VARY),
                "what is in between must know that there is another form"
            );
            assert!(to_bytes(response.into_body()).await.expect("a body") == long(5_000));
        }
    }

    #[actix_web::test]
    async fn writes_entities_with_a_tag_problems_and_what_is_short_stay_as_they_are() {
        let cases =
            [(Method::POST, "/long"), (Method::GET, "/tagged"), (Method::GET, "/gone"), (Method::GET, "/short")];
        for (method, path) in cases {
            let (_, encoding) = answer(method.clone(), path, GZIP).await;
            assert_eq!(encoding, "plain", "{method} {path}");
        }
    }
}
