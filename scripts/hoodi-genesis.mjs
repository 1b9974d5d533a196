// Writes the genesis file of the Hoodi test network, which no Rust crate publishes, in geth's
// format, from the published npm package @ethereumjs/genesis:
//
//     npm --prefix scripts ci
//     node scripts/hoodi-genesis.mjs > hoodi.json
//     warpline init --chain hoodi.json
//
// Nothing has to be taken on trust: `init` knows Hoodi by the hash of its genesis block.

import { Hoodi } from '@ethereumjs/common';
import { getGenesis } from '@ethereumjs/genesis';

const UNNAMED_BY_GETH = new Set(['chainstart', 'paris', 'mergeNetsplitBlock', 'amsterdam']);
const NAMES = { tangerineWhistle: 'eip150', spuriousDragon: 'eip155' };

const config = {
  chainId: Number(Hoodi.chainId),
  terminalTotalDifficulty: 0,
  terminalTotalDifficultyPassed: true,
  depositContractAddress: Hoodi.depositContractAddress,
  blobSchedule: {
    cancun: { target: 3, max: 6, baseFeeUpdateFraction: 3338477 },
    prague: { target: 6, max: 9, baseFeeUpdateFraction: 5007716 },
    osaka: { target: 6, max: 9, baseFeeUpdateFraction: 5007716 },
    bpo1: { target: 10, max: 15, baseFeeUpdateFraction: 8346193 },
    bpo2: { target: 14, max: 21, baseFeeUpdateFraction: 11684671 },
  },
};
for (const { name, block, timestamp } of Hoodi.hardforks) {
  if (UNNAMED_BY_GETH.has(name)) continue;
  const known = NAMES[name] ?? name;
  if (timestamp !== undefined) config[`${known}Time`] = Number(timestamp);
  else config[`${known}Block`] = block;
}
config.eip158Block = config.eip155Block;

const alloc = {};
for (const [address, state] of Object.entries(getGenesis(Number(Hoodi.chainId)))) {
  const [balance, code, storage, nonce] = typeof state === 'string' ? [state] : state;
  alloc[address] = { balance };
  if (code && code !== '0x') alloc[address].code = code;
  if (nonce) alloc[address].nonce = nonce;
  if (storage?.length) alloc[address].storage = Object.fromEntries(storage);
}

const { difficulty, extraData, gasLimit, nonce, timestamp } = Hoodi.genesis;
const genesis = { config, nonce, timestamp, extraData, gasLimit, difficulty, alloc };
process.stdout.write(`${JSON.stringify(genesis, null, 1)}\n`);
