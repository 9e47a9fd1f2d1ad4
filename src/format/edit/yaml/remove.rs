//! Resources that go, with the comments that belong to them alone.

use std::collections::HashMap;
use std::ops::Range;

use super::tree::{Entry, Node};
use super::{Place, odd};
use crate::format::edit::patch::Patch;
use crate::format::edit::{Plan, Refused, lines};

/// The edit and the place of a resource that goes.
type Gone<'t> = (usize, Place<'t>);

/// Plans all removals together: a mapping that loses all its entries is written otherwise.
pub fn plan(text: &str, top: &Node, gone: &[Gone<'_>], plan: &mut Plan) {
    // By what they stand in: a kind, or a user of a pattern.
    let mut below: HashMap<usize, Vec<&Gone<'_>>> = HashMap::new();
    for one in gone {
        let outer = one.1.outer.last().map_or(0, |outer| outer.key.span.start);
        below.entry(outer).or_default().push(one);
    }
    for kind in top.entries() {
        let mut edits = Vec::new();
        let mut entries = Vec::new();
        for (at, place) in below.get(&kind.key.span.start).into_iter().flatten() {
            edits.push(*at);
            entries.push(place.entry);
        }
        for user in kind.value.entries() {
            let Some(patterns) = below.get(&user.key.span.start) else { continue };
            let of_user = patterns.iter().map(|(at, _)| *at);
            if patterns.len() == user.value.entries().len() {
                // A user without patterns is not written.
                edits.extend(of_user);
                entries.push(user);
            } else {
                let patterns = patterns.iter().map(|(_, place)| place.entry).collect();
                take(text, user, patterns, &of_user.collect::<Vec<usize>>(), plan);
            }
        }
        if !entries.is_empty() {
            take(text, kind, entries, &edits, plan);
        }
    }
}

fn is(one: &Entry, other: &Entry) -> bool {
    one.key.span.start == other.key.span.start
}

fn take(text: &str, parent: &Entry, mut entries: Vec<&Entry>, edits: &[usize], plan: &mut Plan) {
    entries.sort_by_key(|entry| entry.key.span.start);
    let made = if parent.value.is_flow() {
        from_brackets(text, &parent.value, &entries)
    } else {
        from_block(text, parent, &entries)
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
    if parent.value.entries().len() == entries.len() {
        let colon = parent.colon.ok_or_else(|| odd("the resource"))?;
        patches.push(Patch::insert(colon, " {}"));
    }
    // From the last one: whether a comment belongs to an entry alone depends on what stays below it.
    let mut below: Option<Lines> = None;
    let mut runs: Vec<Range<usize>> = Vec::new();
    for entry in entries.iter().rev() {
        let lines = block_lines(text, entry, below.as_ref())?;
        match runs.last_mut() {
            Some(run) if run.start == lines.at.end => run.start = lines.at.start,
            _ => runs.push(lines.at.clone()),
        }
        below = Some(lines);
    }
    patches.extend(runs.into_iter().map(|run| Patch::remove(with_blanks(text, run, indent(text, entries[0])))));
    Ok(patches)
}

fn indent(text: &str, entry: &Entry) -> usize {
    entry.key.span.start - lines::start(text, entry.key.span.start)
}

/// With the blank lines below, if there are some above too, or the mapping starts above.
fn with_blanks(text: &str, mut run: Range<usize>, indent: usize) -> Range<usize> {
    let above = lines::before(text, run.start).map(|before| lines::line(text, before));
    let is_apart = above.is_none_or(|line| lines::is_blank(line) || lines::indent(line) < indent);
    while is_apart && run.end < text.len() && lines::is_blank(lines::line(text, run.end)) {
        run.end = lines::next(text, run.end);
    }
    run
}

/// The lines of an entry of a block.
struct Lines {
    /// With the comments above that are the entry's own.
    at: Range<usize>,
    /// Whether nothing that stays follows right behind it.
    is_alone: bool,
}

/// `next` is the entry that goes after this one.
fn block_lines(text: &str, entry: &Entry, next: Option<&Lines>) -> Result<Lines, String> {
    let key = entry.key.span.start;
    let mut start = lines::start(text, key);
    let indent = indent(text, entry);
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
    let is_alone = match next {
        Some(next) if next.at.start == end => next.is_alone,
        _ => lines::is_blank(below) || lines::is_comment(below) || lines::indent(below) != indent,
    };
    // Otherwise a comment above stands above the next one, too.
    if is_alone {
        while let Some(before) = lines::before(text, start) {
            let line = lines::line(text, before);
            if !lines::is_comment(line) || lines::indent(line) != indent {
                break;
            }
            start = before;
        }
    }
    Ok(Lines { at: start..end, is_alone })
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
