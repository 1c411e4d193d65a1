//! ● The page's files, and the version that stands in their paths.
//!
//! All files have one version, a hash over all of them. It stands in the paths, so a browser may keep them for good,
//! and modules that name each other by relative paths always are of one version.

use std::{borrow::Cow, fmt::Write as _, sync::LazyLock};

use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "src/dashboard/assets"]
struct Files;

/// A file as it is sent.
pub struct Asset {
    pub content_type: &'static str,
    pub bytes: Cow<'static, [u8]>,
}

/// Where the page says of which version its files are.
const PLACEHOLDER: &str = "{{version}}";

/// The version of all files, in hexadecimal.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut names: Vec<_> = Files::iter().collect();
        names.sort_unstable();
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for file in names.iter().filter_map(|name| Files::get(name).map(|file| (name, file))) {
            context.update(file.0.as_bytes());
            context.update(&file.1.metadata.sha256_hash());
        }
        hexadecimal(&context.finish().as_ref()[..8])
    });
    &VERSION
}

/// The page itself.
pub fn page() -> Asset {
    let file = Files::get("index.html").expect("invariant: the page is compiled in");
    let text = String::from_utf8_lossy(&file.data).replace(PLACEHOLDER, version());
    Asset { content_type: HTML, bytes: Cow::Owned(text.into_bytes()) }
}

/// A file below `assets/`. The page itself has its own address.
pub fn find(path: &str) -> Option<Asset> {
    let content_type = content_type(path)?;
    let EmbeddedFile { data, .. } = Files::get(path)?;
    Some(Asset { content_type, bytes: data })
}

fn content_type(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
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

const HTML: &str = "text/html; charset=utf-8";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_page_names_files_that_exist_in_the_version_that_is_served() {
        let page = String::from_utf8(page().bytes.into_owned()).expect("text");
        let prefix = format!("assets/{}/", version());
        let named: Vec<&str> = page.split(&prefix).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(named.len() > 3, "{page}");
        for name in named {
            assert!(find(name).is_some(), "{name}");
        }
        assert!(!page.contains("{{"), "{page}");
    }

    #[test]
    fn every_script_is_fetched_with_the_page_and_not_one_after_the_other() {
        let page = String::from_utf8(page().bytes.into_owned()).expect("text");
        let scripts: BTreeSet<String> =
            Files::iter().filter(|name| name.ends_with(".js")).map(|name| format!("{}/{name}\"", version())).collect();
        let missing: Vec<&String> = scripts.iter().filter(|name| !page.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "index.html does not name {missing:?}");
    }

    #[test]
    fn modules_import_by_relative_paths_what_exists() {
        for name in Files::iter().filter(|name| name.ends_with(".js") && !name.starts_with("vendor/")) {
            let file = Files::get(&name).expect("it was listed");
            let text = String::from_utf8_lossy(&file.data).into_owned();
            let imports = text.split("from \"").skip(1).filter_map(|rest| rest.split('"').next());
            for import in imports {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
                for part in import.split('/') {
                    match part {
                        "." => {}
                        ".." => drop(parts.pop()),
                        part => parts.push(part),
                    }
                }
                assert!(import.starts_with('.') && Files::get(&parts.join("/")).is_some(), "{name} imports {import}");
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
