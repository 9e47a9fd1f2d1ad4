//! Threads for work that waits for the store: so many for each sort of work, so that no sort takes them all.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::limits::Limits;
use super::problem::Problem;

/// Sorts of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Short answers.
    Quick,
    /// Answers that may be long, and wait for slow readers.
    Stream,
    /// What changes the state.
    Apply,
}

pub struct Pools {
    quick: Arc<Semaphore>,
    stream: Arc<Semaphore>,
    apply: Arc<Semaphore>,
}

impl Pools {
    const QUICK: usize = 32;
    const STREAM: usize = 64;
    /// One of them writes; the others prepare, or wait for it.
    const APPLY: usize = 4;
    /// Bodies that are written to the disk, handshakes and the like.
    const OTHERS: usize = 16;

    pub const THREADS: usize = Self::QUICK + Self::STREAM + Self::APPLY + Self::OTHERS;

    pub fn new() -> Pools {
        let of = |count| Arc::new(Semaphore::new(count));
        Pools { quick: of(Self::QUICK), stream: of(Self::STREAM), apply: of(Self::APPLY) }
    }

    /// A place on a thread, for which a request waits its turn.
    pub async fn place(&self, work: Work) -> Result<OwnedSemaphorePermit, Problem> {
        let pool = match work {
            Work::Quick => &self.quick,
            Work::Stream => &self.stream,
            Work::Apply => &self.apply,
        };
        match timeout(Limits::QUEUE, Arc::clone(pool).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Problem::busy("there is too much to do; the call was not begun")),
        }
    }
}
