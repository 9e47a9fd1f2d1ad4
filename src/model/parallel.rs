//! Work spread over the cores, in order.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Items of a run: enough to be worth a turn, few enough to stay in a core's cache.
const RUN: usize = 2_048;

pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(16)
}

/// `f` over runs of `items`, whichever core is free takes the next; results in the order of the
/// items. What a run leaves behind is freed before the next one, so millions of items never stand
/// in memory in two forms.
pub fn runs<T: Send, U: Send>(items: Vec<T>, f: impl Fn(Vec<T>) -> U + Sync) -> Vec<U> {
    let count = items.len().div_ceil(RUN);
    let queue = Mutex::new((0, items.into_iter()));
    let work = || {
        let mut done = Vec::new();
        loop {
            let (at, run) = {
                let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                let run: Vec<T> = queue.1.by_ref().take(RUN).collect();
                queue.0 += 1;
                (queue.0, run)
            };
            if run.is_empty() {
                return done;
            }
            done.push((at, f(run)));
        }
    };
    in_order(count, work)
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
    in_order(items.len(), work)
}

/// `work` on as many cores as there are pieces of it; the numbered results in their order.
fn in_order<U: Send>(pieces: usize, work: impl Fn() -> Vec<(usize, U)> + Sync) -> Vec<U> {
    let threads = threads().min(pieces);
    let mut done: Vec<(usize, U)> = if threads <= 1 {
        work()
    } else {
        thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(&work)).collect();
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
        for n in [0, 1, 2_047, 2_048, 2_049, 10_001] {
            let out: Vec<usize> = runs((0..n).collect(), |run| run).into_iter().flatten().collect();
            assert_eq!(out, (0..n).collect::<Vec<_>>());
        }
    }
}
