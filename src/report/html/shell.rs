//! What all pages have in common: head, policy, style, script, header and footer.

use super::CELL;
use super::escape::{attribute, line, sha256_base64};
use crate::report::ReportError;
use crate::report::text::{self, put};

static TEMPLATE: &str = include_str!("template.html");
static STYLE: &str = include_str!("style.css");
static SCRIPT: &str = include_str!("script.js");

/// A page without what all pages have in common.
pub(in crate::report) struct Page<'a> {
    /// What kind of report it is, above the title.
    pub(in crate::report) kind: &'a str,
    /// What was looked at.
    pub(in crate::report) title: &'a str,
    /// Ids of sections with what the links to them say.
    pub(in crate::report) nav: &'a [(&'a str, &'a str)],
    /// Sections, as HTML.
    pub(in crate::report) body: &'a str,
    /// Who made it and when.
    pub(in crate::report) made: &'a str,
}

/// The whole page.
pub(in crate::report) fn page(page: &Page<'_>) -> Result<String, ReportError> {
    fill(TEMPLATE, |out, name| {
        match name {
            "style" => out.push_str(STYLE),
            "script" => out.push_str(SCRIPT),
            "script_digest" => out.push_str(&sha256_base64(SCRIPT)),
            "title" => out.push_str(&attribute(&text::label(page.title, 120))),
            "kind" => out.push_str(&line(page.kind, CELL)),
            "name" => out.push_str(&line(page.title, CELL)),
            "nav" => {
                for (at, (id, name)) in page.nav.iter().enumerate() {
                    let space = if at == 0 { "" } else { " " };
                    put!(out, "{space}<a href=\"#{id}\">{}</a>", line(name, CELL));
                }
            }
            "body" => out.push_str(page.body),
            "made" => out.push_str(&line(page.made, CELL)),
            _ => return false,
        }
        true
    })
}

/// Fills the fields of a template in one pass: what is filled in is never looked at again.
pub(in crate::report) fn fill(
    template: &str,
    mut field: impl FnMut(&mut String, &str) -> bool,
) -> Result<String, ReportError> {
    let mut out = String::with_capacity(1 << 18);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or(ReportError::Template)?;
        out.push_str(before);
        if !field(&mut out, name) {
            return Err(ReportError::Template);
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// A plot with its caption, which is also its alternative text.
pub(in crate::report) fn figure(out: &mut String, svg: &str, caption: &str, wide: bool) {
    let class = if wide { " class=\"wide\"" } else { "" };
    let document = svg.find("<svg").map_or(svg, |at| &svg[at..]);
    let named = document.replacen(
        "<svg ",
        &format!(
            "<svg role=\"img\" aria-label=\"{}\" ",
            attribute(&text::label(caption, CELL))
        ),
        1,
    );
    put!(
        out,
        "<figure{class}>{named}<figcaption>{}</figcaption></figure>",
        line(caption, CELL)
    );
}

/// The page with another script in the place of ours, for measuring.
#[cfg(test)]
pub(in crate::report) fn with_script(page: &str, script: &str) -> String {
    page.replace(SCRIPT, script)
        .replace(&sha256_base64(SCRIPT), &sha256_base64(script))
}
