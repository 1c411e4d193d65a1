//! ● The page's files, and the version that stands in their paths.
//!
//! All files have one version, a hash over all of them. It stands in the paths, so a browser may keep them for good,
//! and modules that name each other by relative paths always are of one version. They are served as they are, but for the
//! style sheets: those are one.

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _, sync::LazyLock};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;

use super::modules::{DYNAMIC, imports, with_imports};
use crate::{api, model::hex};

#[derive(RustEmbed)]
#[folder = "src/dashboard/assets"]
struct Files;

/// A file in the forms in which it is sent.
#[derive(Debug)]
pub(super) struct Asset {
    pub content_type: &'static str,
    pub bytes: Bytes,
    /// The same, compressed; where that makes it smaller.
    pub gzipped: Option<Bytes>,
}

/// The mark in the page for the version of its files.
const VERSION: &str = "{{version}}";
/// The mark in the page for the modules that it begins with: they are fetched at once. Views come when they are wanted.
const MODULES: &str = "{{modules}}";
/// The mark in the page for its first scripts: they run at once, without a request of their own.
const EARLY: &str = "{{early}}";
const EARLY_SCRIPTS: [&str; 2] = ["core/theme.js", "core/early.js"];
/// The mark in the page for the further files of each view (JSON), so that the first one comes with all of that beside
/// it.
const VIEWS: &str = "{{views}}";
const PAGE: &str = "index.html";
/// The module that fetches views.
const FETCHER: &str = "core/views.js";
/// All style sheets as one, for one request; what comes later has the last word.
const STYLE: &str = "style.css";
const STYLES: [&str; 6] =
    ["style/base.css", "style/frame.css", "style/parts.css", "style/forms.css", "style/views.css", "vendor/uplot.css"];

/// The fields of the API's resources, for forms: a module that is made from their types.
const FIELDS: &str = "core/fields.js";

/// The version of all files, in hexadecimal.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for file in names().iter().filter_map(|name| Files::get(name).map(|file| (name, file))) {
            context.update(file.0.as_bytes());
            context.update(&file.1.metadata.sha256_hash());
        }
        context.update(fields().as_bytes());
        hex::encode(&context.finish().as_ref()[..8])
    });
    &VERSION
}

/// The page itself.
pub(super) fn page() -> &'static Asset {
    ALL.get(PAGE).expect("invariant: the page is compiled in")
}

/// The hash of the one script that stands within the page, by which the browser knows that it may run (base64).
pub(super) fn script_sha256() -> String {
    let page = String::from_utf8_lossy(&page().bytes);
    let script =
        page.split_once("<script>").and_then(|(_, rest)| rest.split_once("</script>")).map(|(script, _)| script);
    BASE64_STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, script.unwrap_or_default().as_bytes()))
}

/// A file below `assets/`. The page itself has its own address.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ALL.get(path).filter(|_| path != PAGE)
}

/// Compressed once, when the first of them is asked for.
static ALL: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    let asset = |name: &String| Some(Asset::new(content_type(name)?, content(name)?));
    let within = |name: &String| STYLES.contains(&name.as_str()) || EARLY_SCRIPTS.contains(&name.as_str());
    let names = names().into_iter().filter(|name| !within(name)).chain([STYLE, FIELDS].map(ToOwned::to_owned));
    names.filter_map(|name| asset(&name).map(|asset| (name, asset))).collect()
});

impl Asset {
    fn new(content_type: &'static str, bytes: Bytes) -> Self {
        let gzipped = gzip(&bytes).filter(|gzipped| gzipped.len() < bytes.len());
        Asset { content_type, bytes, gzipped }
    }
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = Files::iter().map(Into::into).collect();
    names.sort_unstable();
    names
}

fn content(name: &str) -> Option<Bytes> {
    match name {
        STYLE => Some(joined(&STYLES).into()),
        FIELDS => Some(fields().into()),
        PAGE => {
            let page = text(PAGE)?.replace(EARLY, &joined(&EARLY_SCRIPTS));
            let page = page.replace(MODULES, &modules()).replace(VIEWS, &views());
            Some(page.replace(VERSION, version()).into())
        }
        name => Some(Files::get(name)?.data.into_owned().into()),
    }
}

fn joined(names: &[&str]) -> String {
    names.iter().filter_map(|name| text(name)).collect::<Vec<_>>().join("\n")
}

fn text(name: &str) -> Option<String> {
    if name == FIELDS {
        return Some(fields());
    }
    Files::get(name).map(|file| String::from_utf8_lossy(&file.data).into_owned())
}

fn fields() -> String {
    format!(
        "// Names, defaults, limits and words of fields, as the API has them.\nexport default {};\n",
        api::fields::for_forms()
    )
}

/// The page's own module, and what that needs.
fn first() -> Vec<String> {
    with_imports("app.js", text)
}

fn modules() -> String {
    first().iter().fold(String::new(), |mut links, name| {
        let _ = write!(links, "\n    <link rel=\"modulepreload\" href=\"assets/{VERSION}/{name}\" />");
        links
    })
}

/// By the name of each view, the modules that are fetched for it in addition to those that the page begins with.
fn views() -> String {
    let first = first();
    let wanted = imports(FETCHER, &text(FETCHER).unwrap_or_default(), &[DYNAMIC]);
    let view = |path: &str| Some(path.strip_prefix("views/")?.strip_suffix(".js")?.to_owned());
    let needed = |path: &str| -> Vec<String> {
        with_imports(path, text).into_iter().filter(|name| !first.contains(name)).collect()
    };
    let views: BTreeMap<String, Vec<String>> =
        wanted.iter().filter_map(|(_, path)| Some((view(path)?, needed(path)))).collect();
    serde_json::to_string(&views).expect("invariant: names are text")
}

/// Every browser takes gzip, also where there is no TLS; what is kept for good need not be smaller than that.
fn gzip(bytes: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

fn content_type(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "txt" => Some("text/plain; charset=utf-8"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::{super::modules::STATIC, *};

    #[test]
    fn the_page_names_files_that_exist_in_the_version_that_is_served() {
        let page = String::from_utf8(page().bytes.to_vec()).expect("text");
        let prefix = format!("assets/{}/", version());
        let named: Vec<&str> = page.split(&prefix).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let named: Vec<&str> = named.into_iter().filter(|name| !name.is_empty()).collect();
        assert!(named.len() > 3, "{page}");
        for name in named {
            assert!(find(name).is_some(), "{name}");
        }
        assert!(!page.contains("{{"), "{page}");
    }

    #[test]
    fn what_the_page_begins_with_is_fetched_at_once_and_views_are_not() {
        let page = String::from_utf8(page().bytes.to_vec()).expect("text");
        let is_named = |name: &str| page.contains(&format!("{}/{name}\"", version()));
        let first = first();
        let missing: Vec<&String> = first.iter().filter(|name| !is_named(name)).collect();
        assert!(first.len() > 15 && missing.is_empty(), "the page does not name {missing:?}");
        let views = names().into_iter().filter(|name| name.starts_with("views/") && is_named(name));
        assert_eq!(views.collect::<Vec<_>>(), ["views/sign_in.js"]);
    }

    #[test]
    fn the_page_says_what_each_view_needs_beside_what_it_begins_with() {
        let views: BTreeMap<String, Vec<String>> = serde_json::from_str(&views()).expect("JSON");
        let overview = &views["overview"];
        for needed in ["views/overview.js", "parts/plot.js", "vendor/uplot.js"] {
            assert!(overview.iter().any(|name| name == needed), "{needed} is not among {overview:?}");
        }
        assert!(!overview.iter().any(|name| name == "core/api.js"), "{overview:?}");
        assert!(views.values().flatten().all(|name| find(name).is_some()), "{views:?}");
    }

    #[test]
    fn the_style_sheets_are_one_and_each_is_in_it() {
        let all = String::from_utf8(find(STYLE).expect("a style sheet").bytes.to_vec()).expect("text");
        let sheets = names().into_iter().filter(|name| name.ends_with(".css"));
        for sheet in sheets {
            assert!(all.contains(text(&sheet).expect("a sheet").trim()), "{sheet} is not in it");
        }
    }

    #[test]
    fn what_is_sent_compressed_is_the_file_and_much_smaller() {
        let (mut plain, mut compressed) = (0, 0);
        for (name, asset) in ALL.iter() {
            let gzipped = asset.gzipped.as_ref().unwrap_or(&asset.bytes);
            plain += asset.bytes.len();
            compressed += gzipped.len();
            if asset.gzipped.is_some() {
                let mut text = Vec::new();
                flate2::read::GzDecoder::new(&gzipped[..]).read_to_end(&mut text).expect("gzip");
                assert!(text == asset.bytes, "{name}");
            }
        }
        assert!(compressed * 2 < plain, "{compressed} of {plain} bytes");
    }

    #[test]
    fn modules_import_by_relative_paths_what_exists() {
        for name in names().iter().filter(|name| name.ends_with(".js") && !name.starts_with("vendor/")) {
            for (said, path) in imports(name, &text(name).expect("a module"), &[STATIC, DYNAMIC]) {
                assert!(said.starts_with('.') && super::text(&path).is_some(), "{name} imports {said}");
            }
        }
    }

    #[test]
    fn nothing_but_a_file_of_the_page_is_found() {
        for path in ["", "index.html", "../mod.rs", "core/../../mod.rs", "nothing.js", "core"] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}
