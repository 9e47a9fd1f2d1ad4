//! The digest of a plan, by which consent names it.

use crate::model::{Change, Origin, Plan, Value, parallel};

/// The digest of a plan: over the base revision, the configuration's digest and the changes, and
/// nothing else. Hexadecimal.
pub fn digest(plan: &Plan) -> String {
    const RUN: usize = 4_096;
    let chunks: Vec<&[Change]> = plan.changes.chunks(RUN).collect();
    // Runs of runs: threads take whole chunks, so the digest does not depend on their number.
    let parts: Vec<blake3::Hash> = parallel::each(&chunks, |chunk| {
        // One long text: BLAKE3 is many times faster on it than on small pieces.
        let mut bytes = Vec::with_capacity(RUN * 512);
        for change in *chunk {
            let start = bytes.len();
            bytes.extend_from_slice(&[0; 8]);
            encode(plan, change, &mut bytes);
            let len = (bytes.len() - start - 8) as u64;
            bytes[start..start + 8].copy_from_slice(&len.to_le_bytes());
        }
        blake3::hash(&bytes)
    });
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"yubin plan 2\n");
    hasher.update(&plan.base.revision.to_le_bytes());
    hasher.update(plan.config_digest.as_bytes());
    for hash in parts {
        hasher.update(hash.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The change as its JSON shows it, in fewer bytes: of secrets only how they change.
fn encode(plan: &Plan, change: &Change, to: &mut Vec<u8>) {
    fn text(to: &mut Vec<u8>, text: &str) {
        to.extend_from_slice(&(text.len() as u32).to_le_bytes());
        to.extend_from_slice(text.as_bytes());
    }
    fn side(to: &mut Vec<u8>, value: Option<&Value>) {
        match value {
            None => to.push(0),
            Some(Value::Bool(value)) => to.extend([1, u8::from(*value)]),
            Some(Value::Int(value)) => {
                to.push(2);
                to.extend(value.to_le_bytes());
            }
            Some(Value::Text(value)) => {
                to.push(3);
                text(to, value);
            }
            Some(Value::List(items)) => {
                to.push(4);
                to.extend((items.len() as u32).to_le_bytes());
                items.iter().for_each(|item| text(to, item));
            }
            Some(Value::Size(size)) => {
                to.push(5);
                to.extend(size.unwrap_or(u64::MAX).to_le_bytes());
            }
            Some(Value::Sealed(_) | Value::Hashed(_) | Value::Unhashed(_) | Value::Unknown) => to.push(6),
        }
    }
    text(to, change.action.name());
    text(to, change.kind.name());
    text(to, change.key.as_joined());
    to.push(u8::from(change.source.is_some()));
    if let Some(source) = change.source {
        text(to, plan.file(source));
        to.extend(source.place.line.to_le_bytes());
        to.extend(source.place.column.to_le_bytes());
    }
    to.push(u8::from(change.adopted));
    text(to, change.previously().map_or("", crate::model::Key::as_joined));
    to.push(u8::from(change.is_restored()));
    to.extend(change.grace().map_or(0, crate::model::Grace::seconds).to_le_bytes());
    text(to, change.reason().unwrap_or_default());
    to.extend((change.fields.len() as u32).to_le_bytes());
    for one in &change.fields {
        let spec = change.kind.field(one.field);
        text(to, spec.name);
        if spec.is_secret() {
            text(to, one.secret().name());
        } else {
            side(to, one.before.as_deref());
            side(to, one.after.as_ref());
        }
        to.push(u8::from(one.origin == Origin::Default));
    }
}
