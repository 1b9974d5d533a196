//! The genesis block of the Hoodi test network, which no crate publishes: some funded accounts, and
//! the contracts that the EIPs put there. That it is the right one its hash says.

use crate::networks::HOLESKY_DEPOSIT_CONTRACT;
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS,
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
};
use alloy_genesis::{ChainConfig, Genesis, GenesisAccount};
use alloy_hardforks::ethereum::{
    HOODI_BPO1_TIMESTAMP, HOODI_BPO2_TIMESTAMP, HOODI_OSAKA_TIMESTAMP, HOODI_PRAGUE_TIMESTAMP,
};
use alloy_primitives::{Address, B256, Bytes, U256, address, b256, utils::Unit};
use std::collections::BTreeMap;

/// Who begins with how many million ether.
const FUNDED: [(u64, &[Address]); 5] = [
    (500, &[address!("0x9a27d0c715d3f2af2fac39a41c49ed35004a3bcf")]),
    (
        200,
        &[
            address!("0x462396e69dbfa455f405f4dd82f3014af8003b72"),
            address!("0x610866c6089768da95524bcc4ce7db61eda3931c"),
        ],
    ),
    (
        100,
        &[
            address!("0x0000006916a87b82333f4245046623b23794c65c"),
            address!("0x03b1f066125897834e46abd7dc6415d8759f8372"),
            address!("0x0c100000006d7b5e23a1eaee637f28ca32cd5b31"),
            address!("0x10f5d45854e038071485ac9e402308cf80d2d2fe"),
            address!("0x1b7aa44088a0ea95bdc65fef6e5071e946bf7d8f"),
            address!("0x2f14582947e292a2ecd20c430b46f2d27cfe213c"),
            address!("0x2f2c75b5dd5d246194812b00eeb3b09c2c66e2ee"),
            address!("0x4d496ccc28058b1d74b7a19541663e21154f9c84"),
            address!("0x509a7667ac8d0320e36172c192506a6188aa84f6"),
            address!("0x5f10da9b68f06c76f3c624f8b2ee3b2a2698351b"),
            address!("0x6a7aa9b882d50bb7bc5da1a244719c99f12f06a3"),
            address!("0x6cc9397c3b38739dacbfaa68ead5f5d77ba5f455"),
            address!("0x73b2e0e54510239e22cc936f0b4a6de1acf0abde"),
            address!("0x778f5f13c4be78a3a4d7141bcb26999702f407cf"),
            address!("0xb19fb4c1f280327e60ed37b1dc6ee77533539314"),
            address!("0xc6e2459991bfe27cca6d86722f35da23a1e4cb97"),
            address!("0xfbfd6fa9f73ac6a058e01259034c28001bef8247"),
            address!("0xfc7af49b80acf041744366b02272019723c94f9c"),
        ],
    ),
    (
        10,
        &[
            address!("0x0be949928ff199c9eba9e110db210aa5c94efad0"),
            address!("0xc564af154621ee8d0589758d535511aec8f67b40"),
            address!("0xda29bb71669f46f2a779b4b62f03644a84ee3479"),
            address!("0xdbf640dea047fa7ee746d01a31782386f827cfc1"),
        ],
    ),
    (
        1,
        &[
            address!("0x0c35317b7a96c454e2cb3d1a255d775ab112ccc8"),
            address!("0x0d731cfabc5574329823f26d488416451d2ea376"),
            address!("0x0e79065b5f11b5bd1e62b935a600976fff3754b9"),
            address!("0x105083929bf9bb22c26cb1777ec92661170d4285"),
            address!("0x11ecb03299080fc8d5c1b2fe0c0cd34890d5e1b5"),
            address!("0x1268ad189526ac0b386faf06effc46779c340ee6"),
            address!("0x12cba59f5a74db81a12ff63c349bd82cbf6007c2"),
            address!("0x15e719b6acaf1e4411bf0f9576cb1d0db161ddfc"),
            address!("0x164e38a375247a784a81d420201aa8fe4e513921"),
            address!("0x222222222222cf64a76ae3d36859958c864fda2c"),
            address!("0x22819830d4fe783d658841939ad6d75b00a2b78c"),
            address!("0x26ecc0885bab76eb602888df8415bdf32d0f62bd"),
            address!("0x341c40b94bf2afbfa42573cb78f16ee15a056238"),
            address!("0x346d827a75f98f0a7a324ff80b7c3f90252e8bac"),
            address!("0x34f845773d4364999f2fbc7aa26abdee902cbb46"),
            address!("0x3c75594181e03e8ecd8468a0037f058a9dafad79"),
            address!("0x404ffd9dd65428e096d9a7b837924263ef40fb31"),
            address!("0x45dca0746fc56b400b291f5d9657a79464e8f152"),
            address!("0x49df3cca2670eb0d591146b16359fe336e476f29"),
            address!("0x4d0b04b405c6b62c7cfc3ae54759747e2c0b4662"),
            address!("0x5180db0237291a6449dda9ed33ad90a38787621c"),
            address!("0x52730f347def6ba09adff62eac60d5fee8205bc4"),
            address!("0x5eac0fbd3dfef8ae3efa3c5dc1aa193bc6033dfd"),
            address!("0x762ca62ca2549ad806763b3aa1ea317c429bdbda"),
            address!("0x767f7576944d321374921df138589a30e3c5030d"),
            address!("0x834dbf5a03e29c25bc55459cce9c021eebe676ad"),
            address!("0x875d25ee4bc604c71baf6236a8488f22399bed4b"),
            address!("0x8df7878d3571bef5e5a744f96287c8d20386d75a"),
            address!("0x9029c772dde847622df1553ed9d9bdb7812e4f93"),
            address!("0x9b383f8e4cd5d3dd5f9006b6a508960a1e730375"),
            address!("0x9b491f043189af6d31d3d4b1a7ca1cf72f40c52a"),
            address!("0x9e415a096ff77650dc925dea546585b4adb322b6"),
            address!("0xa0766b65a4f7b1da79a1af79ac695456efa28644"),
            address!("0xa29b144a449e414a472c60c7aaf1aaffe329021d"),
            address!("0xa55395566b0b54395b3246f96a0bdc4b8a483df9"),
            address!("0xac9ba72fb61aa7c31a95df0a8b6eba6f41ef875e"),
            address!("0xb0498c15879db2ee5471d4926c5faa25c9a09683"),
            address!("0xb04aef2a3d2d86b01006ccd4339a2e943d9c6480"),
            address!("0xc21cb9c99c316d1863142f7dd86dd5496d81a8d6"),
            address!("0xc473d412dc52e349862209924c8981b2ee420768"),
            address!("0xc48e23c5f6e1ea0baef6530734edc3968f79af2e"),
            address!("0xc9ca2ba9a27de1db589d8c33ab8edfa2111b31fb"),
            address!("0xd1f77e4c1c45186e8653c489f90e008a73597296"),
            address!("0xd4bb555d3b0d7ff17c606161b44e372689c14f4b"),
            address!("0xdca6e9b48ea86aebfdf9929949124042296b6e34"),
            address!("0xe4955e107ea530b4c2db8a323df0a143d8a82b9c"),
            address!("0xea28d002042fd9898d0db016be9758eeafe35c1e"),
            address!("0xeb742e43956e0ea89a2db6bf6237c79ee4645981"),
            address!("0xefa7454f1116807975a4750b46695e967850de5d"),
        ],
    ),
];

/// What stands for the source of the deposit contract at the end of its code: the digest of its
/// metadata, by which the deployments of a contract differ.
const DEPOSIT_METADATA: B256 =
    b256!("0xdceca8706b29e917dacf25fceef95acac8d90d765ac926663ce4096195952b61");

/// Where it stands, from the end: before the name and the version of the compiler and the length.
const METADATA_FROM_END: usize = 32 + 11;

/// The genesis block, given that of Holesky: the early forks are the same, and so is the source of
/// the deposit contract.
pub(crate) fn genesis(chain_id: u64, holesky: &Genesis) -> Genesis {
    let one_wei = (0..=u8::MAX).map(|last| (Address::with_last_byte(last), U256::ONE));
    let ether = Unit::ETHER.wei() * U256::from(1_000_000);
    let funded = FUNDED.iter().flat_map(|(millions, addresses)| {
        addresses.iter().map(move |address| (*address, ether * U256::from(*millions)))
    });
    let accounts = one_wei.chain(funded);
    let account = |(address, balance)| (address, GenesisAccount { balance, ..Default::default() });
    let deposit = holesky.alloc.get(&HOLESKY_DEPOSIT_CONTRACT).map(deposit_contract);
    Genesis {
        config: config(chain_id, &holesky.config),
        nonce: 0x1234,
        timestamp: 1_742_212_800,
        gas_limit: 36_000_000,
        difficulty: U256::ONE,
        alloc: accounts.map(account).chain(system_contracts()).chain(deposit).collect(),
        ..Genesis::default()
    }
}

fn deposit_contract(of_holesky: &GenesisAccount) -> (Address, GenesisAccount) {
    let mut account = of_holesky.clone();
    let code = account.code.take().unwrap_or_default();
    let mut code = code.to_vec();
    if let Some(at) = code.len().checked_sub(METADATA_FROM_END) {
        code[at..at + 32].copy_from_slice(DEPOSIT_METADATA.as_slice());
    }
    account.code = Some(code.into());
    (MAINNET_DEPOSIT_CONTRACT_ADDRESS, account)
}

/// The contracts of Cancun and Prague. The queues of requests are closed until Prague: their
/// excess is the highest number there is.
fn system_contracts() -> [(Address, GenesisAccount); 4] {
    let contract = |code: &Bytes, storage: Option<BTreeMap<B256, B256>>| GenesisAccount {
        nonce: Some(1),
        code: Some(code.clone()),
        storage,
        ..Default::default()
    };
    // The constant has two bytes more than EIP-7251 and every chain, both of them zero.
    let consolidations = CONSOLIDATION_REQUEST_PREDEPLOY_CODE.strip_suffix(&[0, 0]);
    let consolidations = consolidations.map(Bytes::copy_from_slice);
    let consolidations =
        consolidations.unwrap_or_else(|| CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone());
    let closed = || Some(BTreeMap::from([(B256::ZERO, B256::repeat_byte(0xff))]));
    [
        (BEACON_ROOTS_ADDRESS, contract(&BEACON_ROOTS_CODE, None)),
        (HISTORY_STORAGE_ADDRESS, contract(&HISTORY_STORAGE_CODE, None)),
        (
            WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
            contract(&WITHDRAWAL_REQUEST_PREDEPLOY_CODE, closed()),
        ),
        (CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, contract(&consolidations, closed())),
    ]
}

/// What Holesky has from its first block on, and all forks up to Cancun.
fn config(chain_id: u64, holesky: &ChainConfig) -> ChainConfig {
    ChainConfig {
        chain_id,
        shanghai_time: Some(0),
        cancun_time: Some(0),
        prague_time: Some(HOODI_PRAGUE_TIMESTAMP),
        osaka_time: Some(HOODI_OSAKA_TIMESTAMP),
        bpo1_time: Some(HOODI_BPO1_TIMESTAMP),
        bpo2_time: Some(HOODI_BPO2_TIMESTAMP),
        deposit_contract_address: Some(MAINNET_DEPOSIT_CONTRACT_ADDRESS),
        ..holesky.clone()
    }
}
