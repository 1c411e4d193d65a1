//! ○ The document as one page of HTML, for people: no script, nothing from elsewhere.

use serde_json::{Map, Value};

/// The page.
#[must_use]
pub fn page(document: &Value) -> String {
    let tags = document["tags"].as_array().into_iter().flatten().filter_map(|tag| tag["name"].as_str());
    let operations = operations(document);
    let (mut index, mut body) = (String::new(), String::new());
    for tag in tags {
        let of_tag: Vec<&Operation> = operations.iter().filter(|one| one.value["tags"][0] == tag).collect();
        let links = of_tag.iter().map(|one| format!("<li><a href=\"#{}\">{}</a></li>", one.id(), one.summary()));
        index += &format!("<h2>{}</h2><ul>{}</ul>", escaped(tag), links.collect::<String>());
        body += &format!("<h2>{}</h2>", escaped(tag));
        body.extend(of_tag.iter().map(|one| one.section(document)));
    }
    let shapes = object(&document["components"]["schemas"]);
    let links = shapes.keys().map(|name| format!("<li><a href=\"#shape-{name}\">{name}</a></li>"));
    index += &format!("<h2>Shapes</h2><ul>{}</ul>", links.collect::<String>());
    body += "<h2>Shapes</h2>";
    body.extend(shapes.iter().map(|(name, schema)| shape(name, schema)));
    let info = &document["info"];
    let about = info["description"].as_str().unwrap_or_default().split("\n\n");
    let about: String = about.map(|paragraph| format!("<p>{}</p>", escaped(paragraph))).collect();
    let title = format!("{} {}", text(&info["title"]), text(&info["version"]));
    format!(
        "{HEAD}<nav aria-label=\"Operations\">{index}</nav><main><h1>{title}</h1>{about}{HOW}{body}</main></body></html>\n"
    )
}

struct Operation<'a> {
    method: String,
    path: &'a str,
    value: &'a Value,
}

/// In the order of paths.
fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut all = Vec::new();
    for (path, item) in object(&document["paths"]) {
        for (method, value) in object(item) {
            all.push(Operation { method: method.to_uppercase(), path, value });
        }
    }
    for item in object(&document["webhooks"]).values() {
        for (method, value) in object(item) {
            all.push(Operation { method: method.to_uppercase(), path: "the endpoint's URL", value });
        }
    }
    all
}

impl Operation<'_> {
    fn id(&self) -> String {
        text(&self.value["operationId"])
    }

    fn summary(&self) -> String {
        text(&self.value["summary"])
    }

    fn section(&self, document: &Value) -> String {
        let mut section = format!(
            "<section id=\"{}\"><h3>{}</h3><p class=\"call\"><b>{}</b> <code>{}</code></p><p>{}</p>",
            self.id(),
            self.summary(),
            self.method,
            escaped(self.path),
            text(&self.value["description"]),
        );
        let parameters = self.value["parameters"].as_array().into_iter().flatten();
        let rows: String = parameters.map(|parameter| parameter_row(resolved(document, parameter))).collect();
        if !rows.is_empty() {
            section += &format!("<table><caption>Parameters</caption>{rows}</table>");
        }
        if let Some(schema) = self.value.pointer("/requestBody/content/application~1json/schema") {
            let optional = if self.value["requestBody"]["required"] == false { " (may be left out)" } else { "" };
            section += &format!("<p>Body{optional}: {}</p>", kind(schema));
            section += &example(resolved(document, schema));
        }
        let responses = object(&self.value["responses"]).iter();
        let rows: String = responses.map(|(status, response)| response_row(document, status, response)).collect();
        section + &format!("<table><caption>Answers</caption>{rows}</table></section>")
    }
}

fn parameter_row(parameter: &Value) -> String {
    format!(
        "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{}</td><td>{}</td></tr>",
        text(&parameter["name"]),
        text(&parameter["in"]),
        kind(&parameter["schema"]),
        text(&parameter["description"]),
    )
}

fn response_row(document: &Value, status: &str, response: &Value) -> String {
    let response = resolved(document, response);
    let schema = object(&response["content"]).values().next().map(|media| &media["schema"]);
    // Problems have one shape; which codes they come with is in their description.
    let schema = schema.map_or(String::new(), |schema| kind(schema.pointer("/allOf/0").unwrap_or(schema)));
    let about = text(&response["description"]);
    format!("<tr><th scope=\"row\">{status}</th><td>{schema}</td><td>{about}</td></tr>")
}

fn shape(name: &str, schema: &Value) -> String {
    let mut section = format!("<section id=\"shape-{name}\"><h3>{name}</h3>");
    if let Some(about) = schema["description"].as_str() {
        section += &format!("<p>{}</p>", escaped(about));
    }
    let forms: Vec<&Value> = match schema["oneOf"].as_array() {
        Some(forms) if schema["properties"].is_null() => forms.iter().collect(),
        _ => vec![schema],
    };
    for (place, form) in forms.iter().enumerate() {
        if place > 0 {
            section += "<p>or</p>";
        }
        section += &members(form);
    }
    section + &example(schema) + "</section>"
}

/// The members of an object; of anything else, what it is.
fn members(schema: &Value) -> String {
    let members = object(&schema["properties"]);
    if members.is_empty() {
        return format!("<p>{}</p>", kind(schema));
    }
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let rows = members.iter().map(|(name, member)| {
        let needed = if required.contains(&name.as_str()) { "" } else { "optional" };
        let about = member["description"].as_str().or(member.pointer("/anyOf/0/description").and_then(Value::as_str));
        format!(
            "<tr><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{needed}</td><td>{}</td></tr>",
            escaped(name),
            kind(member),
            escaped(about.unwrap_or_default()),
        )
    });
    format!("<table>{}</table>", rows.collect::<String>())
}

/// The type of a value, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("<a href=\"#shape-{name}\">{name}</a>");
    }
    for (join, several) in [(" or ", "oneOf"), (" or ", "anyOf"), (" and ", "allOf")] {
        if let Some(forms) = schema[several].as_array() {
            return forms.iter().map(kind).collect::<Vec<_>>().join(join);
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().map(|word| format!("<code>{}</code>", escaped(&word.to_string()))).collect();
        return words.join(" | ");
    }
    if schema.get("const").is_some() {
        return format!("<code>{}</code>", escaped(&schema["const"].to_string()));
    }
    let range = |from: &str, to: &str| match (schema[from].as_u64(), schema[to].as_u64()) {
        (Some(from), Some(to)) => format!(" {from} to {to}"),
        (Some(from), None) if from > 0 => format!(" from {from}"),
        (None, Some(to)) => format!(" to {to}"),
        _ => String::new(),
    };
    if let Some(kinds) = schema["type"].as_array() {
        let of = |one: &Value| {
            let mut form = schema.clone();
            form["type"] = one.clone();
            kind(&form)
        };
        return kinds.iter().map(of).collect::<Vec<_>>().join(" or ");
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of{} {}", range("minItems", "maxItems"), kind(&schema["items"])),
        Some("object") if !object(&schema["properties"]).is_empty() => {
            let names: Vec<String> = object(&schema["properties"]).keys().map(|name| escaped(name)).collect();
            format!("{{{}}}", names.join(", "))
        }
        Some("object") => format!("names to {}", kind(&schema["additionalProperties"])),
        Some("string") if schema["format"].is_string() => text(&schema["format"]),
        Some("string") => format!("text{}", range("minLength", "maxLength")),
        Some("integer") => format!("whole number{}", range("minimum", "maximum")),
        Some("number") => "number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("null") => "null".to_owned(),
        _ => "anything".to_owned(),
    }
}

fn example(schema: &Value) -> String {
    let Some(example) = schema["examples"].get(0).filter(|example| example.is_object()) else { return String::new() };
    let written = serde_json::to_string_pretty(example).unwrap_or_default();
    format!("<pre><code>{}</code></pre>", escaped(&written))
}

/// The target of a reference; anything else is itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let reference = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    reference.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn object(value: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY)
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HOW: &str = "<p>The same for programs: <a href=\"openapi.json\">openapi.json</a> (OpenAPI 3.1). Every call below \
    <code>/v1</code> needs a key: <code>Authorization: Bearer prk_…</code></p>";

const HEAD: &str = r#"<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Postrider: the API</title><style>
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { margin: 0; display: grid; grid-template-columns: 18rem minmax(0, 1fr); font: 15px/1.5 system-ui, sans-serif; }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 0 1rem; border-right: 1px solid var(--line);
  box-sizing: border-box; font-size: 13px; }
nav ul { list-style: none; padding: 0; margin: 0; } nav h2 { font-size: 13px; margin: 1rem 0 .2rem; }
main { padding: 0 2rem 4rem; max-width: 60rem; } section { border-top: 1px solid var(--line); padding: .5rem 0 1rem; }
a { color: light-dark(#0b57d0, #8ab4f8); text-decoration: none; } a:hover, a:focus { text-decoration: underline; }
code, pre { font: 13px/1.5 ui-monospace, monospace; } th code { white-space: nowrap; } pre { background: var(--soft); padding: .7rem; overflow: auto; }
.call { background: var(--soft); padding: .4rem .7rem; } table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
caption { text-align: left; font-weight: 600; } th, td { text-align: left; vertical-align: top; padding: .2rem .6rem .2rem 0;
  border-top: 1px solid var(--line); font-weight: normal; overflow-wrap: anywhere; }
th { white-space: nowrap; overflow-wrap: normal; }
@media (max-width: 50rem) { body { display: block; } nav { position: static; height: auto; border: 0; } }
</style></head><body>"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{openapi::document, routes::listed};

    #[test]
    fn the_page_has_every_operation_and_nothing_from_elsewhere() {
        let document = document(&listed());
        let page = page(&document);
        for operation in operations(&document) {
            assert!(page.contains(&format!("<section id=\"{}\">", operation.id())), "{}", operation.id());
        }
        assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("src="));
        for link in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(page.contains(&format!("id=\"{link}\"")), "{link} leads nowhere");
        }
    }

    #[test]
    fn what_is_shown_cannot_become_markup() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
