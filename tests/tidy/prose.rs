//! Prose of doc comments.

use super::{EVERYTHING, PROGRAM, Source, check, files, list, read, rust};

#[test]
fn doc_comments_begin_with_a_noun_or_a_verb() {
    let reason = "a comment that opens with a question word says what the thing is only at its end, or never";
    check(rust(&PROGRAM), reason, |file| {
        list(openings(&file.text).into_iter().map(|(line, word)| format!("begins with `{word}` in line {line}")))
    });
}

const QUESTIONS: [&str; 13] =
    ["What", "Whatever", "Who", "Whoever", "Whom", "Whose", "Those", "How", "Where", "When", "Whether", "Why", "Which"];

#[test]
fn prose_is_plain() {
    let reason = "these phrases are of no language that a reader knows: again, restarted, a moment ago, unavailable";
    let mut all = rust(&EVERYTHING);
    all.extend(files("docs", &["md"]));
    all.extend(files("config", &[]));
    all.extend(files("src/dashboard/assets", &["js", "html"]));
    all.extend(["README.md", "ARCHITECTURE.md"].map(|name| Source { path: name.to_owned(), text: read(name) }));
    let odd = [concat!("just ", "now"), concat!(" an", "ew"), concat!("once ", "more")];
    check(all, reason, |file| {
        list(odd.iter().filter(|odd| file.text.contains(**odd)).map(|odd| format!("says `{odd}`")))
    });
}

/// The doc comments that open with a question word: their lines, and the words.
fn openings(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut before = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start();
        let kind = ["///", "//!"].into_iter().find(|kind| line.starts_with(kind));
        if let Some(kind) = kind.filter(|kind| before != Some(*kind)) {
            let prose = line[kind.len()..].trim_start_matches([' ', '○', '●']);
            let word = prose.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
            found.extend(QUESTIONS.contains(&word).then_some((number, word)));
        }
        before = kind;
    }
    found
}

#[test]
fn only_the_opening_of_a_comment_counts() {
    let text = "//! ○ What it is.\n\n/// A thing.\n/// What follows is prose.\nstruct A;\n    /// Whose it is.\n    a: u8,\n// Who\n";
    assert_eq!(openings(text), [(1, "What"), (6, "Whose")]);
}
