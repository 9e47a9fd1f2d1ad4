//! Lists: items that stay are not touched, nor are comments on lines of their own.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use compact_str::CompactString;

use super::odd;
use super::scalar::{Quotes, text as scalar};
use super::tree::{Node, Shape};
use crate::format::edit::lines;
use crate::format::edit::patch::Patch;

/// What becomes of the items, in order.
enum Item<'w> {
    Stays(usize),
    Becomes(usize, &'w str),
    Goes(usize),
    New(&'w str),
}

/// The list with other items; neither the old nor the new one is empty.
pub fn rebuild(
    text: &str,
    list: &Node,
    items: &[Node],
    flow: bool,
    wanted: &[CompactString],
    quotes: Quotes,
) -> Result<Patch, String> {
    let old: Vec<Option<&str>> = items.iter().map(Node::text).collect();
    let new: Vec<Option<&str>> = wanted.iter().map(|item| Some(item.as_str())).collect();
    let mut fate = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
        let (_, old, new) = op.as_tag_tuple();
        if matches!(op, DiffOp::Equal { .. }) {
            fate.extend(old.map(Item::Stays));
            continue;
        }
        let shared = old.len().min(new.len());
        fate.extend(old.clone().zip(new.clone()).map(|(at, to)| Item::Becomes(at, &wanted[to])));
        fate.extend(old.skip(shared).map(Item::Goes));
        fate.extend(new.skip(shared).map(|to| Item::New(&wanted[to])));
    }
    let rebuild = Rebuild { text, items, quotes };
    let inside = &text[list.span.clone()];
    if !flow || inside.contains(['\n', '\r']) {
        if let Some(patch) = rebuild.by_lines(list, &fate, flow) {
            return Ok(patch);
        }
        if !flow || inside.contains('#') {
            return Err(odd("the list"));
        }
    }
    Ok(Patch::replace(list.span.clone(), rebuild.on_one_line(inside, &fate)))
}

struct Rebuild<'r> {
    text: &'r str,
    items: &'r [Node],
    quotes: Quotes,
}

impl Rebuild<'_> {
    /// New items are quoted as the first old one is, and one that takes the place of another as that.
    fn item(&self, at: usize, value: &str, flow: bool) -> String {
        let quotes = match &self.items[at].shape {
            Shape::Scalar { style, .. } if self.quotes == Quotes::Plain => Quotes::of(*style),
            _ => self.quotes,
        };
        scalar(value, quotes, flow)
    }

    fn on_one_line(&self, inside: &str, fate: &[Item<'_>]) -> String {
        let pad = if inside.starts_with("[ ") { " " } else { "" };
        let items: Vec<String> = fate
            .iter()
            .filter_map(|item| match item {
                Item::Stays(at) => Some(self.text[self.items[*at].span.clone()].to_owned()),
                Item::Becomes(at, value) => Some(self.item(*at, value, true)),
                Item::New(value) => Some(self.item(0, value, true)),
                Item::Goes(_) => None,
            })
            .collect();
        format!("[{pad}{}{pad}]", items.join(", "))
    }

    /// If every item has lines of its own.
    fn by_lines(&self, list: &Node, fate: &[Item<'_>], flow: bool) -> Option<Patch> {
        let text = self.text;
        let mut rows = Vec::with_capacity(self.items.len());
        for item in self.items {
            let start = lines::start(text, item.span.start);
            let lead = &text[start..item.span.start];
            let fits = if flow { lines::is_blank(lead) } else { lead.trim_matches(' ') == "-" };
            let mut behind = item.span.end;
            if flow && let Some(at) = text[behind..lines::end(text, behind)].find(|c| c != ' ' && c != '\t') {
                behind += if text[behind + at..].starts_with(',') { at + 1 } else { 0 };
            }
            let first = rows.last().is_none_or(|(_, end)| *end <= start);
            if !fits || !first || !lines::is_free(text, behind) {
                return None;
            }
            rows.push((start, lines::next(text, item.span.end)));
        }
        let region = rows.first()?.0..rows.last()?.1;
        if flow && list.span.end <= region.end {
            return None;
        }
        let line_break = lines::line_break(text);
        let lead = &text[region.start..self.items[0].span.start];
        let mut written = String::new();
        for (nth, item) in fate.iter().enumerate() {
            let more = fate[nth + 1..].iter().any(|item| !matches!(item, Item::Goes(_)));
            let (at, row) = match item {
                Item::New(value) => {
                    let comma = if flow { "," } else { "" };
                    written.extend([lead, &self.item(0, value, flow), comma, line_break]);
                    continue;
                }
                Item::Stays(at) => (*at, Some(text[rows[*at].0..rows[*at].1].to_owned())),
                Item::Becomes(at, value) => {
                    let span = &self.items[*at].span;
                    let row =
                        [&text[rows[*at].0..span.start], &self.item(*at, value, flow), &text[span.end..rows[*at].1]];
                    (*at, Some(row.concat()))
                }
                Item::Goes(at) => (*at, None),
            };
            if let Some(mut row) = row {
                let behind = row.len() - (rows[at].1 - self.items[at].span.end);
                if flow && more && !row[behind..].trim_start_matches([' ', '\t']).starts_with(',') {
                    row.insert(behind, ',');
                }
                if row.ends_with(['\n', '\r']) {
                    written.push_str(&row);
                } else {
                    written.push_str(&(row + line_break));
                }
            }
            // Comments between this item and the next.
            let next = rows.get(at + 1).map_or(rows[at].1, |next| next.0);
            written.push_str(&text[rows[at].1..next]);
        }
        if !text[..region.end].ends_with(['\n', '\r']) {
            written.truncate(written.trim_end_matches(['\n', '\r']).len());
        }
        Some(Patch::replace(region, written))
    }
}
