//! The files of the tree, and what the rules ask of them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders of the program: the shells, and the crates below them.
pub(super) const PROGRAM: [&str; 2] = ["src", "crates"];
pub(super) const EVERYTHING: [&str; 4] = ["src", "crates", "tests", "benches"];

/// A file of the tree, its path from the root with forward slashes.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

/// Reports every broken rule at once, with its reason.
#[track_caller]
pub(super) fn check(files: Vec<Source>, reason: &str, rule: impl Fn(&Source) -> Option<String>) {
    assert!(!files.is_empty(), "the rule looks at something");
    let broken: Vec<String> =
        files.iter().filter_map(|file| rule(file).map(|problem| format!("{} {problem}", file.path))).collect();
    assert!(broken.is_empty(), "\n{}\nwhy: {reason}\n", broken.join("\n"));
}

pub(super) fn list(problems: impl Iterator<Item = String>) -> Option<String> {
    Some(problems.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
}

/// The part of a file that runs in production: nothing of a file that serves tests, else what stands before its tests.
pub(super) fn program(file: &Source) -> &str {
    if is_test(file) {
        return "";
    }
    let mut marks = file.text.match_indices("#[cfg(test)]");
    let tests = marks.find(|(start, mark)| {
        let below = file.text[start + mark.len()..].trim_start().lines().next().unwrap_or_default();
        below.contains("mod ") && below.ends_with('{')
    });
    tests.map_or(&file.text, |(start, _)| &file.text[..start])
}

/// Modules below one of these are no part of the program.
pub(super) const FOR_TESTS: [&str; 2] = ["#[cfg(test)]", "#[cfg(any(test, feature = \"testing\"))]"];

/// The root, and each folder of sources: those of the shells and of the crates.
pub(super) fn source_folders() -> Vec<PathBuf> {
    let crates = fs::read_dir(root().join("crates")).into_iter().flatten().flatten();
    let crates = crates.map(|entry| entry.path().join("src"));
    [root(), root().join("src")].into_iter().chain(crates).collect()
}

/// The path of a file below the sources that it belongs to, with their name: `core` for `crates/core/src`, none for `src`.
pub(super) fn within_sources(path: &str) -> Option<(&str, &str)> {
    let of_crate = || path.strip_prefix("crates/").and_then(|path| path.split_once("/src/"));
    path.strip_prefix("src/").map(|path| ("", path)).or_else(of_crate)
}

/// Whether the module that declares a file has it for tests only; whatever is not among the sources serves tests.
pub(super) fn is_test(file: &Source) -> bool {
    let path = Path::new(&file.path);
    let (Some(folder), Some(name)) = (path.parent(), path.file_stem().and_then(|name| name.to_str())) else {
        return false;
    };
    let above = [folder.with_extension("rs"), folder.join("mod.rs"), folder.join("lib.rs")];
    let declared = |text: String| {
        let mut lines = text.lines();
        while lines.by_ref().any(|line| FOR_TESTS.contains(&line.trim())) {
            let module = lines.next().unwrap_or_default().split("//").next().unwrap_or_default();
            if module.trim().ends_with(&format!("mod {name};")) {
                return true;
            }
        }
        false
    };
    let parent = folder.with_extension("rs");
    let within_tests = !folder.ends_with("src")
        && root().join(&parent).exists()
        && is_test(&Source { path: parent.to_string_lossy().into_owned(), text: String::new() });
    within_sources(&file.path).is_none()
        || within_tests
        || above.iter().filter_map(|path| fs::read_to_string(root().join(path)).ok()).any(declared)
}

/// Whether a line of code has the words; comments may speak of anything.
pub(super) fn mentions(text: &str, words: &str) -> bool {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).any(|code| code.contains(words))
}

/// Names and lengths of functions, by the indentation that rustfmt gives them.
pub(super) fn functions(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (first, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(at) = code.find("fn ").filter(|at| *at == 0 || code[..*at].ends_with(' ')) else { continue };
        if code.starts_with("//") || line.ends_with(';') || line.ends_with('}') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        if let Some(length) = lines[first..].iter().position(|line| *line == end) {
            let name = code[at + 3..].split(['(', '<']).next().unwrap_or_default();
            found.push((name.to_owned(), length + 1));
        }
    }
    found
}

pub(super) fn rust(folders: &[&str]) -> Vec<Source> {
    folders.iter().flat_map(|folder| files(folder, &["rs"])).collect()
}

/// All text files below a folder, with these extensions (none: any).
pub(super) fn files(folder: &str, extensions: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("the folder can be read").path();
            let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if extensions.is_empty() || extensions.contains(&extension) {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
                found.extend(fs::read_to_string(&path).ok().map(|text| Source { path: name, text }));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

pub(super) fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
