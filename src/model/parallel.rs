//! Work spread over the cores, in order.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Below this many items a thread costs more than it saves.
const WORTH_A_THREAD: usize = 512;

pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(16)
}

/// `f` over runs of `items`, one result per run, in the order of the items.
pub fn runs<T: Send, U: Send>(items: Vec<T>, f: impl Fn(Vec<T>) -> U + Sync) -> Vec<U> {
    let threads = threads();
    if threads == 1 || items.len() < WORTH_A_THREAD {
        return vec![f(items)];
    }
    let size = items.len().div_ceil(threads);
    let mut rest = items;
    let mut parts = Vec::with_capacity(threads);
    while rest.len() > size {
        let tail = rest.split_off(rest.len() - size);
        parts.push(tail);
    }
    parts.push(rest);
    parts.reverse();
    thread::scope(|scope| {
        let f = &f;
        let running: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || f(part))).collect();
        running.into_iter().map(join).collect()
    })
}

/// `f` over every item, whichever core is free takes the next; results in the order of the items.
pub fn each<T: Sync, U: Send>(items: &[T], f: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, f(item)));
        }
    };
    let threads = threads().min(items.len());
    let mut done: Vec<(usize, U)> = if threads <= 1 {
        work()
    } else {
        thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            running.into_iter().flat_map(join).collect()
        })
    };
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A panic of a thread goes on in the one that waits for it.
pub fn join<T>(handle: thread::ScopedJoinHandle<'_, T>) -> T {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept() {
        for n in [0, 1, 511, 512, 513, 10_001] {
            let out: Vec<usize> = runs((0..n).collect(), |run| run).into_iter().flatten().collect();
            assert_eq!(out, (0..n).collect::<Vec<_>>());
        }
    }
}
