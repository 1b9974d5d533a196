//! The receipts of a block: a version, then one after the other `type | status | cumulative gas
//! (varint) | number of logs (varint) | logs`. Status is 0 or 1, or 2 with a state root behind it
//! (before Byzantium). A log is `address | number of topics | topics | length of data (varint) |
//! data`. Blooms are derived, not stored.

use super::{DecodeError, Input, put_varint};
use crate::StoredReceipt;
use alloy_consensus::{Eip658Value, Receipt, TxType};
use alloy_primitives::{Address, B256, Bytes, Log, LogData};

const VERSION: u8 = 1;
const POST_STATE: u8 = 2;

/// All receipts of a block.
pub(crate) fn encode_receipts(receipts: &[StoredReceipt]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + 8 * receipts.len());
    out.push(VERSION);
    for StoredReceipt { tx_type, receipt } in receipts {
        out.push(*tx_type as u8);
        match receipt.status {
            Eip658Value::Eip658(success) => out.push(u8::from(success)),
            Eip658Value::PostState(root) => {
                out.push(POST_STATE);
                out.extend_from_slice(root.as_slice());
            }
        }
        put_varint(&mut out, receipt.cumulative_gas_used);
        put_varint(&mut out, receipt.logs.len() as u64);
        receipt.logs.iter().for_each(|log| encode_log(&mut out, log));
    }
    out
}

/// All receipts of a block back.
pub(crate) fn decode_receipts(bytes: &[u8]) -> Result<Vec<StoredReceipt>, DecodeError> {
    let mut input = Input(bytes);
    input.version(VERSION)?;
    let mut receipts = Vec::new();
    while !input.0.is_empty() {
        receipts.push(decode_receipt(&mut input)?);
    }
    Ok(receipts)
}

fn decode_receipt(input: &mut Input<'_>) -> Result<StoredReceipt, DecodeError> {
    let tx_type = TxType::try_from(input.byte()?)
        .map_err(|_| DecodeError::Field("a receipt has an unknown transaction type"))?;
    let status = match input.byte()? {
        bit @ (0 | 1) => Eip658Value::Eip658(bit == 1),
        POST_STATE => Eip658Value::PostState(input.hash()?),
        _ => return Err(DecodeError::Field("a receipt has an unknown status")),
    };
    let cumulative_gas_used = input.varint()?;
    let count = input.length()?;
    // An entry takes 22 bytes at least: what a length promises is not trusted with memory.
    let mut logs = Vec::with_capacity(count.min(input.0.len() / 22));
    for _ in 0..count {
        logs.push(decode_log(input)?);
    }
    Ok(StoredReceipt { tx_type, receipt: Receipt { status, cumulative_gas_used, logs } })
}

fn encode_log(out: &mut Vec<u8>, log: &Log) {
    out.extend_from_slice(log.address.as_slice());
    out.push(log.topics().len() as u8);
    log.topics().iter().for_each(|topic| out.extend_from_slice(topic.as_slice()));
    put_varint(out, log.data.data.len() as u64);
    out.extend_from_slice(&log.data.data);
}

fn decode_log(input: &mut Input<'_>) -> Result<Log, DecodeError> {
    let address = Address::new(input.array()?);
    let topics = usize::from(input.byte()?);
    if topics > 4 {
        return Err(DecodeError::Field("a log has more than four topics"));
    }
    let topics = (0..topics).map(|_| input.hash()).collect::<Result<Vec<B256>, _>>()?;
    let length = input.length()?;
    let data = Bytes::copy_from_slice(input.take(length)?);
    Ok(Log { address, data: LogData::new_unchecked(topics, data) })
}
