//! From who writes a body to who sends it, on two threads, a few pieces at a time: a body of any length takes
//! no more memory than that.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const PIECE: usize = 64 * 1024;
/// Pieces that may wait to be sent.
const WAITING: usize = 4;

#[derive(Default)]
struct State {
    pieces: VecDeque<Vec<u8>>,
    /// Everything has been written.
    whole: bool,
    /// Nothing more is written.
    left: bool,
    /// Nothing more is sent.
    closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    moved: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the body is written. Unless it is finished, the body counts as broken off.
pub struct Inlet {
    shared: Arc<Shared>,
    piece: Vec<u8>,
    patience: Duration,
}

/// Where the body is read to be sent.
pub struct Outlet {
    shared: Arc<Shared>,
    piece: Vec<u8>,
    at: usize,
}

/// A writer waits no longer than `patience` for room.
pub fn pipe(patience: Duration) -> (Inlet, Outlet) {
    let shared = Arc::<Shared>::default();
    let inlet = Inlet { shared: Arc::clone(&shared), piece: Vec::with_capacity(PIECE), patience };
    (inlet, Outlet { shared, piece: Vec::new(), at: 0 })
}

impl Inlet {
    fn pass_on(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let state = self.shared.state();
        let full = |state: &mut State| state.pieces.len() >= WAITING && !state.closed;
        let waited = self.shared.moved.wait_timeout_while(state, self.patience, full);
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if waited.timed_out() {
            return Err(ErrorKind::TimedOut.into());
        }
        state.pieces.push_back(std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE)));
        drop(state);
        self.shared.moved.notify_all();
        Ok(())
    }

    /// The body is whole.
    pub fn finish(mut self) -> io::Result<()> {
        self.pass_on()?;
        self.shared.state().whole = true;
        Ok(())
    }
}

impl Write for Inlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == PIECE {
            self.pass_on()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.shared.state().left = true;
        self.shared.moved.notify_all();
    }
}

impl Read for Outlet {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            let state = self.shared.state();
            let idle = |state: &mut State| state.pieces.is_empty() && !state.left;
            let mut state = self.shared.moved.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
            match state.pieces.pop_front() {
                Some(piece) => (self.piece, self.at) = (piece, 0),
                None if state.whole => return Ok(0),
                // Half a body must not look like one that is whole.
                None => return Err(ErrorKind::UnexpectedEof.into()),
            }
            drop(state);
            self.shared.moved.notify_all();
        }
        let taken = into.len().min(self.piece.len() - self.at);
        into[..taken].copy_from_slice(&self.piece[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn what_is_written_is_read() {
        let (mut inlet, mut outlet) = pipe(PATIENCE);
        let body: Vec<u8> = (0..1_000_003_u32).map(|at| (at % 251) as u8).collect();
        let expected = body.clone();
        let writing = thread::spawn(move || {
            for part in body.chunks(777) {
                inlet.write_all(part).unwrap();
            }
            inlet.finish().unwrap();
        });
        let mut read = Vec::new();
        outlet.read_to_end(&mut read).unwrap();
        writing.join().unwrap();
        assert!(read == expected);
    }

    #[test]
    fn a_body_that_is_broken_off_is_not_whole() {
        let (mut inlet, mut outlet) = pipe(PATIENCE);
        inlet.write_all(b"half").unwrap();
        drop(inlet);
        assert_eq!(outlet.read_to_end(&mut Vec::new()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_writer_hears_that_nobody_reads() {
        let (mut inlet, outlet) = pipe(PATIENCE);
        drop(outlet);
        assert_eq!(inlet.write_all(&vec![0; 2 * PIECE]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        let (mut inlet, _outlet) = pipe(Duration::from_millis(5));
        assert_eq!(inlet.write_all(&vec![0; 9 * PIECE]).unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
