// viem: wallet and public actions, the test client, WebSocket.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  createPublicClient, createTestClient, createWalletClient, http, parseEther, publicActions, walletActions, webSocket,
} from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { ANVIL, COUNTER, MNEMONIC, sendUntil, start } from "./node.mjs";

const account = mnemonicToAccount(MNEMONIC, { addressIndex: 3 });
const slot = `0x${"0".repeat(64)}`;
let node, client, wallet, dev, counter;

before(async () => {
  node = await start();
  const transport = http(node.http);
  client = createPublicClient({ chain: foundry, transport });
  wallet = createWalletClient({ account, chain: foundry, transport });
  dev = createTestClient({ chain: foundry, mode: "anvil", transport }).extend(publicActions).extend(walletActions);
});

after(async () => assert.equal(await node?.stop(), 0));

test("a contract is deployed and called, also synchronously", async () => {
  const hash = await wallet.deployContract({ abi: [], bytecode: COUNTER });
  counter = (await client.waitForTransactionReceipt({ hash })).contractAddress;
  assert.equal((await wallet.sendTransactionSync({ to: counter })).status, "success");
});

test("fees, estimates, tags, proofs, access lists and simulations", async () => {
  const fees = await client.estimateFeesPerGas();
  assert.ok(fees.maxFeePerGas > 0n);
  assert.ok((await client.estimateGas({ account, to: counter })) > 21000n);
  for (const blockTag of ["earliest", "safe", "finalized", "latest", "pending"]) {
    assert.ok((await client.getBlock({ blockTag })).number >= 0n);
  }
  const proof = await client.getProof({ address: counter, storageKeys: [slot] });
  assert.equal(proof.storageProof[0].value, 1n);
  const { accessList } = await client.createAccessList({ account: account.address, to: counter });
  assert.deepEqual(accessList[0].storageKeys, [slot]);
  const [block] = await client.simulateBlocks({ blocks: [{ calls: [{ account, to: counter }] }] });
  assert.equal(block.calls[0].status, "success");
});

test("a snapshot takes back balances, impersonated transactions and blocks", async () => {
  const before = await client.getBlockNumber({ cacheTime: 0 });
  const id = await dev.snapshot();
  await dev.setBalance({ address: counter, value: parseEther("5") });
  await dev.impersonateAccount({ address: counter });
  const hash = await dev.sendTransaction({ account: counter, to: account.address, value: parseEther("1") });
  assert.equal((await dev.waitForTransactionReceipt({ hash })).status, "success");
  await dev.stopImpersonatingAccount({ address: counter });
  await dev.mine({ blocks: 5 });
  assert.equal(await client.getBlockNumber({ cacheTime: 0 }), before + 6n);
  await dev.revert({ id });
  assert.equal(await client.getBlockNumber({ cacheTime: 0 }), before);
  assert.equal(await client.getBalance({ address: counter }), 0n);
});

test("state, fees and time are what the test client sets", async () => {
  const address = "0x00000000000000000000000000000000000000c0";
  await dev.setCode({ address, bytecode: "0x5f545f5260205ff3" });
  await dev.setStorageAt({ address, index: 0, value: `0x${"0".repeat(63)}7` });
  assert.equal(BigInt((await client.call({ to: address })).data), 7n);
  await dev.setNonce({ address: account.address, nonce: 100 });
  assert.equal(await client.getTransactionCount({ address: account.address }), 100);
  await dev.setNextBlockBaseFeePerGas({ baseFeePerGas: 7n });
  await dev.mine({ blocks: 1 });
  const first = await dev.getBlock();
  assert.equal(first.baseFeePerGas, 7n);
  await dev.setNextBlockTimestamp({ timestamp: first.timestamp + 77n });
  await dev.mine({ blocks: 1 });
  assert.equal((await dev.getBlock()).timestamp, first.timestamp + 77n);
});

test("without automining transactions wait in the pool", async () => {
  await dev.setAutomine(false);
  assert.equal(await dev.getAutomine(), false);
  const hash = await wallet.sendTransaction({ to: account.address });
  assert.equal((await dev.getTxpoolStatus()).pending, 1);
  assert.equal((await client.getTransaction({ hash })).blockNumber, null);
  await dev.mine({ blocks: 1 });
  assert.equal((await client.getTransactionReceipt({ hash })).status, "success");
  await dev.setAutomine(true);
});

test("the pending block has what waits, and its state what that does", async () => {
  await dev.setAutomine(false);
  const before = BigInt(await client.getStorageAt({ address: counter, slot }));
  const latest = await client.getBlock();
  const hashes = [];
  for (let sent = 0; sent < 3; sent += 1) {
    hashes.push(await wallet.sendTransaction({ to: counter, gas: 100000n }));
  }
  const pending = await client.getBlock({ blockTag: "pending" });
  assert.equal(pending.number, latest.number + 1n);
  assert.equal(pending.parentHash, latest.hash);
  assert.deepEqual(pending.transactions, hashes);
  assert.equal(await client.getBlockTransactionCount({ blockTag: "pending" }), 3);
  const { data } = await client.call({ to: counter, blockTag: "pending" });
  assert.equal(BigInt(data), before + 4n);
  assert.equal(BigInt((await client.call({ to: counter })).data), before + 1n);
  assert.equal(BigInt(await client.getStorageAt({ address: counter, slot, blockTag: "pending" })), before + 3n);
  // Anvil does not find it.
  if (!ANVIL) assert.equal((await client.getTransaction({ blockTag: "pending", index: 1 })).hash, hashes[1]);
  await dev.mine({ blocks: 1 });
  assert.equal(BigInt(await client.getStorageAt({ address: counter, slot })), before + 3n);
  await dev.setAutomine(true);
});

test("blocks and events are watched over WebSocket", async () => {
  const socket = createPublicClient({ chain: foundry, transport: webSocket(node.ws) });
  const block = new Promise((resolve) => socket.watchBlocks({ onBlock: resolve }));
  const logs = new Promise((resolve) => socket.watchEvent({ address: counter, onLogs: resolve }));
  const { sent, arrived } = await sendUntil([block, logs], () => wallet.sendTransactionSync({ to: counter }));
  assert.ok(sent.some(({ blockNumber }) => blockNumber === arrived[0].number));
  assert.ok(sent.some(({ transactionHash }) => transactionHash === arrived[1][0].transactionHash));
  (await socket.transport.getRpcClient()).close();
});
