//! Input that keeps one waiting: a pipe, a terminal.

use crate::stop::{PATIENCE, Stop};
use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
};

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 16;

/// Chunks that are read ahead.
const AHEAD: usize = 16;

/// Reads on a thread of its own, which ends with the process at the latest. Comes to its end when
/// the user wants one.
#[derive(Debug)]
pub(crate) struct Patient {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: io::Cursor<Vec<u8>>,
    stop: Stop,
}

impl Patient {
    /// Begins to open a file and to read it: what cannot be opened is an error of the first read.
    pub(crate) fn new(path: PathBuf, stop: Stop) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(AHEAD);
        thread::Builder::new().name("input".into()).spawn(move || {
            if let Err(error) = File::open(path).and_then(|file| read_all(file, &sender)) {
                let _nobody_reads = sender.send(Err(error));
            }
        })?;
        Ok(Self { chunks, chunk: io::Cursor::default(), stop })
    }
}

/// Until the end, or until nobody wants more.
fn read_all(mut file: File, chunks: &SyncSender<io::Result<Vec<u8>>>) -> io::Result<()> {
    loop {
        let mut chunk = vec![0; CHUNK];
        let length = match file.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        chunk.truncate(length);
        if length == 0 || chunks.send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.chunk.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            match self.chunks.recv_timeout(PATIENCE) {
                Ok(chunk) => self.chunk = io::Cursor::new(chunk?),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) if self.stop.requested() => return Ok(0),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}
