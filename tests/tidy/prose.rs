//! Prose of doc comments.

use super::{EVERYTHING, PROGRAM, Source, check, files, list, read, rust};

#[test]
fn doc_comments_begin_with_a_noun_or_a_verb() {
    let reason = "a comment that opens with a question word, or is half a sentence, says what the thing is only at its end, or never";
    check(rust(&PROGRAM), reason, |file| {
        list(openings(&file.text).into_iter().map(|(line, words)| format!("begins with `{words}` in line {line}")))
    });
}

/// Openings that go on with a comment elsewhere, or leave out the thing itself.
const FRAGMENTS: [&str; 7] = ["…", "So many ", "So few ", "So often ", "So long ", "So much ", "Of "];

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

/// The doc comments that open with a question word or a fragment: their lines, and the words.
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
            let fragment = FRAGMENTS.into_iter().find(|fragment| prose.starts_with(fragment));
            found.extend(fragment.map(|fragment| (number, fragment.trim_end())));
        }
        before = kind;
    }
    found
}

#[test]
fn only_the_opening_of_a_comment_counts() {
    let text = "//! ○ What it is.\n\n/// A thing.\n/// What follows is prose.\nstruct A;\n    /// Whose it is.\n    a: u8,\n// Who\n";
    assert_eq!(openings(text), [(1, "What"), (6, "Whose")]);
    let fragments = "/// Pause, …\nconst A: u8;\n/// … and more.\nconst B: u8;\n/// So many events.\nc: u8,\n/// Off.\nd: u8,\n/// Of it.\n";
    assert_eq!(openings(fragments), [(3, "…"), (5, "So many"), (9, "Of")]);
}
