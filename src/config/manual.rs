//! ○ The manual of all settings as a page (`docs/settings.md`), from the comments of `config/default.toml`.

use std::fmt::Write as _;

/// Markdown: a table for each section, with a setting's name, default, variable and meaning.
///
/// A comment right above a setting is the setting's; one with an empty line below it belongs to the section that follows.
#[must_use]
pub fn markdown(defaults: &str) -> String {
    let mut page = Page::default();
    for line in defaults.lines() {
        page.read(line);
    }
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
    /// Name of the section that is being read; empty before the first one.
    section: String,
    comment: Vec<String>,
    /// Comments that stood apart, for the next section.
    apart: Vec<String>,
    in_table: bool,
}

impl Page {
    fn read(&mut self, line: &str) {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            self.comment.push(comment.trim().to_owned());
        } else if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            self.begin(section);
        } else if let Some((name, value)) = line.split_once(" = ") {
            self.setting(name, value);
        } else if line.is_empty() {
            self.apart.append(&mut self.comment);
        }
    }

    fn begin(&mut self, section: &str) {
        if self.section.is_empty() {
            self.text.push_str("# Settings\n\n");
            self.text.push_str(
                "<!-- `postrider settings` wrote this from config/default.toml; a test fails when it is stale. -->\n\n",
            );
        }
        let about: Vec<String> = self.apart.drain(..).chain(self.comment.drain(..)).collect();
        if self.section.is_empty() {
            self.paragraph(&about);
            let _ = writeln!(self.text, "\n## `[{section}]`\n");
        } else {
            let _ = writeln!(self.text, "\n## `[{section}]`\n");
            self.paragraph(&about);
        }
        section.clone_into(&mut self.section);
        self.in_table = false;
    }

    fn paragraph(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            let _ = writeln!(self.text, "{}", lines.join("\n"));
        }
    }

    fn setting(&mut self, name: &str, value: &str) {
        if !self.in_table {
            let blank = if self.text.ends_with("\n\n") { "" } else { "\n" };
            let _ = write!(self.text, "{blank}| Setting | Default | Meaning |\n|---|---|---|\n");
            self.in_table = true;
        }
        let about = self.comment.drain(..).collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let variable = format!("POSTRIDER_{}_{}", self.section, name).replace('.', "_").to_ascii_uppercase();
        let value = value.replace('|', "\\|");
        let _ = writeln!(self.text, "| `{name}`<br>`{variable}` | `{value}` | {about} |");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: &str = "# Everything.\n\n[service]\n# Threads;\n# 0 takes one per core.\ncores = 0\n\n\
                            # Where endpoints lead.\n[egress]\n# What | else.\nallow = []\n";

    #[test]
    fn every_setting_has_a_row_with_its_default_its_variable_and_its_comment() {
        let page = markdown(DEFAULTS);
        assert!(
            page.contains("| `cores`<br>`POSTRIDER_SERVICE_CORES` | `0` | Threads; 0 takes one per core. |"),
            "{page}"
        );
        assert!(page.contains("| `allow`<br>`POSTRIDER_EGRESS_ALLOW` | `[]` | What \\| else. |"), "{page}");
    }

    #[test]
    fn what_is_said_of_a_section_stands_below_its_heading() {
        let page = markdown(DEFAULTS);
        assert!(page.contains("Everything.\n\n## `[service]`"), "{page}");
        assert!(page.contains("## `[egress]`\n\nWhere endpoints lead.\n\n| Setting"), "{page}");
    }

    #[test]
    fn no_setting_is_left_out() {
        let defaults = super::super::DEFAULT;
        let settings = defaults.lines().filter(|line| !line.starts_with('#') && line.contains(" = ")).count();
        assert_eq!(markdown(defaults).matches("<br>`POSTRIDER_").count(), settings);
    }
}
