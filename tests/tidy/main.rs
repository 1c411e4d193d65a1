//! Rules of the tree, checked by a machine; each says why. `clippy.toml` holds the ones clippy can check.

mod crates;
mod dependencies;
mod names;
mod prose;
mod rooms;
mod tree;

use std::path::Path;

use tree::{
    EVERYTHING, PROGRAM, Source, check, files, functions, list, mentions, program, read, root, rust, source_folders,
    within_sources,
};

#[test]
fn every_source_file_says_what_it_is() {
    let reason = "the first line tells a reader whether this is the file to read, and whether it touches the world";
    check(rust(&EVERYTHING), reason, |file| {
        (!file.text.starts_with("//! ")).then(|| "must begin with `//! `".to_owned())
    });
}

#[test]
fn pure_files_touch_nothing() {
    let reason =
        "a file marked ○ is told the time and the dice, and returns what is to be done; so its tests need no world";
    let worldly = [
        "async fn",
        ".await",
        "Instant::now",
        "SystemTime",
        "clock::now",
        "clock::wall_ms",
        "actix",
        "rdkafka",
        "tokio_postgres",
        "tokio::time",
        "tokio::spawn",
        "tokio::net",
        "awc",
        "rand::rng()",
        "rand::random",
        "std::fs",
        "std::net::Tcp",
        "std::thread",
        "thread_local!",
        "std::env",
        "println!",
    ];
    check(rust(&PROGRAM), reason, |file| {
        let pure = file.text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains('○'));
        // A status code is a number with a name.
        let program = program(file).replace("actix_web::http::StatusCode", "StatusCode");
        let found = worldly.iter().filter(|word| pure && mentions(&program, word));
        list(found.map(|word| format!("has `{word}`")))
    });
}

#[test]
fn files_and_functions_stay_short() {
    let reason = "what fits into a head fits on a few screens; a longer file has a second subject that deserves a name";
    check(rust(&EVERYTHING), reason, |file| {
        let lines = file.text.lines().count();
        (lines > FILE_LINES_MAX).then(|| format!("has {lines} lines; at most {FILE_LINES_MAX}"))
    });
    check(rust(&PROGRAM), reason, |file| {
        let long = functions(program(file)).into_iter().filter(|(_, lines)| *lines > FUNCTION_LINES_MAX);
        list(long.map(|(name, lines)| format!("`{name}` has {lines} lines; at most {FUNCTION_LINES_MAX}")))
    });
}

const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 60;

#[test]
fn files_of_the_web_page_stay_short_and_say_what_they_are() {
    let reason = "there is no build chain: what stands here is what is read, by people and by browsers";
    let of_others = |file: &Source| file.path.contains("/vendor/") || file.path.contains("/node_modules/");
    let mut all = files("src/dashboard/assets", &["js", "css"]);
    all.extend(files("tests/browser", &["js"]));
    all.retain(|file| !of_others(file));
    check(all, reason, |file| {
        let lines = file.text.lines().count();
        let says = file.text.starts_with("// ") || file.text.starts_with("/* ");
        let long = (lines > PAGE_LINES_MAX).then(|| format!("has {lines} lines; at most {PAGE_LINES_MAX}"));
        list(long.into_iter().chain((!says).then(|| "must begin with a comment that says what it is".to_owned())))
    });
}

const PAGE_LINES_MAX: usize = 200;

#[test]
fn names_say_what_is_inside() {
    let reason = "a drawer for everything is found by nobody";
    check(rust(&EVERYTHING), reason, |file| {
        let drawer =
            file.path.trim_end_matches(".rs").split('/').find(|part| {
                ["util", "utils", "helper", "helpers", "common", "manager", "misc", "types"].contains(part)
            });
        drawer.map(|part| format!("is named `{part}`"))
    });
}

#[test]
fn sql_stands_in_the_store() {
    let reason = "who changes a table must find every statement that reads it in one place";
    let statements = ["SELECT ", "INSERT INTO ", "DELETE FROM ", "UPDATE ", "CREATE TABLE ", "ALTER TABLE "];
    check(rust(&PROGRAM), reason, |file| {
        let elsewhere = !file.path.starts_with("src/store/");
        let found = statements.iter().filter(|sql| elsewhere && mentions(program(file), sql));
        list(found.map(|sql| format!("has `{}`", sql.trim())))
    });
}

#[test]
fn mailboxes_keep_their_bounds() {
    let reason = "a message sent this way ignores the mailbox's capacity and is lost silently when the actor is gone";
    check(rust(&EVERYTHING), reason, |file| {
        let banned = concat!("do_", "send(");
        file.text.contains(banned).then(|| format!("has `{banned}`"))
    });
}

#[test]
fn fuzzers_call_only_what_is_compiled_with_the_tests() {
    let reason = "`fuzz/` needs another compiler: a name that changes would break it without anybody noticing";
    check(rust(&["fuzz"]), reason, |file| {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let shared = format!("#[path = \"../../tests/fuzz/{name}\"]");
        let is_thin = file.text.contains(&shared) && !mentions(&file.text, "postrider");
        (!is_thin).then(|| format!("must hold nothing but a call of tests/fuzz/{name}"))
    });
}

#[test]
fn nothing_is_left_for_later_or_skipped() {
    let reason = "a note in the code is read by nobody who plans, and a skipped test proves nothing";
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
        concat!("#[ig", "nore"),
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
    ];
    check(rust(&EVERYTHING), reason, |file| {
        list(marks.iter().filter(|mark| file.text.contains(*mark)).map(|mark| format!("has `{mark}`")))
    });
}

#[test]
fn the_program_does_not_unwrap() {
    let reason = "an actor's panic costs latency; what can fail is handled, and what cannot says why in `expect`";
    check(rust(&PROGRAM), reason, |file| program(file).contains(".unwrap()").then(|| "has `.unwrap()`".to_owned()));
}

#[test]
fn migrations_are_numbered_without_gaps() {
    let reason = "a gap is a migration that somebody has and somebody has not";
    let mut numbers: Vec<u32> = files("sql", &["sql"])
        .iter()
        .map(|file| {
            let name = file.path.trim_start_matches("sql/V");
            let number = name.split_once("__").and_then(|(number, _)| number.parse().ok());
            number.unwrap_or_else(|| panic!("{} is not named V<number>__<what it does>.sql", file.path))
        })
        .collect();
    numbers.sort_unstable();
    assert!(!numbers.is_empty(), "there are migrations");
    assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>(), "{reason}");
}

#[test]
fn every_setting_is_explained() {
    let reason = "config/default.toml is the manual";
    let text = read("config/default.toml");
    let mut above = "";
    for line in text.lines() {
        let is_key = line.contains(" = ") && !line.starts_with('#');
        assert!(!is_key || above.starts_with('#'), "`{line}` needs a comment above it: {reason}");
        above = line;
    }
}

#[test]
fn every_number_in_the_settings_has_its_unit_in_its_name() {
    let reason = "`max_wait = 500` has cost more than one night";
    let units = [
        "ms",
        "hours",
        "queries",
        "requests",
        "per_second",
        "days",
        "bytes",
        "events",
        "rows",
        "records",
        "customers",
        "partitions",
        "connections",
        "in_flight",
        "lookups",
        "clients",
        "endpoints",
        "subscriptions",
        "entries",
        "cores",
        "threads",
        "every",
    ];
    for line in read("config/default.toml").lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.split_once(" = ") else { continue };
        if value.starts_with(|c: char| c.is_ascii_digit()) {
            let name = name.trim_end_matches("_max").trim_end_matches("_min");
            assert!(units.iter().any(|unit| name.ends_with(unit)), "`{name}` does not end with a unit: {reason}");
        }
    }
}

#[test]
fn nothing_names_a_machine() {
    let reason = "what holds on one machine only has no place in the tree";
    let machine = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let mut all = rust(&EVERYTHING);
    for folder in ["crates", "config", "sql", "dev", "deploy", ".ci"] {
        all.extend(files(folder, &[]));
    }
    for name in ["Cargo.toml", "Makefile", "Dockerfile", "compose.yaml", "README.md", "ARCHITECTURE.md", "clippy.toml"]
    {
        all.extend(root().join(name).exists().then(|| Source { path: name.to_owned(), text: read(name) }));
    }
    check(all, reason, |file| {
        list(machine.iter().filter(|path| file.text.contains(*path)).map(|path| format!("names `{path}`")))
    });
}

#[test]
fn links_in_the_documentation_lead_somewhere() {
    let reason = "who follows a link has a question";
    let mut pages = files("docs", &["md"]);
    pages.extend(["README.md", "ARCHITECTURE.md"].map(|name| Source { path: name.to_owned(), text: read(name) }));
    check(pages, reason, |page| {
        let folder = Path::new(&page.path).parent().unwrap_or(Path::new("")).to_owned();
        let targets = page.text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let inside = targets.filter(|target| !target.is_empty() && !target.contains("://"));
        list(
            inside
                .filter(|target| !root().join(&folder).join(target).exists())
                .map(|target| format!("links to `{target}`")),
        )
    });
}

#[test]
fn samples_on_a_page_are_those_that_are_run() {
    let page = read("docs/verifying-signatures.md");
    let mut samples = 0;
    // A line that is a link to a sample and nothing else, and the block below it.
    for part in page.split("\n\n[").skip(1) {
        let Some((link, rest)) = part.split_once(")\n\n```") else { continue };
        let Some((_, path)) = link.split_once("](").filter(|_| !link.contains('\n')) else { continue };
        let file = read(&format!("docs/{path}"));
        let known: Vec<&str> = file.lines().map(str::trim).collect();
        let block = rest.split("\n```").next().unwrap_or_default();
        for line in block.lines().skip(1).map(str::trim) {
            assert!(known.contains(&line), "{path} has no such line: {line}");
        }
        samples += 1;
    }
    assert_eq!(samples, 4);
}

#[test]
fn the_map_names_what_exists() {
    let reason = "a map that lies is worse than none";
    let sources = rust(&EVERYTHING);
    let is_name =
        |text: &str| text.len() > 3 && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
    let manual = read("config/default.toml");
    let is_setting =
        |text: &str| text.split_once('.').is_some_and(|(section, _)| manual.contains(&format!("[{section}]")));
    let exists = |token: &str| match token {
        path if path.ends_with(".rs") => sources.iter().any(|file| file.path.ends_with(path)),
        setting if is_setting(setting) => {
            manual.contains(&format!("\n{} = ", setting.rsplit('.').next().unwrap_or("")))
        }
        path if path.ends_with('/') => source_folders().iter().any(|folder| folder.join(path).exists()),
        name if is_name(name) => {
            let last = name.rsplit("::").next().unwrap_or(name);
            sources.iter().any(|file| file.text.contains(last))
        }
        _ => true,
    };
    let map = Source { path: "ARCHITECTURE.md".to_owned(), text: read("ARCHITECTURE.md") };
    check(vec![map], reason, |file| {
        let prose: String = file.text.split("```").step_by(2).collect();
        let tokens: Vec<&str> = prose.split('`').skip(1).step_by(2).collect();
        assert!(tokens.len() > 50, "the map names things in backticks");
        list(tokens.into_iter().filter(|token| !exists(token)).map(|token| format!("names `{token}`")))
    });
}
