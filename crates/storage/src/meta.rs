//! The metadata table: what the database is, and how far its parts have come.

use crate::{
    BlockRef, StorageError, Table,
    codec::{DecodeError, Input},
    engine::{Change, Read, WriteTx},
};
use alloy_primitives::{B256, Bytes};

const SCHEMA: &[u8] = b"schema";
const IDENTITY: &[u8] = b"identity";
const HEAD: &[u8] = b"head";
const PROGRESS: &[u8] = b"progress";
const CLEAN: &[u8] = b"clean";
const DESCRIPTION: &[u8] = b"description";
pub(crate) const FINALITY: &[u8] = b"finality";

/// Which chain a database holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The chain id of EIP-155.
    pub chain_id: u64,
    /// Hash of block 0.
    pub genesis: B256,
}

/// How far indexing and pruning have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The history indices cover the changes of all kept blocks up to this one.
    pub indexed_to: u64,
    /// The first block whose state after it can be read. Change sets begin with the next block.
    pub history_from: u64,
    /// The first block whose receipts are kept.
    pub receipts_from: u64,
    /// The first block whose senders are kept.
    pub senders_from: u64,
}

/// Which blocks of the chain its consensus calls safe and finalized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finality {
    /// The safe block.
    pub safe: Option<BlockRef>,
    /// The finalized block.
    pub finalized: Option<BlockRef>,
}

impl Finality {
    fn map(self, each: impl Fn(Option<BlockRef>) -> Option<BlockRef>) -> Self {
        Self { safe: each(self.safe), finalized: each(self.finalized) }
    }

    /// Both, the safe block first.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = BlockRef> {
        self.safe.into_iter().chain(self.finalized)
    }

    /// Without blocks above a height.
    pub(crate) fn up_to(self, number: u64) -> Self {
        self.map(|block| block.filter(|block| block.number <= number))
    }

    /// What to write where `self` is wanted, `written` is in the file, and the file goes up to
    /// block `number`: of a block that is not there yet, the one before stays.
    pub(crate) fn to_write(self, written: Self, number: u64) -> Self {
        let beyond = |block: Option<BlockRef>| block.is_some_and(|block| block.number > number);
        Self {
            safe: if beyond(self.safe) { written.safe } else { self.safe },
            finalized: if beyond(self.finalized) { written.finalized } else { self.finalized },
        }
    }
}

fn read<T>(
    tx: &impl Read,
    name: &[u8],
    decode: impl Fn(&mut Input<'_>) -> Result<T, DecodeError>,
) -> Result<Option<T>, StorageError> {
    let Some(bytes) = tx.get(Table::Metadata, name)? else { return Ok(None) };
    let mut input = Input(&bytes);
    let value = decode(&mut input).and_then(|value| input.end().map(|()| value));
    value.map(Some).map_err(|error| error.at(Table::Metadata, name))
}

fn write(tx: &WriteTx, name: &[u8], value: &[u8]) -> Result<(), StorageError> {
    tx.writer(Table::Metadata)?.put(name, value)
}

fn number(input: &mut Input<'_>) -> Result<u64, DecodeError> {
    input.array().map(u64::from_be_bytes)
}

pub(crate) fn schema(tx: &impl Read) -> Result<Option<u32>, StorageError> {
    read(tx, SCHEMA, |input| input.array().map(u32::from_be_bytes))
}

pub(crate) fn set_schema(tx: &WriteTx, version: u32) -> Result<(), StorageError> {
    write(tx, SCHEMA, &version.to_be_bytes())
}

pub(crate) fn identity(tx: &impl Read) -> Result<Option<Identity>, StorageError> {
    read(tx, IDENTITY, |input| Ok(Identity { chain_id: number(input)?, genesis: input.hash()? }))
}

pub(crate) fn set_identity(tx: &WriteTx, identity: &Identity) -> Result<(), StorageError> {
    let mut value = identity.chain_id.to_be_bytes().to_vec();
    value.extend_from_slice(identity.genesis.as_slice());
    write(tx, IDENTITY, &value)
}

/// The head; `None` while the genesis state is not complete.
pub(crate) fn head(tx: &impl Read) -> Result<Option<BlockRef>, StorageError> {
    read(tx, HEAD, |input| Ok(BlockRef { number: number(input)?, hash: input.hash()? }))
}

/// The head of a complete database.
pub(crate) fn known_head(tx: &impl Read) -> Result<BlockRef, StorageError> {
    head(tx)?.ok_or_else(|| missing(HEAD))
}

pub(crate) fn set_head(tx: &WriteTx, head: BlockRef) -> Result<(), StorageError> {
    let mut value = head.number.to_be_bytes().to_vec();
    value.extend_from_slice(head.hash.as_slice());
    write(tx, HEAD, &value)
}

pub(crate) fn progress(tx: &impl Read) -> Result<Progress, StorageError> {
    let decoded = read(tx, PROGRESS, |input| {
        Ok(Progress {
            indexed_to: number(input)?,
            history_from: number(input)?,
            receipts_from: number(input)?,
            senders_from: number(input)?,
        })
    })?;
    decoded.ok_or_else(|| missing(PROGRESS))
}

pub(crate) fn set_progress(tx: &WriteTx, progress: &Progress) -> Result<(), StorageError> {
    let Progress { indexed_to, history_from, receipts_from, senders_from } = *progress;
    let numbers = [indexed_to, history_from, receipts_from, senders_from];
    write(tx, PROGRESS, numbers.map(u64::to_be_bytes).as_flattened())
}

/// Two blocks, a hash of zeros where there is none; no entry where there never was one.
pub(crate) fn finality(tx: &impl Read) -> Result<Finality, StorageError> {
    let found = read(tx, FINALITY, |input| {
        let mut block = || Ok(BlockRef { number: number(input)?, hash: input.hash()? });
        Ok(Finality { safe: Some(block()?), finalized: Some(block()?) })
    })?;
    Ok(found.unwrap_or_default().map(|block| block.filter(|block| !block.hash.is_zero())))
}

pub(crate) fn set_finality(tx: &WriteTx, finality: &Finality) -> Result<(), StorageError> {
    let mut value = Vec::with_capacity(80);
    for block in [finality.safe, finality.finalized].map(Option::unwrap_or_default) {
        value.extend_from_slice(&block.number.to_be_bytes());
        value.extend_from_slice(block.hash.as_slice());
    }
    write(tx, FINALITY, &value)
}

/// Whether the last process that wrote has shut down in order.
pub(crate) fn clean(tx: &impl Read) -> Result<bool, StorageError> {
    Ok(read(tx, CLEAN, |input| input.byte())? == Some(1))
}

pub(crate) fn set_clean(tx: &WriteTx, clean: bool) -> Result<(), StorageError> {
    write(tx, CLEAN, &[u8::from(clean)])
}

/// What whoever made the database wrote about its chain.
pub(crate) fn description(tx: &impl Read) -> Result<Option<Bytes>, StorageError> {
    let found = tx.get(Table::Metadata, DESCRIPTION)?;
    Ok(found.map(|bytes| Bytes::copy_from_slice(&bytes)))
}

pub(crate) fn set_description(tx: &WriteTx, description: &[u8]) -> Result<(), StorageError> {
    write(tx, DESCRIPTION, description)
}

fn missing(name: &'static [u8]) -> StorageError {
    let problem = "the entry is missing";
    StorageError::Inconsistent { table: Table::Metadata, key: name.into(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        StorageOptions,
        engine::{Access, Engine},
    };
    use alloy_primitives::hex;

    fn block(number: u64) -> BlockRef {
        BlockRef { number, hash: B256::repeat_byte(number as u8) }
    }

    #[test]
    fn every_entry_comes_back_and_its_bytes_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let options = StorageOptions::default().engine(Access::Create);
        let engine = Engine::open(folder.path(), &options).unwrap();
        let id = Identity { chain_id: 7, genesis: B256::repeat_byte(0x0a) };
        let parts =
            Progress { indexed_to: 4, history_from: 3, receipts_from: 2, senders_from: 0x0100 };
        let final_block = Finality { safe: None, finalized: Some(block(8)) };
        let tx = engine.write().unwrap();
        set_schema(&tx, 0x0102).unwrap();
        set_identity(&tx, &id).unwrap();
        set_head(&tx, block(9)).unwrap();
        set_progress(&tx, &parts).unwrap();
        set_finality(&tx, &final_block).unwrap();
        set_clean(&tx, true).unwrap();
        set_description(&tx, b"words").unwrap();
        tx.commit().unwrap();

        let tx = engine.read().unwrap();
        assert_eq!(schema(&tx).unwrap(), Some(0x0102));
        assert_eq!(identity(&tx).unwrap(), Some(id));
        assert_eq!(head(&tx).unwrap(), Some(block(9)));
        assert_eq!(progress(&tx).unwrap(), parts);
        assert_eq!(finality(&tx).unwrap(), final_block);
        assert!(clean(&tx).unwrap());
        assert_eq!(description(&tx).unwrap().unwrap().as_ref(), b"words");
        let hash = |byte: &str| byte.repeat(32);
        let stored = [
            ("schema", "00000102".to_owned()),
            ("identity", format!("0000000000000007{}", hash("0a"))),
            ("head", format!("0000000000000009{}", hash("09"))),
            (
                "progress",
                "0000000000000004000000000000000300000000000000020000000000000100".to_owned(),
            ),
            ("finality", format!("0000000000000000{}0000000000000008{}", hash("00"), hash("08"))),
            ("clean", "01".to_owned()),
            ("description", hex::encode("words")),
        ];
        for (name, bytes) in stored {
            let found = tx.get(Table::Metadata, name.as_bytes()).unwrap().unwrap();
            assert_eq!(hex::encode(&*found), bytes, "{name}");
        }
    }
}
