//! Names of types and of what functions take and give.

use std::collections::BTreeMap;

use super::{PROGRAM, check, list, program, rust, within_sources};

#[test]
fn a_type_name_means_one_thing() {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in rust(&PROGRAM) {
        if within_sources(&file.path).is_some() {
            types(program(&file))
                .into_iter()
                .for_each(|name| files.entry(name.to_owned()).or_default().push(file.path.clone()));
        }
    }
    assert!(files.len() > 500, "there are types");
    let several = files.iter().filter(|(_, files)| files.len() > 1);
    let lines: Vec<_> = several.map(|(name, files)| format!("`{name}`: {files:?}")).collect();
    assert!(lines.is_empty(), "\n{}\nwhy: who reads a name must know what it is without its path\n", lines.join("\n"));
}

/// Types that a text defines and that can be named outside of it: `pub`, however far; not those of one file alone.
fn types(program: &str) -> Vec<&str> {
    let named = program.lines().filter_map(|line| {
        let definition = visible(line)?;
        ["struct ", "enum ", "trait ", "type ", "union "].iter().find_map(|kind| definition.strip_prefix(kind))
    });
    let names = named.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next());
    names.filter(|name| !name.is_empty()).collect() // a macro names its own
}

/// A line that defines something visible, behind its `pub` or `pub(…)`.
fn visible(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    let rest = if rest.starts_with('(') { rest.split_once(") ")?.1 } else { rest.strip_prefix(' ')? };
    Some(rest.trim_start_matches("unsafe "))
}

#[test]
fn signatures_name_what_they_take_and_give() {
    let reason = "two numbers of a tuple that are swapped compile";
    check(rust(&PROGRAM), reason, |file| {
        list(signatures(program(file)).into_iter().filter(|text| has_tuple(text)).map(|text| {
            let name = text.split(['(', '<']).next().unwrap_or_default();
            format!("has a tuple of three or more in the signature of `{name}`")
        }))
    });
}

/// Signatures of functions that can be called from other files, those of visible traits included, each from its name on.
fn signatures(program: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut end_of_trait = None;
    let mut at = 0;
    for line in program.split_inclusive('\n') {
        let code = line.trim_start();
        let indentation = &line[..line.len() - code.len()];
        let definition = visible(line);
        if definition.is_some_and(|code| code.starts_with("trait ")) {
            end_of_trait = Some(format!("{indentation}}}"));
        } else if end_of_trait.as_deref() == Some(line.trim_end()) {
            end_of_trait = None;
        }
        if let Some(code) = definition.or(end_of_trait.is_some().then_some(code))
            && let Some(name) = ["fn ", "const fn ", "async fn "].iter().find_map(|kind| code.strip_prefix(kind))
        {
            let text = &program[at + line.len() - name.len()..];
            let end = [text.find(" {"), text.find(";\n")].into_iter().flatten().min();
            found.push(&text[..end.unwrap_or(text.len())]);
        }
        at += line.len();
    }
    found
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
    assert_eq!(types("pub struct A<T>;\n    pub(in crate::b) enum Bc {\nstruct D;\npub(super) fn e() {}"), ["A", "Bc"]);
    let text =
        "pub(super) async fn f(a: A) -> B {\n}\nfn g() {}\npub trait T {\n    fn h(\n    a: A);\n}\n    fn i();\n";
    assert_eq!(signatures(text), ["f(a: A) -> B", "h(\n    a: A)"]);
}
