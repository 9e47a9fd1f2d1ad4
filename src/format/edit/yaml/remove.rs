//! Resources that go, with the comments that belong to them alone.

use std::collections::HashSet;
use std::ops::Range;

use super::tree::{Entry, Node};
use super::{Place, odd};
use crate::format::edit::patch::Patch;
use crate::format::edit::{Plan, Refused, lines};

/// Plans all removals together: a mapping that loses all its entries is written otherwise.
pub fn plan(text: &str, top: &Node, gone: &[(usize, Place<'_>)], plan: &mut Plan) {
    for kind in top.entries() {
        let of_kind: Vec<&(usize, Place<'_>)> = gone.iter().filter(|(_, place)| is(place.outer[0], kind)).collect();
        if of_kind.is_empty() {
            continue;
        }
        let mut entries = Vec::new();
        for entry in kind.value.entries() {
            let below: Vec<&&(usize, Place<'_>)> =
                of_kind.iter().filter(|(_, place)| place.outer.last().is_some_and(|outer| is(outer, entry))).collect();
            if of_kind.iter().any(|(_, place)| is(place.entry, entry)) {
                entries.push(entry);
            } else if !below.is_empty() {
                // A user without patterns is not written.
                if below.len() == entry.value.entries().len() {
                    entries.push(entry);
                } else {
                    let patterns: Vec<&Entry> = below.iter().map(|(_, place)| place.entry).collect();
                    let edits: Vec<usize> = below.iter().map(|(at, _)| *at).collect();
                    take(text, entry, &patterns, &edits, plan);
                }
            }
        }
        if !entries.is_empty() {
            let starts: HashSet<usize> = entries.iter().map(|entry| entry.key.span.start).collect();
            let is_taken = |place: &Place<'_>| {
                starts.contains(&place.entry.key.span.start)
                    || place.outer.last().is_some_and(|user| starts.contains(&user.key.span.start))
            };
            let edits: Vec<usize> = of_kind.iter().filter(|(_, place)| is_taken(place)).map(|(at, _)| *at).collect();
            take(text, kind, &entries, &edits, plan);
        }
    }
}

fn is(one: &Entry, other: &Entry) -> bool {
    one.key.span.start == other.key.span.start
}

fn take(text: &str, parent: &Entry, entries: &[&Entry], edits: &[usize], plan: &mut Plan) {
    let made = if parent.value.is_flow() {
        from_brackets(text, &parent.value, entries)
    } else {
        from_block(text, parent, entries)
    };
    match made {
        Ok(patches) => plan.patches.extend(patches),
        Err(reason) => {
            plan.refused.extend(edits.iter().map(|at| Refused { edit: *at, reason: reason.clone() }));
        }
    }
}

fn from_block(text: &str, parent: &Entry, entries: &[&Entry]) -> Result<Vec<Patch>, String> {
    let mut patches = Vec::new();
    let starts: HashSet<usize> = entries.iter().map(|entry| entry.key.span.start).collect();
    if parent.value.entries().len() == starts.len() {
        let colon = parent.colon.ok_or_else(|| odd("the resource"))?;
        patches.push(Patch::insert(colon, " {}"));
    }
    for entry in entries {
        patches.push(Patch::remove(block_lines(text, entry)?));
    }
    Ok(patches)
}

/// The lines of an entry of a block, with its comments.
fn block_lines(text: &str, entry: &Entry) -> Result<Range<usize>, String> {
    let key = entry.key.span.start;
    let mut start = lines::start(text, key);
    let indent = key - start;
    if !lines::is_blank(&text[start..key]) || !lines::is_free(text, entry.end()) {
        return Err(odd("the resource"));
    }
    let mut end = lines::next(text, entry.end());
    while end < text.len() {
        let line = lines::line(text, end);
        if !lines::is_comment(line) || lines::indent(line) <= indent {
            break;
        }
        end = lines::next(text, end);
    }
    let below = lines::line(text, end);
    // Otherwise the comment stands above the next one, too.
    let is_alone =
        end == text.len() || lines::is_blank(below) || lines::is_comment(below) || lines::indent(below) != indent;
    if is_alone {
        while let Some(before) = lines::before(text, start) {
            let line = lines::line(text, before);
            if !lines::is_comment(line) || lines::indent(line) != indent {
                break;
            }
            start = before;
        }
    }
    let is_apart = lines::before(text, start).is_none_or(|before| lines::is_blank(lines::line(text, before)));
    while is_apart && end < text.len() && lines::is_blank(lines::line(text, end)) {
        end = lines::next(text, end);
    }
    Ok(start..end)
}

fn from_brackets(text: &str, map: &Node, gone: &[&Entry]) -> Result<Vec<Patch>, String> {
    let entries = map.entries();
    let is_gone = |at: usize| gone.iter().any(|one| is(one, &entries[at]));
    if gone.len() == entries.len() {
        return Ok(vec![Patch::replace(map.span.clone(), "{}")]);
    }
    let mut patches = Vec::new();
    let mut at = 0;
    while at < entries.len() {
        let first = at;
        while at < entries.len() && is_gone(at) {
            at += 1;
        }
        if at > first {
            patches.push(Patch::remove(run(text, map, first, at)?));
        }
        at += 1;
    }
    Ok(patches)
}

/// The bytes of the entries from `first` to the one before `behind`, with the comma that goes with them.
fn run(text: &str, map: &Node, first: usize, behind: usize) -> Result<Range<usize>, String> {
    let entries = map.entries();
    let (start, end) = (entries[first].key.span.start, entries[behind - 1].end());
    let line = lines::start(text, start);
    let rest = text[end..].trim_start_matches([' ', '\t']);
    let comma = rest.starts_with(',').then(|| text.len() - rest.len() + 1);
    let next = entries.get(behind).map_or(map.span.end - 1, |next| next.key.span.start);
    if lines::is_blank(&text[line..start]) && lines::is_free(text, comma.unwrap_or(end)) && lines::end(text, end) < next
    {
        return Ok(line..lines::next(text, end));
    }
    let range = match (entries.get(behind), first.checked_sub(1)) {
        (Some(next), _) => start..next.key.span.start,
        (None, Some(before)) => entries[before].end()..end,
        (None, None) => start..end,
    };
    if text[range.clone()].contains('#') && text[range.clone()].contains(['\n', '\r']) {
        return Err(odd("the resource"));
    }
    Ok(range)
}
