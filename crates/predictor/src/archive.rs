//! Knowledge as bytes, which outlives the process and can be handed on.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `warplore` |
//! | 2 | version of the format, little-endian, now 3 |
//! | 8 | number of functions, little-endian |
//! | 4 + n | for each, the one learned from longest ago first: length, little-endian, and the function in postcard |
//! | 32 | Keccak-256 of all before |
//!
//! What is read is checked like any input: nothing in it can make a prediction panic, run without
//! end, or take more memory than allowed.

use crate::{
    predictor::AccessPredictor,
    template::{Template, TemplateParts},
    trace::TemplateKey,
};
use alloy_primitives::Keccak256;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

const MAGIC: [u8; 8] = *b"warplore";
const VERSION: u16 = 3;

/// Most bytes that one function may take in an archive. The largest possible takes less.
const MOST_BYTES: u32 = 64 << 20;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It cannot be read at all.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// It ends before it should.
    #[error("it ends in the middle")]
    Truncated,
    /// Something else than knowledge of a predictor.
    #[error("not an archive of predictor knowledge: it begins with {found:02x?}")]
    Magic {
        /// The first bytes.
        found: [u8; 8],
    },
    /// Written by another version of Warpline.
    #[error("version {found} of the format is unknown, this is version {VERSION}")]
    Version {
        /// The version.
        found: u16,
    },
    /// It is damaged.
    #[error("function {index} of {count}: {problem}")]
    Function {
        /// Its place in the archive.
        index: u64,
        /// How many there should be.
        count: u64,
        /// What is wrong.
        problem: String,
    },
    /// The last bytes do not fit the others.
    #[error("the checksum is wrong")]
    Checksum,
    /// It does not end where it should.
    #[error("something follows the checksum")]
    Trailing,
}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Io(error),
        }
    }
}

/// A function in an archive.
#[derive(Serialize, Deserialize)]
struct Record<'a> {
    key: TemplateKey,
    template: TemplateParts<'a>,
}

impl AccessPredictor {
    /// Writes down all that is known.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn save(&self, to: impl Write) -> io::Result<()> {
        let mut to = Hashed::new(to);
        to.write_all(&MAGIC)?;
        to.write_all(&VERSION.to_le_bytes())?;
        to.write_all(&(self.len() as u64).to_le_bytes())?;
        for (key, template) in self.oldest_first() {
            let record = Record { key, template: template.parts() };
            let bytes = postcard::to_allocvec(&record).map_err(io::Error::other)?;
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            to.write_all(&length.to_le_bytes())?;
            to.write_all(&bytes)?;
        }
        let checksum = to.hash.finalize();
        to.inner.write_all(checksum.as_slice())?;
        to.inner.flush()
    }

    /// Adds what was written down, except where something is known already. If it does not all
    /// fit, what was learned from last is kept.
    ///
    /// # Errors
    /// The archive is of another kind or version, or damaged; then nothing is added.
    pub fn load(&mut self, from: impl Read) -> Result<(), ArchiveError> {
        let mut from = Hashed::new(from);
        let found = from.array()?;
        if found != MAGIC {
            return Err(ArchiveError::Magic { found });
        }
        let found = u16::from_le_bytes(from.array()?);
        if found != VERSION {
            return Err(ArchiveError::Version { found });
        }
        let count = u64::from_le_bytes(from.array()?);
        let mut read = Self::new(self.memory());
        for index in 0..count {
            let wrong = |problem| ArchiveError::Function { index, count, problem };
            let (key, template) = function(&mut from).map_err(wrong)?;
            read.insert(key, template);
        }
        let expected = from.hash.clone().finalize();
        let mut checksum = [0; 32];
        from.inner.read_exact(&mut checksum)?;
        if checksum != expected {
            return Err(ArchiveError::Checksum);
        }
        if from.inner.read(&mut [0])? > 0 {
            return Err(ArchiveError::Trailing);
        }
        self.merge(read);
        Ok(())
    }
}

/// The next function.
fn function(from: &mut Hashed<impl Read>) -> Result<(TemplateKey, Template), String> {
    let length = from.array().map(u32::from_le_bytes).map_err(|error| error.to_string())?;
    if length > MOST_BYTES {
        return Err(format!("{length} bytes are more than any can take"));
    }
    let mut bytes = Vec::new();
    let mut limited = from.take(length.into());
    limited.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() < length as usize {
        return Err(format!("it ends after {} of {length} bytes", bytes.len()));
    }
    let (record, rest) =
        postcard::take_from_bytes::<Record<'_>>(&bytes).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err(format!("{} bytes too many", rest.len()));
    }
    let Record { key, template } = record;
    let template = Template::rebuilt(template).ok_or("it contradicts itself")?;
    Ok((key, template))
}

/// Reads or writes, and hashes what passes.
struct Hashed<T> {
    inner: T,
    hash: Keccak256,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self { inner, hash: Keccak256::new() }
    }
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hash.update(&bytes[..read]);
        Ok(read)
    }
}

impl<T: Read> Hashed<T> {
    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
