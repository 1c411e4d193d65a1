//! ● The page's files, and the version that stands in their paths.
//!
//! All files have one version, a hash over all of them. It stands in the paths, so a browser may keep them for good,
//! and modules that name each other by relative paths always are of one version.

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _, sync::LazyLock};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "src/dashboard/assets"]
struct Files;

/// A file in the forms in which it is sent.
#[derive(Debug)]
pub struct Asset {
    pub content_type: &'static str,
    pub bytes: Bytes,
    /// The same, compressed; where that makes it smaller.
    pub gzipped: Option<Bytes>,
}

/// Where the page says of which version its files are.
const VERSION: &str = "{{version}}";
/// Where the page names the modules that it begins with: they are fetched at once, and not one after the other as they
/// name each other. Views come when they are wanted.
const MODULES: &str = "{{modules}}";
const PAGE: &str = "index.html";

/// The version of all files, in hexadecimal.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for file in names().iter().filter_map(|name| Files::get(name).map(|file| (name, file))) {
            context.update(file.0.as_bytes());
            context.update(&file.1.metadata.sha256_hash());
        }
        hexadecimal(&context.finish().as_ref()[..8])
    });
    &VERSION
}

/// The page itself.
pub fn page() -> &'static Asset {
    ALL.get(PAGE).expect("invariant: the page is compiled in")
}

/// A file below `assets/`. The page itself has its own address.
pub fn find(path: &str) -> Option<&'static Asset> {
    ALL.get(path).filter(|_| path != PAGE)
}

/// Compressed once, when the first of them is asked for.
static ALL: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    let asset = |name: &String| Some(Asset::new(content_type(name)?, content(name)?));
    names().into_iter().filter_map(|name| asset(&name).map(|asset| (name, asset))).collect()
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
    let bytes = Files::get(name)?.data.into_owned();
    if name != PAGE {
        return Some(bytes.into());
    }
    let page = String::from_utf8_lossy(&bytes).replace(MODULES, &modules()).replace(VERSION, version());
    Some(page.into_bytes().into())
}

fn modules() -> String {
    names().iter().filter(|name| is_first(name)).fold(String::new(), |mut links, name| {
        let _ = write!(links, "\n    <link rel=\"modulepreload\" href=\"assets/{VERSION}/{name}\" />");
        links
    })
}

/// Whether the page begins with this module.
fn is_first(name: &str) -> bool {
    let is_view = name.starts_with("views/") && name != "views/sign_in.js";
    name.ends_with(".js") && !is_view && name != "core/theme.js" // a plain script, before all modules
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

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_page_names_files_that_exist_in_the_version_that_is_served() {
        let page = String::from_utf8(page().bytes.to_vec()).expect("text");
        let prefix = format!("assets/{}/", version());
        let named: Vec<&str> = page.split(&prefix).skip(1).filter_map(|rest| rest.split('"').next()).collect();
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
        let mut first = vec!["app.js".to_owned()];
        let mut next = 0;
        while next < first.len() {
            let more = imports(&first[next], &["from \""]).into_iter().filter(|(_, path)| !first.contains(path));
            let more: Vec<String> = more.map(|(_, path)| path).collect();
            first.extend(more);
            next += 1;
        }
        let missing: Vec<&String> = first.iter().filter(|name| !is_named(name)).collect();
        assert!(first.len() > 15 && missing.is_empty(), "the page does not name {missing:?}");
        let views = names().into_iter().filter(|name| name.starts_with("views/") && is_named(name));
        assert_eq!(views.collect::<Vec<_>>(), ["views/sign_in.js"]);
    }

    /// What a module imports by one of these words, as it says and as it is found.
    fn imports(name: &str, words: &[&str]) -> Vec<(String, String)> {
        let file = Files::get(name).expect("a module");
        let text = String::from_utf8_lossy(&file.data);
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = |import: &str| {
            let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
            for part in import.split('/') {
                match part {
                    "." => {}
                    ".." => drop(parts.pop()),
                    part => parts.push(part),
                }
            }
            parts.join("/")
        };
        let said = words.iter().flat_map(|word| text.split(word).skip(1)).filter_map(|rest| rest.split('"').next());
        said.map(|import| (import.to_owned(), path(import))).collect()
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
            for (said, path) in imports(name, &["from \"", "import(\""]) {
                assert!(said.starts_with('.') && Files::get(&path).is_some(), "{name} imports {said}");
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
