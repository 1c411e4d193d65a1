//! Names of types and of what functions take and give.

use std::collections::BTreeMap;

use super::{check, list, program, rust, within_sources};

#[test]
fn a_type_name_means_one_thing() {
    let mut rooms: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for file in rust(&["crates"]) {
        let Some((of_crate, path)) = within_sources(&file.path) else { continue };
        let room = path.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        for name in types(program(&file)) {
            rooms.entry(name.to_owned()).or_default().insert(format!("{of_crate}::{room}"), file.path.clone());
        }
    }
    assert!(rooms.len() > 100, "there are types");
    let several: Vec<_> = rooms.iter().filter(|(_, rooms)| rooms.len() > 1).collect();
    let lines: Vec<_> =
        several.iter().map(|(name, rooms)| format!("`{name}`: {:?}", rooms.values().collect::<Vec<_>>())).collect();
    assert!(lines.is_empty(), "\n{}\nwhy: who reads a name must know what it is without its path\n", lines.join("\n"));
}

/// Public types that a text defines.
fn types(program: &str) -> Vec<&str> {
    let lines = program.lines().map(str::trim_start);
    let named = lines.filter_map(|line| {
        ["pub struct ", "pub enum ", "pub trait ", "pub type "].iter().find_map(|kind| line.strip_prefix(kind))
    });
    named.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next()).collect()
}

#[test]
fn signatures_name_what_they_take_and_give() {
    let reason = "two numbers of a tuple that are swapped compile";
    check(rust(&["crates"]), reason, |file| {
        list(signatures(program(file)).into_iter().filter(|text| has_tuple(text)).map(|text| {
            let name = text.split(['(', '<']).next().unwrap_or_default();
            format!("has a tuple of three or more in the signature of `{name}`")
        }))
    });
}

/// Signatures of public functions, each from its name on.
fn signatures(program: &str) -> Vec<&str> {
    let after = |mark: &'static str| program.match_indices(mark).map(move |(at, mark)| &program[at + mark.len()..]);
    let all = after("pub fn ").chain(after("pub const fn "));
    all.map(|text| &text[..text.find(" {").or_else(|| text.find(';')).unwrap_or(text.len())]).collect()
}

/// Whether a signature has a tuple of three or more, but for the arguments themselves and those of closures.
fn has_tuple(signature: &str) -> bool {
    let mut open: Vec<(bool, usize, usize)> = Vec::new();
    let mut angles = 0_usize;
    let mut before = ' ';
    for c in signature.replace("->", "→").chars() {
        match c {
            '(' => {
                // Arguments follow a name (`f(`, `Fn(`) or its generics (`f<'a>(`); a tuple follows neither.
                let is_tuple = !(before.is_alphanumeric() || before == '>' && open.is_empty() && angles == 0);
                open.push((is_tuple, angles, 0));
            }
            ')' => {
                let is_long = open.pop().is_some_and(|(is_tuple, _, commas)| is_tuple && commas >= 2);
                if is_long {
                    return true;
                }
            }
            '<' => angles += 1,
            '>' => angles = angles.saturating_sub(1),
            ',' => {
                if let Some((_, _, commas)) = open.last_mut().filter(|(_, outside, _)| *outside == angles) {
                    *commas += 1;
                }
            }
            _ => {}
        }
        if !c.is_whitespace() {
            before = c;
        }
    }
    false
}

#[test]
fn a_tuple_is_told_from_arguments() {
    for text in [
        "f(a: A, b: B, c: C) -> (A, B)",
        "f<'a>(a: &'a A, b: B, c: C)",
        "f(each: impl Fn(A, B, C) -> D)",
        "f(a: (HashMap<A, B>, C))",
    ] {
        assert!(!has_tuple(text), "{text}");
    }
    for text in ["f() -> (A, B, C)", "f(a: (A, B, C))", "f(a: Vec<(A, B, C)>) -> D", "f() -> Option<(A, B, C)>"] {
        assert!(has_tuple(text), "{text}");
    }
    assert_eq!(types("pub struct A<T>;\n    pub enum Bc {\nstruct D;"), ["A", "Bc"]);
    assert_eq!(signatures("pub fn f(a: A) -> B {\n}\nfn g() {}"), ["f(a: A) -> B"]);
}
