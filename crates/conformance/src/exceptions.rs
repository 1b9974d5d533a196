//! What fixtures call the reasons for which a transaction or block is invalid, and what we call
//! them.
//!
//! A name stands for every reason with which a correct node may reject what the fixture has: the
//! order of checks is not part of the protocol, and the fixtures often break two rules at once.

use warpline_chain::Reason::{self, *};

/// Every name and the reasons it may stand for. Sorted by name.
const TABLE: &[(&str, &[Reason])] = &[
    ("1559BlockImportImpossible_BaseFeeWrong", &[BaseFee]),
    ("1559BlockImportImpossible_HeaderIsLegacy", &[BaseFee, HeaderFields, GasLimit]),
    ("3675PoSBlockRejected", &[Merge, Difficulty, BaseFee]),
    ("3675PoWBlockRejected", &[Merge, Difficulty]),
    ("3675PreParis1559BlockRejected", &[Merge, Difficulty, OmmersAfterMerge]),
    ("BlockException.BLOB_GAS_USED_ABOVE_LIMIT", &[BlobGasLimit, BlobGasUsed, BlobCount]),
    ("BlockException.BLOCK_ACCESS_LIST_GAS_LIMIT_EXCEEDED", &[AccessListSize]),
    ("BlockException.EXTRA_DATA_INVALID_DAO", &[DaoExtraData]),
    ("BlockException.EXTRA_DATA_TOO_BIG", &[ExtraDataSize]),
    ("BlockException.GASLIMIT_TOO_BIG", &[GasLimit]),
    ("BlockException.GAS_USED_OVERFLOW", &[GasUsedAboveLimit, GasAllowance, GasUsed]),
    ("BlockException.IMPORT_IMPOSSIBLE_DIFFICULTY_OVER_PARIS", &[Difficulty, Merge]),
    ("BlockException.IMPORT_IMPOSSIBLE_LEGACY_WRONG_PARENT", &[BaseFee, HeaderFields]),
    ("BlockException.IMPORT_IMPOSSIBLE_LONDON_WRONG_PARENT", &[BaseFee, HeaderFields]),
    ("BlockException.IMPORT_IMPOSSIBLE_PARIS_OVER_SHANGHAI", &[HeaderFields]),
    ("BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POS", &[Merge, Difficulty]),
    ("BlockException.IMPORT_IMPOSSIBLE_PARIS_WRONG_POW", &[Merge, Difficulty]),
    ("BlockException.IMPORT_IMPOSSIBLE_SHANGHAI", &[HeaderFields]),
    ("BlockException.IMPORT_IMPOSSIBLE_UNCLES_OVER_PARIS", &[OmmersAfterMerge, OmmersHash]),
    ("BlockException.INCORRECT_BLOB_GAS_USED", &[BlobGasUsed, HeaderFields]),
    ("BlockException.INCORRECT_BLOCK_FORMAT", &[Encoding, HeaderFields, AccessList]),
    ("BlockException.INCORRECT_EXCESS_BLOB_GAS", &[ExcessBlobGas, HeaderFields]),
    ("BlockException.INVALID_BAL_HASH", &[AccessList]),
    ("BlockException.INVALID_BASEFEE_PER_GAS", &[BaseFee]),
    ("BlockException.INVALID_BLOCK_ACCESS_LIST", &[AccessList]),
    ("BlockException.INVALID_BLOCK_HASH", &[BlockHash]),
    ("BlockException.INVALID_BLOCK_NUMBER", &[Number]),
    ("BlockException.INVALID_BLOCK_TIMESTAMP_OLDER_THAN_PARENT", &[Timestamp]),
    ("BlockException.INVALID_DEPOSIT_EVENT_LAYOUT", &[Deposit]),
    ("BlockException.INVALID_DIFFICULTY", &[Difficulty]),
    ("BlockException.INVALID_GASLIMIT", &[GasLimit]),
    ("BlockException.INVALID_GAS_USED", &[GasUsed]),
    ("BlockException.INVALID_RECEIPTS_ROOT", &[ReceiptsRoot]),
    ("BlockException.INVALID_REQUESTS", &[RequestsHash]),
    ("BlockException.INVALID_STATE_ROOT", &[StateRoot]),
    ("BlockException.INVALID_VERSIONED_HASHES", &[VersionedHashes]),
    ("BlockException.INVALID_WITHDRAWALS_ROOT", &[WithdrawalsRoot]),
    ("BlockException.RLP_BLOCK_LIMIT_EXCEEDED", &[BlockSize]),
    ("BlockException.RLP_INVALID_FIELD_OVERFLOW_64", &[Encoding]),
    ("BlockException.RLP_STRUCTURES_ENCODING", &[Encoding]),
    ("BlockException.RLP_WITHDRAWALS_NOT_READ", &[Encoding, HeaderFields]),
    ("BlockException.SYSTEM_CONTRACT_CALL_FAILED", &[SystemCall]),
    ("BlockException.SYSTEM_CONTRACT_EMPTY", &[SystemContractAbsent]),
    ("BlockException.UNCLE_PARENT_INCORRECT", &[OmmerParent]),
    ("BlockException.UNKNOWN_PARENT", &[UnknownParent]),
    ("BlockGasLimitReached", &[GasAllowance]),
    ("ExtraDataIncorrectDAO", &[DaoExtraData]),
    ("ExtraDataTooBig", &[ExtraDataSize]),
    ("INPUT_UNMARSHAL_ERROR", &[Encoding]),
    ("IntrinsicGas", &[IntrinsicGas]),
    ("InvalidBlockNonce", &[Encoding, StateRoot]),
    ("InvalidDifficulty", &[Difficulty, Merge]),
    ("InvalidGasLimit", &[GasLimit]),
    ("InvalidGasLimit2", &[GasLimit]),
    ("InvalidGasUsed", &[GasUsed, GasUsedAboveLimit]),
    ("InvalidNumber", &[Number]),
    ("InvalidReceiptsStateRoot", &[ReceiptsRoot]),
    ("InvalidStateRoot", &[StateRoot]),
    ("InvalidTimestamp", &[Timestamp]),
    ("InvalidTimestampOlderParent", &[Timestamp]),
    ("InvalidUncleParentHash", &[OmmerParent, OmmerIsAncestor]),
    ("InvalidUnclesHash", &[OmmersHash]),
    ("LegacyBlockImportImpossible2", &[BaseFee, HeaderFields]),
    ("ParisBlockImportImpossible", &[HeaderFields]),
    ("PostParisDifficultyIsNot0", &[Difficulty, Merge]),
    ("PostParisUncleHashIsNotEmpty", &[OmmersAfterMerge, OmmersHash]),
    ("RLP_ExpectedAsList", &[Encoding, HeaderFields]),
    ("SenderNotEOA", &[SenderNotEoa]),
    ("SenderNotEOAorNoCASH", &[SenderNotEoa, InsufficientFunds]),
    ("ShanghaiBlockImportImpossible", &[HeaderFields]),
    ("TR_BLOBCREATE", &[Creation, Encoding]),
    ("TR_BLOBLIST_OVERSIZE", &[BlobCount, BlobGasLimit]),
    ("TR_BLOBVERSION_INVALID", &[BlobVersion]),
    ("TR_EMPTYBLOB", &[NoBlobs]),
    ("TR_FeeCapLessThanBlocks", &[FeeCap]),
    ("TR_FeeCapLessThanBlocksORGasLimitReached", &[FeeCap, GasAllowance]),
    ("TR_FeeCapLessThanBlocksORNoFunds", &[FeeCap, InsufficientFunds]),
    ("TR_GasLimitReached", &[GasAllowance]),
    ("TR_InitCodeLimitExceeded", &[InitCodeSize]),
    ("TR_IntrinsicGas", &[IntrinsicGas]),
    ("TR_NoFunds", &[InsufficientFunds]),
    ("TR_NoFundsOrGas", &[InsufficientFunds, IntrinsicGas]),
    ("TR_NoFundsX", &[InsufficientFunds, PriceOverflow, Encoding]),
    ("TR_NonceHasMaxValue", &[NonceMax]),
    ("TR_NonceTooHigh", &[NonceTooHigh]),
    ("TR_NonceTooLow", &[NonceTooLow]),
    ("TR_RLP_WRONGVALUE", &[Encoding]),
    ("TR_TipGtFeeCap", &[TipAboveFeeCap]),
    ("TR_TypeNotSupported", &[TransactionType]),
    ("TooMuchGasUsed", &[GasUsedAboveLimit, GasUsed, GasAllowance, GasLimit]),
    ("TransactionException.ADDRESS_TOO_LONG", &[Encoding]),
    ("TransactionException.ADDRESS_TOO_SHORT", &[Encoding]),
    ("TransactionException.EC_RECOVERY_FAIL", &[Signature]),
    ("TransactionException.GASLIMIT_OVERFLOW", &[Encoding]),
    ("TransactionException.GASLIMIT_PRICE_PRODUCT_OVERFLOW", &[PriceOverflow, Encoding]),
    ("TransactionException.GASPRICE_OVERFLOW", &[Encoding]),
    ("TransactionException.GAS_ALLOWANCE_EXCEEDED", &[GasAllowance]),
    ("TransactionException.GAS_LIMIT_EXCEEDS_MAXIMUM", &[GasLimitCap]),
    ("TransactionException.INITCODE_SIZE_EXCEEDED", &[InitCodeSize]),
    ("TransactionException.INSUFFICIENT_ACCOUNT_FUNDS", &[InsufficientFunds]),
    ("TransactionException.INSUFFICIENT_MAX_FEE_PER_BLOB_GAS", &[BlobFeeCap]),
    ("TransactionException.INSUFFICIENT_MAX_FEE_PER_GAS", &[FeeCap]),
    ("TransactionException.INTRINSIC_GAS_BELOW_FLOOR_GAS_COST", &[FloorGas, IntrinsicGas]),
    ("TransactionException.INTRINSIC_GAS_TOO_LOW", &[IntrinsicGas, FloorGas]),
    ("TransactionException.INVALID_CHAINID", &[ChainId, Encoding]),
    ("TransactionException.INVALID_SIGNATURE_VRS", &[Signature, Encoding]),
    ("TransactionException.NONCE_IS_MAX", &[NonceMax]),
    ("TransactionException.NONCE_MISMATCH_TOO_HIGH", &[NonceTooHigh]),
    ("TransactionException.NONCE_MISMATCH_TOO_LOW", &[NonceTooLow]),
    ("TransactionException.NONCE_OVERFLOW", &[NonceMax, Encoding]),
    ("TransactionException.PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS", &[TipAboveFeeCap]),
    ("TransactionException.PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS_2", &[TipAboveFeeCap, Encoding]),
    ("TransactionException.PRIORITY_OVERFLOW", &[Encoding]),
    ("TransactionException.RLP_ERROR_EOF", &[Encoding]),
    ("TransactionException.RLP_ERROR_SIZE", &[Encoding]),
    ("TransactionException.RLP_ERROR_SIZE_LEADING_ZEROS", &[Encoding]),
    ("TransactionException.RLP_INVALID_ACCESS_LIST_ADDRESS_TOO_LONG", &[Encoding]),
    ("TransactionException.RLP_INVALID_ACCESS_LIST_ADDRESS_TOO_SHORT", &[Encoding]),
    ("TransactionException.RLP_INVALID_ACCESS_LIST_STORAGE_TOO_LONG", &[Encoding]),
    ("TransactionException.RLP_INVALID_ACCESS_LIST_STORAGE_TOO_SHORT", &[Encoding]),
    ("TransactionException.RLP_INVALID_GASLIMIT", &[Encoding]),
    ("TransactionException.RLP_INVALID_HEADER", &[Encoding]),
    ("TransactionException.RLP_INVALID_NONCE", &[Encoding]),
    ("TransactionException.RLP_INVALID_SIGNATURE_R", &[Encoding]),
    ("TransactionException.RLP_INVALID_SIGNATURE_S", &[Encoding]),
    ("TransactionException.RLP_INVALID_TO", &[Encoding]),
    ("TransactionException.RLP_INVALID_VALUE", &[Encoding]),
    ("TransactionException.RLP_LEADING_ZEROS_GASLIMIT", &[Encoding]),
    ("TransactionException.RLP_LEADING_ZEROS_GASPRICE", &[Encoding]),
    ("TransactionException.RLP_LEADING_ZEROS_NONCE", &[Encoding]),
    ("TransactionException.RLP_LEADING_ZEROS_NONCE_SIZE", &[Encoding]),
    ("TransactionException.RLP_LEADING_ZEROS_PRIORITY_FEE", &[Encoding]),
    ("TransactionException.RLP_LEADING_ZEROS_R", &[Encoding]),
    ("TransactionException.RLP_LEADING_ZEROS_S", &[Encoding]),
    ("TransactionException.RLP_LEADING_ZEROS_V", &[Encoding]),
    ("TransactionException.RLP_LEADING_ZEROS_VALUE", &[Encoding]),
    ("TransactionException.RLP_TOO_FEW_ELEMENTS", &[Encoding]),
    ("TransactionException.SENDER_NOT_EOA", &[SenderNotEoa]),
    ("TransactionException.TYPE_1_TX_PRE_FORK", &[TransactionType]),
    ("TransactionException.TYPE_2_TX_PRE_FORK", &[TransactionType]),
    ("TransactionException.TYPE_3_TX_BLOB_COUNT_EXCEEDED", &[BlobCount, BlobGasLimit]),
    ("TransactionException.TYPE_3_TX_CONTRACT_CREATION", &[Creation, Encoding]),
    ("TransactionException.TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH", &[BlobVersion]),
    (
        "TransactionException.TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED",
        &[BlobCount, BlobGasLimit, BlobGasUsed],
    ),
    ("TransactionException.TYPE_3_TX_PRE_FORK", &[TransactionType]),
    ("TransactionException.TYPE_3_TX_WITH_FULL_BLOBS", &[Encoding]),
    ("TransactionException.TYPE_3_TX_ZERO_BLOBS", &[NoBlobs, TransactionType]),
    ("TransactionException.TYPE_4_EMPTY_AUTHORIZATION_LIST", &[NoAuthorizations]),
    ("TransactionException.TYPE_4_TX_CONTRACT_CREATION", &[Creation, Encoding]),
    ("TransactionException.TYPE_NOT_SUPPORTED", &[TransactionType, Encoding]),
    ("TransactionException.VALUE_OVERFLOW", &[Encoding]),
    ("UncleInChain", &[OmmerKnown, OmmerIsAncestor]),
    ("UncleIsAncestor", &[OmmerIsAncestor]),
    ("UncleParentIsNotAncestor", &[OmmerParent]),
    ("UncleTooOld", &[OmmerParent]),
    ("UnknownParent", &[UnknownParent]),
];

/// Whether `reason` is one of those that an `expectException` allows: names joined by `|`. An
/// error where a name is not known.
pub(crate) fn allows(expected: &str, reason: Reason) -> Result<bool, String> {
    let mut allowed = false;
    for name in expected.split('|') {
        let at = TABLE.binary_search_by_key(&name, |(name, _)| name);
        let at = at.map_err(|_| format!("unknown exception `{name}`"))?;
        allowed |= TABLE[at].1.contains(&reason);
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn alternatives_and_unknown_names() {
        assert_eq!(allows("TR_NoFunds", InsufficientFunds), Ok(true));
        assert_eq!(allows("TR_NoFunds", NonceTooLow), Ok(false));
        assert_eq!(allows("TR_NoFunds|TR_NonceTooLow", NonceTooLow), Ok(true));
        assert!(allows("TR_NoFunds|TR_Gotham", InsufficientFunds).unwrap_err().contains("Gotham"));
    }
}
