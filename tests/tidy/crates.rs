//! Walls between the crates: what each may depend on, and that every dependency is used.

use std::{collections::BTreeSet, process::Command};

use super::{check, files, list, mentions, program, read, root, rust};

/// Crates that touch nothing, and the order in which they stand on each other.
const PURE: [&str; 2] = ["core", "api"];

#[test]
fn every_crate_is_behind_its_wall() {
    let folders: BTreeSet<String> =
        files("crates", &["toml"]).iter().filter_map(|file| file.path.split('/').nth(1).map(str::to_owned)).collect();
    assert_eq!(folders, PURE.map(str::to_owned).into(), "a crate that is not among these has no wall");
}

#[test]
fn pure_crates_depend_on_nothing_that_touches_the_world() {
    let reason = "what decides is told the time and the dice; a crate that is not there cannot be called";
    let worldly = ["actix", "rdkafka", "tokio", "tracing", "metrics", "parking_lot", "arc-swap", "hyper", "log", "mio"];
    for (height, name) in PURE.iter().enumerate() {
        let package = format!("postrider-{name}");
        let names = tree_of(&package);
        assert!(names.contains("serde"), "cargo listed {names:?}");
        let found: Vec<_> = names.iter().filter(|name| worldly.iter().any(|word| is_of(name, word))).collect();
        assert!(found.is_empty(), "{package} depends on {found:?}: {reason}");
        let above = PURE[height + 1..].iter().find(|name| names.contains(&format!("postrider-{name}")));
        assert!(above.is_none(), "{package} stands below {above:?}");
    }
}

/// Names of all that a package depends on.
fn tree_of(package: &str) -> BTreeSet<String> {
    let arguments = ["tree", "--locked", "--offline", "--package", package, "--edges", "normal", "--prefix", "none"];
    let tree = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    tree.lines().filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

/// Whether a crate is that one, or a part of it by its name.
fn is_of(name: &str, word: &str) -> bool {
    name == word || name.strip_prefix(word).is_some_and(|rest| rest.starts_with(['-', '_']))
}

#[test]
fn pure_crates_have_neither_locks_nor_channels() {
    let reason = "what threads share is the shells'; they call these crates with the lock held";
    let shared = ["Mutex", "RwLock", "Condvar", "mpsc", "OnceLock"];
    check(rust(&["crates"]), reason, |file| {
        list(shared.iter().filter(|word| mentions(program(file), word)).map(|word| format!("has `{word}`")))
    });
}

#[test]
fn every_dependency_is_used() {
    let reason = "each costs time to build and has to be kept current";
    let mut packages = vec![(String::from("Cargo.toml"), vec!["src".to_owned()])];
    for manifest in files("crates", &["toml"]) {
        let folder = manifest.path.trim_end_matches("Cargo.toml").to_owned();
        packages.push((manifest.path, vec![folder]));
    }
    assert!(packages.len() > 1, "there are crates");
    let mut unused = Vec::new();
    for (manifest, mut folders) in packages {
        let text = read(&manifest);
        for (section, also) in [("[dependencies]", None), ("[dev-dependencies]", Some(["tests", "benches"]))] {
            folders.extend(also.into_iter().flatten().map(str::to_owned));
            let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
            let sources = rust(&folders);
            for name in dependencies(&text, section) {
                let word = name.replace('-', "_");
                if !sources.iter().any(|file| names(&file.text, &word)) {
                    unused.push(format!("{manifest} names `{name}` in {section}"));
                }
            }
        }
    }
    assert!(unused.is_empty(), "\n{}\nwhy: {reason}\n", unused.join("\n"));
}

/// Names of the dependencies in a section of a manifest.
fn dependencies<'a>(manifest: &'a str, section: &str) -> Vec<&'a str> {
    let lines = manifest.lines().skip_while(move |line| *line != section).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| line.contains('=') && !line.starts_with('#'))
        .filter_map(|line| line.split([' ', '.']).next())
        .collect()
}

/// Whether a text has the word, and not as a part of another.
fn names(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, found)| {
        let (before, after) = (&text[..at], &text[at + found.len()..]);
        !part(before.chars().next_back()) && !part(after.chars().next())
    })
}

#[test]
fn a_dependency_is_found_by_its_name_alone() {
    let manifest = "[dependencies]\n# why\na-b = \"1\"\nc.workspace = true # d = 1\n\n[dev-dependencies]\ne = \"1\"\n";
    assert_eq!(dependencies(manifest, "[dependencies]"), ["a-b", "c"]);
    assert_eq!(dependencies(manifest, "[dev-dependencies]"), ["e"]);
    assert!(names("use a_b::c;", "a_b") && !names("use ca_b::c; a_bc", "a_b"));
    assert!(is_of("actix-rt", "actix") && is_of("tokio", "tokio") && !is_of("logos", "log"));
}
