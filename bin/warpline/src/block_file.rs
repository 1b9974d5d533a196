//! Files of blocks: their RLP one after the other, as geth's `export` writes them, plain or
//! gzipped. Read as a stream, one block in memory at a time.

use crate::{patient::Patient, stop::Stop};
use alloy_consensus::{Block, Header};
use alloy_primitives::{B256, keccak256};
use alloy_rlp::Decodable;
use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};
use warpline_executor::EthTransaction;

/// More bytes than any block has: what claims to be longer is something else.
const MAX_BLOCK: usize = 128 << 20;

/// What gzipped files begin with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file that cannot be imported further.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be opened.
    #[error("{}: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    /// Something in it is wrong.
    #[error("{}: at byte {offset}{}: {problem}", path.display(), after(*previous))]
    At { path: PathBuf, offset: u64, previous: Option<u64>, problem: Problem },
}

fn after(previous: Option<u64>) -> String {
    previous.map_or_else(String::new, |number| format!(", after block {number}"))
}

/// What can be wrong at some place of a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
    #[error("the gzip data is damaged or cut off: {0}")]
    Gzip(#[source] io::Error),
    #[error("byte {0:#04x} does not begin a block: is this a file of RLP blocks?")]
    NotAList(u8),
    #[error("a list of {0} bytes begins here, which is no block")]
    TooLong(u64),
    #[error("the file is cut off: a block of {length} bytes begins here, {there} are left")]
    Truncated { length: usize, there: usize },
    #[error("not a block: {0}")]
    NotABlock(#[source] alloy_rlp::Error),
    #[error("block {number} cannot be decoded: {error}")]
    Block { number: u64, error: alloy_rlp::Error },
    #[error("genesis block {there} begins another chain than {ours}, with which the database does")]
    OtherGenesis { there: B256, ours: B256 },
}

/// One block as it stands in its file.
#[derive(Debug)]
pub(crate) struct RawBlock {
    /// Where it begins, in bytes; of a gzipped file, in what is unpacked.
    pub(crate) offset: u64,
    rlp: Vec<u8>,
}

impl RawBlock {
    /// The encoded header.
    fn header(&self) -> Result<&[u8], alloy_rlp::Error> {
        let mut block = self.rlp.as_slice();
        let outer = alloy_rlp::Header::decode(&mut block)?;
        if !outer.list {
            return Err(alloy_rlp::Error::UnexpectedString);
        }
        let mut rest = block;
        let header = alloy_rlp::Header::decode(&mut rest)?;
        let length = block.len() - rest.len() + header.payload_length;
        block.get(..length).filter(|_| header.list).ok_or(alloy_rlp::Error::UnexpectedString)
    }

    /// The hash of the block, without decoding it; none where it is not one.
    pub(crate) fn hash(&self) -> Option<B256> {
        self.header().ok().map(keccak256)
    }

    /// The block.
    pub(crate) fn decode(&self) -> Result<Block<EthTransaction>, Problem> {
        let header = self.header().and_then(|mut header| Header::decode(&mut header));
        let number = header.map_err(Problem::NotABlock)?.number;
        alloy_rlp::decode_exact(&self.rlp).map_err(|error| Problem::Block { number, error })
    }
}

/// A file of blocks that is being read.
pub(crate) struct BlockFile {
    path: PathBuf,
    input: Box<dyn BufRead + Send>,
    gzipped: bool,
    position: u64,
    previous: Option<u64>,
}

impl core::fmt::Debug for BlockFile {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut shown = f.debug_struct("BlockFile");
        shown.field("path", &self.path).field("position", &self.position).finish_non_exhaustive()
    }
}

impl BlockFile {
    /// Whether nothing has been read from it.
    pub(crate) const fn is_at_start(&self) -> bool {
        self.position == 0
    }

    /// Opens a file; `progress` is told of the bytes that are read. One that keeps the reader
    /// waiting ends when `stop` says so.
    pub(crate) fn open(
        path: &Path,
        progress: &ProgressBar,
        stop: &Stop,
    ) -> Result<Self, FileError> {
        let failed = |source| FileError::Open { path: path.to_owned(), source };
        let file: Box<dyn Read + Send> = match fs::metadata(path).map_err(failed)?.is_file() {
            true => Box::new(File::open(path).map_err(failed)?),
            false => Box::new(Patient::new(path.to_owned(), stop.clone()).map_err(failed)?),
        };
        let mut input = BufReader::with_capacity(1 << 20, progress.wrap_read(file));
        let gzipped = input.fill_buf().map_err(failed)?.starts_with(&GZIP);
        let input: Box<dyn BufRead + Send> = match gzipped {
            true => Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(input))),
            false => Box::new(input),
        };
        Ok(Self { path: path.to_owned(), input, gzipped, position: 0, previous: None })
    }

    /// The next block, not decoded; none at the end of the file.
    pub(crate) fn next_block(&mut self) -> Result<Option<RawBlock>, FileError> {
        let offset = self.position;
        self.read_block().map_err(|problem| self.error(offset, problem))
    }

    /// Takes note of the number of the block read last, for errors behind it.
    pub(crate) fn passed(&mut self, number: u64) {
        self.previous = Some(number);
    }

    /// Says where a problem is.
    pub(crate) fn error(&self, offset: u64, problem: Problem) -> FileError {
        FileError::At { path: self.path.clone(), offset, previous: self.previous, problem }
    }

    fn read_block(&mut self) -> Result<Option<RawBlock>, Problem> {
        let offset = self.position;
        let mut rlp = Vec::new();
        if self.read(1, &mut rlp)? == 0 {
            return Ok(None);
        }
        let length = match rlp[0] {
            first @ 0xc0..=0xf7 => u64::from(first - 0xc0),
            first @ 0xf8.. => {
                let bytes = usize::from(first - 0xf7);
                self.read_exact(bytes, &mut rlp)?;
                rlp[1..].iter().fold(0, |length, byte| length << 8 | u64::from(*byte))
            }
            other => return Err(Problem::NotAList(other)),
        };
        match usize::try_from(length) {
            Ok(length) if length <= MAX_BLOCK => self.read_exact(length, &mut rlp)?,
            _ => return Err(Problem::TooLong(length)),
        }
        Ok(Some(RawBlock { offset, rlp }))
    }

    fn read_exact(&mut self, length: usize, to: &mut Vec<u8>) -> Result<(), Problem> {
        let before = to.len();
        let there = self.read(length, to)?;
        let (length, there) = (before + length, before + there);
        if there == length { Ok(()) } else { Err(Problem::Truncated { length, there }) }
    }

    fn read(&mut self, length: usize, to: &mut Vec<u8>) -> Result<usize, Problem> {
        let read = self.input.as_mut().take(length as u64).read_to_end(to);
        let read = read.map_err(|error| match self.gzipped {
            true => Problem::Gzip(error),
            false => Problem::Read(error),
        })?;
        self.position += read as u64;
        Ok(read)
    }
}
