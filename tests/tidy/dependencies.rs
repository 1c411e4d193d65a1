//! The rules of `deny.toml` that need no network: licences, banned crates, sources. `make audit` has cargo-deny check them
//! and the advisories as well.

use std::process::Command;

use super::{read, root};

/// A package that we depend on, in whatever way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    license: String,
    /// The folder or the repository it comes from; none for one of crates.io.
    from: Option<String>,
}

#[test]
fn licences_are_those_that_we_accept() {
    let allowed = listed(&read("deny.toml"), "allow");
    assert!(allowed.len() > 3, "{allowed:?}");
    let wrong: Vec<_> =
        packages().into_iter().filter(|package| !is_allowed(&package.license, &|id| allowed.contains(id))).collect();
    assert!(wrong.is_empty(), "not among the licences of deny.toml: {wrong:#?}");
}

#[test]
fn banned_crates_are_not_among_the_dependencies() {
    let banned = listed(&read("deny.toml"), "deny");
    assert!(!banned.is_empty(), "deny.toml names some");
    let found: Vec<_> = packages().into_iter().filter(|package| banned.contains(&package.name)).collect();
    assert!(found.is_empty(), "deny.toml says what takes their place: {found:#?}");
}

#[test]
fn dependencies_come_from_the_registry() {
    let ours = root().to_string_lossy().into_owned();
    let foreign = |package: &Package| package.from.as_ref().is_some_and(|from| !from.starts_with(&ours));
    let found: Vec<_> = packages().into_iter().filter(foreign).collect();
    assert!(found.is_empty(), "what is fetched from elsewhere can change or vanish: {found:#?}");
}

/// All that is compiled on this machine, also for tests and builds.
fn packages() -> Vec<Package> {
    let arguments = ["tree", "--locked", "--offline", "--workspace", "--prefix", "none", "--format", "{p}|{l}"];
    let tree = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let mut all: Vec<Package> = String::from_utf8_lossy(&tree.stdout).lines().filter_map(package).collect();
    all.sort();
    all.dedup();
    assert!(all.len() > 50, "cargo listed {all:?}");
    all
}

/// A line of `cargo tree`: name, version, where it comes from if that is another place, and the licence.
fn package(line: &str) -> Option<Package> {
    let (package, license) = line.split_once('|')?;
    let name = package.split(' ').next()?.to_owned();
    let notes = package.split(" (").skip(1).map(|note| note.trim_end_matches(')'));
    let from = notes.filter(|note| *note != "proc-macro").map(str::to_owned).next();
    Some(Package { name, license: license.trim_end_matches(" (*)").to_owned(), from })
}

/// Texts of a list of `deny.toml`.
fn listed(rules: &str, key: &str) -> Vec<String> {
    let head = format!("{key} = [");
    let at = rules.lines().position(|line| line.starts_with(&head));
    let lines = rules.lines().skip(at.expect("deny.toml has the list"));
    let end = lines.clone().position(|line| line.split('#').next().unwrap_or_default().contains(']')).expect("an end");
    let code: Vec<&str> = lines.take(end + 1).map(|line| line.split('#').next().unwrap_or_default()).collect();
    code.join("").split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// True if an SPDX expression can be met by licences that are allowed. Old packages say `/` for `OR`.
fn is_allowed(expression: &str, allowed: &dyn Fn(&String) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ").replace(" WITH ", "~");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at, allowed);
    met && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &dyn Fn(&String) -> bool) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &dyn Fn(&String) -> bool) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &dyn Fn(&String) -> bool) -> bool {
    let word = words.get(*at).copied().unwrap_or_default();
    *at += 1;
    if word != "(" {
        return allowed(&word.replace('~', " WITH "));
    }
    let met = any(words, at, allowed);
    *at += 1; // the bracket that closes it
    met
}

#[test]
fn a_licence_is_met_by_one_of_its_alternatives_and_all_of_its_parts() {
    let allowed = |id: &String| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&id.as_str());
    for met in [
        "MIT",
        "GPL-3.0 OR MIT",
        "GPL-3.0/MIT",
        "MIT AND ISC",
        "(GPL-3.0 OR MIT) AND ISC",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
    ] {
        assert!(is_allowed(met, &allowed), "{met}");
    }
    for unmet in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "GPL-3.0 OR (MIT AND GPL-2.0)"] {
        assert!(!is_allowed(unmet, &allowed), "{unmet}");
    }
    let line = "a v1.0.0 (proc-macro) (https://example.com/a#1)|MIT (*)";
    let from = Some("https://example.com/a#1".to_owned());
    assert_eq!(package(line), Some(Package { name: "a".to_owned(), license: "MIT".to_owned(), from }));
    assert_eq!(listed("a = [\"x\"]\nb = [ # why\n  \"y\", # \"no\"\n  \"z\",\n]\n", "b"), ["y", "z"]);
}
