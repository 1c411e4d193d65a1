//! Rooms form no circle: each may be read, tested and moved without those above it. Between crates the compiler sees to it.

use std::collections::{BTreeMap, BTreeSet};

use super::{PROGRAM, program, rust, within_sources};

/// The rooms that each room uses, with a file that does. Those of a crate have its name before theirs.
type Edges = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn rooms_form_no_circle() {
    let circle = circle(&edges());
    assert!(
        circle.is_empty(),
        "\n{}\nwhy: rooms that use each other are one room with several doors: what both need belongs below them, in \
         `model`, and what one knows of the other is given to it by `app`\n",
        circle.join("\n")
    );
}

#[test]
fn the_ground_floor_knows_no_room() {
    let model = edges().remove("core::model").expect("there is a ground floor");
    assert!(model.is_empty(), "`model` uses {model:?}: every room stands on it, so it stands on none");
}

fn edges() -> Edges {
    let mut edges = Edges::new();
    for file in rust(&PROGRAM) {
        let Some((of_crate, path)) = within_sources(&file.path) else { continue };
        let room = path.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        if matches!(room, "lib" | "main") {
            continue;
        }
        let full = |room: &str| if of_crate.is_empty() { room.to_owned() } else { format!("{of_crate}::{room}") };
        let of_room = edges.entry(full(room)).or_default();
        for used in rooms_used(program(&file)) {
            if used != room {
                of_room.entry(full(&used)).or_insert_with(|| file.path.clone());
            }
        }
    }
    assert!(edges.len() > 10, "there are rooms");
    edges
}

/// Rooms in the paths that begin with `crate::`, also in groups of imports.
fn rooms_used(program: &str) -> BTreeSet<String> {
    let code: Vec<&str> = program.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let mut rooms = BTreeSet::new();
    for path in code.split("crate::").skip(1) {
        match path.strip_prefix('{') {
            Some(group) => rooms.extend(first_names(group)),
            None => rooms.extend(name(path)),
        }
    }
    rooms
}

/// First names of the paths in a group, up to the brace that closes it.
fn first_names(group: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut depth, mut is_first) = (0, true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_first = true,
            character if is_first && character.is_ascii_alphabetic() => {
                found.extend(name(&group[at..]));
                is_first = false;
            }
            _ => {}
        }
    }
    found
}

/// The name that a path begins with, when it is a module's.
fn name(path: &str) -> Option<String> {
    let end = path.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(path.len());
    Some(path[..end].to_owned()).filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// The edges of a circle, each with its file; empty when there is none.
fn circle(edges: &Edges) -> Vec<String> {
    let mut above = edges.clone();
    // A room that uses none, or none but those that were taken away, is in no circle.
    while let Some(room) = above.iter().find(|(_, used)| !used.keys().any(|used| above.contains_key(used))) {
        let room = room.0.clone();
        above.remove(&room);
    }
    let Some(mut room) = above.keys().next() else { return Vec::new() };
    // Each that is left uses one that is left: whoever follows them comes back.
    let mut way: Vec<(&str, &str, &str)> = Vec::new();
    while !way.iter().any(|(from, _, _)| from == room) {
        let used = above[room].iter().find(|(used, _)| above.contains_key(*used));
        let (used, file) = used.expect("it uses one that is left");
        way.push((room, used, file));
        room = used;
    }
    let start = way.iter().position(|(from, _, _)| from == room).unwrap_or(0);
    way[start..].iter().map(|(from, used, file)| format!("{from} uses {used} ({file})")).collect()
}

#[test]
fn every_path_names_its_room() {
    let code = "use crate::{\n    clock,\n    model::{event::Event, id},\n    store::{self, Pool as P}};\n// crate::not\n\
                impl From<&crate::config::Kafka> for X {}\nuse crate::ingest::*;\n crate::Thing";
    let found: Vec<String> = rooms_used(code).into_iter().collect();
    assert_eq!(found, ["clock", "config", "ingest", "model", "store"]);
}

#[test]
fn a_circle_is_named_edge_by_edge() {
    let of = |all: &[(&str, &str)]| {
        let mut edges = Edges::new();
        for (from, to) in all {
            edges.entry((*to).to_owned()).or_default();
            edges.entry((*from).to_owned()).or_default().insert((*to).to_owned(), format!("src/{from}.rs"));
        }
        circle(&edges)
    };
    assert!(of(&[("a", "b"), ("b", "c"), ("a", "c")]).is_empty());
    let circle = of(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]);
    assert_eq!(circle, ["b uses c (src/b.rs)", "c uses b (src/c.rs)"]);
}
