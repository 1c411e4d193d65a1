//! ○ Dependencies between the modules of the page, so that all that a view needs is fetched at once, and not one after
//! the other as they name each other.

/// Imports of a module by one of these words: as it says it, and the path from the root of the files.
pub(super) fn imports(name: &str, text: &str, words: &[&str]) -> Vec<(String, String)> {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let said = words.iter().flat_map(|word| text.split(word).skip(1)).filter_map(|rest| rest.split('"').next());
    said.map(|import| (import.to_owned(), path(folder, import))).collect()
}

/// These modules, all that they import, all that those import, and so on; each once. What is fetched only when it is
/// wanted is not among them. `text` gives a module, if there is one of that path.
pub(super) fn with_imports(first: &str, text: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut all = vec![first.to_owned()];
    let mut next = 0;
    while let Some(name) = all.get(next).cloned() {
        let found = text(&name).map(|text| imports(&name, &text, &[STATIC])).unwrap_or_default();
        for (_, path) in found {
            if !all.contains(&path) {
                all.push(path);
            }
        }
        next += 1;
    }
    all
}

/// Stands before the path of what a module cannot begin without.
pub(super) const STATIC: &str = "from \"";
/// Stands before the path of what it fetches when it is wanted.
pub(super) const DYNAMIC: &str = "import(\"";

fn path(folder: &str, import: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in import.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> Option<String> {
        let text = match name {
            "app.js" => r#"import { a } from "./core/a.js"; const later = () => import("./views/late.js");"#,
            "core/a.js" => r#"export { b } from "./b.js"; import c from "../parts/c.js";"#,
            "core/b.js" => r#"import { a } from "./a.js";"#,
            "parts/c.js" => "",
            _ => return None,
        };
        Some(text.to_owned())
    }

    #[test]
    fn a_module_comes_with_all_that_it_cannot_begin_without_and_each_comes_once() {
        assert_eq!(with_imports("app.js", text), ["app.js", "core/a.js", "core/b.js", "parts/c.js"]);
    }

    #[test]
    fn what_is_fetched_later_is_told_from_what_is_needed_at_once() {
        let found = imports("app.js", &text("app.js").unwrap_or_default(), &[DYNAMIC]);
        assert_eq!(found, [("./views/late.js".to_owned(), "views/late.js".to_owned())]);
    }

    #[test]
    fn an_import_is_found_from_where_it_is_said() {
        let found = imports("core/a.js", &text("core/a.js").unwrap_or_default(), &[STATIC]);
        let paths: Vec<&str> = found.iter().map(|(_, path)| path.as_str()).collect();
        assert_eq!(paths, ["core/b.js", "parts/c.js"]);
    }
}
