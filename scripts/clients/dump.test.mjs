// Dumps of the whole state, between this node and anvil in both directions.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { createTestClient, http, publicActions, walletActions } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { foundry as chain } from "viem/chains";
import { COUNTER, MNEMONIC, foundry, start, startAnvil } from "./node.mjs";

const skip = foundry("anvil") ? false : "THERE IS NO ANVIL FOR THIS PLATFORM";
const account = mnemonicToAccount(MNEMONIC, { addressIndex: 2 });
const named = "0x00000000000000000000000000000000000000c0";
const slot = `0x${"0".repeat(62)}ab`;
const value = `0x${"0".repeat(63)}7`;

let node;
// Everything that has to be stopped in the end, whatever fails before.
const running = [];

/** Starts a node, or anvil, that is stopped in the end. */
async function started(begin) {
  const begun = await begin();
  running.push(begun);
  return begun;
}

function client(url) {
  const transport = http(url);
  return createTestClient({ account, chain, mode: "anvil", transport }).extend(publicActions).extend(walletActions);
}

before(async () => {
  if (!skip) node = await started(start);
});

after(async () => {
  for (const one of running) assert.equal(await one.stop(), 0);
});

/** Gives a chain a contract that has counted to 2, and an account that was only written down. */
async function change(dev) {
  const deployed = await dev.waitForTransactionReceipt({ hash: await dev.deployContract({ abi: [], bytecode: COUNTER }) });
  const counter = deployed.contractAddress;
  for (let count = 0; count < 2; count += 1) {
    await dev.waitForTransactionReceipt({ hash: await dev.sendTransaction({ to: counter }) });
  }
  await dev.setCode({ address: named, bytecode: "0x5f545f5260205ff3" });
  await dev.setStorageAt({ address: named, index: slot, value });
  await dev.setBalance({ address: named, value: 77n });
  return counter;
}

/** Whether a chain has what `change` did to another one, and goes on from there. */
async function check(dev, counter) {
  assert.equal(BigInt(await dev.getStorageAt({ address: counter, slot: "0x0" })), 2n);
  assert.equal(await dev.getCode({ address: named }), "0x5f545f5260205ff3");
  assert.equal(await dev.getStorageAt({ address: named, slot }), value);
  assert.equal(await dev.getBalance({ address: named }), 77n);
  assert.equal(await dev.getTransactionCount({ address: account.address }), 3);
  const hash = await dev.sendTransaction({ to: counter });
  assert.equal((await dev.waitForTransactionReceipt({ hash })).status, "success");
  assert.equal(BigInt(await dev.getStorageAt({ address: counter, slot: "0x0" })), 3n);
}

test("a dump is taken back into the chain that it was made of", { skip }, async () => {
  const dev = client(node.http);
  const counter = await change(dev);
  const dump = await dev.dumpState();
  const { accounts } = JSON.parse(gunzipSync(Buffer.from(dump.slice(2), "hex")));
  assert.equal(BigInt(accounts[named].balance), 77n);
  assert.equal(accounts[named].storage[slot], value);
  assert.equal(accounts[account.address.toLowerCase()].nonce, 3);
  await dev.setBalance({ address: named, value: 1n });
  await dev.sendTransaction({ to: counter });
  await dev.loadState({ state: dump });
  assert.equal(await dev.getBalance({ address: named }), 77n);
  assert.equal(BigInt(await dev.getStorageAt({ address: counter, slot: "0x0" })), 2n);
  // No nonce falls.
  assert.equal(await dev.getTransactionCount({ address: account.address }), 4);
});

test("a dump of anvil's is loaded here", { skip }, async () => {
  const [from, to] = [client((await started(startAnvil)).http), client((await started(start)).http)];
  const counter = await change(from);
  await to.loadState({ state: await from.dumpState() });
  await check(to, counter);
});

test("a dump of ours is loaded into anvil", { skip }, async () => {
  const [from, to] = [client((await started(start)).http), client((await started(startAnvil)).http)];
  const counter = await change(from);
  await to.loadState({ state: await from.dumpState() });
  await check(to, counter);
});

test("what is no dump is refused", { skip }, async () => {
  const dev = client(node.http);
  for (const state of ["0x", "0x1f8b00", "0x7b7d"]) {
    await assert.rejects(dev.loadState({ state }), state);
  }
});
