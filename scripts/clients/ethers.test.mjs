// ethers v6: sending, waiting, contracts, errors, signers of the node, WebSocket.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ethers } from "ethers";
import { COUNTER, KEY, OTHER, sendUntil, start } from "./node.mjs";

let node, provider, wallet, counter;

before(async () => {
  node = await start();
  provider = new ethers.JsonRpcProvider(node.http);
  wallet = new ethers.NonceManager(new ethers.Wallet(KEY, provider));
});

after(async () => {
  provider.destroy();
  assert.equal(await node?.stop(), 0);
});

test("a transfer is mined and its receipt found", async () => {
  const sent = await wallet.sendTransaction({ to: OTHER, value: 5n });
  const receipt = await sent.wait();
  assert.equal(receipt.status, 1);
  assert.equal(await provider.getBalance(OTHER), ethers.parseEther("10000") + 5n);
  assert.equal(await provider.getBalance(OTHER, receipt.blockNumber - 1), ethers.parseEther("10000"));
});

test("a contract is deployed, called and leaves logs", async () => {
  const receipt = await (await wallet.sendTransaction({ data: COUNTER })).wait();
  counter = receipt.contractAddress;
  assert.ok((await provider.getCode(counter)).length > 2);
  const call = await (await wallet.sendTransaction({ to: counter })).wait();
  assert.equal(call.logs.length, 1);
  assert.equal(BigInt(await provider.getStorage(counter, 0)), 1n);
  assert.equal((await provider.getLogs({ address: counter, fromBlock: 0 })).length, 1);
  assert.equal(BigInt(await provider.call({ to: counter })), 2n);
});

test("errors are recognised", async () => {
  await assert.rejects(provider.call({ data: "0x5f5ffd" }), { code: "CALL_EXCEPTION" });
  const poor = new ethers.Wallet(`0x${"12".repeat(32)}`, provider);
  await assert.rejects(poor.sendTransaction({ to: OTHER, value: 1n }), { code: "INSUFFICIENT_FUNDS" });
  const rich = new ethers.Wallet(KEY, provider);
  await assert.rejects(rich.sendTransaction({ to: OTHER, nonce: 0 }), { code: "NONCE_EXPIRED" });
});

test("the node signs and sends for its own accounts", async () => {
  const signer = await provider.getSigner(1);
  const signature = await signer.signMessage("hi");
  assert.equal(ethers.verifyMessage("hi", signature), await signer.getAddress());
  const domain = { name: "Warpline", chainId: 31337 };
  const types = { Mail: [{ name: "text", type: "string" }] };
  const typed = await signer.signTypedData(domain, types, { text: "hello" });
  const recovered = ethers.verifyTypedData(domain, types, { text: "hello" }, typed);
  assert.equal(recovered, await signer.getAddress());
  assert.equal((await (await signer.sendTransaction({ to: counter })).wait()).status, 1);
});

test("many transactions at once are all mined in order", async () => {
  const sending = Array.from({ length: 50 }, () => wallet.sendTransaction({ to: counter, gasLimit: 100000n }));
  const receipts = await Promise.all((await Promise.all(sending)).map((sent) => sent.wait()));
  assert.ok(receipts.every((receipt) => receipt.status === 1));
  assert.equal(BigInt(await provider.getStorage(counter, 0)), 52n);
});

test("what is pending is seen before it is mined", async () => {
  // Without the cache that would answer twice with the same.
  const provider = new ethers.JsonRpcProvider(node.http, undefined, { cacheTimeout: -1 });
  await provider.send("evm_setAutomine", [false]);
  const balance = await provider.getBalance(OTHER);
  const sent = await wallet.sendTransaction({ to: OTHER, value: 7n });
  const block = await provider.getBlock("pending");
  assert.deepEqual(block.transactions, [sent.hash]);
  assert.equal(block.number, (await provider.getBlockNumber()) + 1);
  assert.equal(await provider.getBalance(OTHER, "pending"), balance + 7n);
  assert.equal(await provider.getBalance(OTHER), balance);
  await provider.send("evm_mine", []);
  assert.equal((await sent.wait()).status, 1);
  assert.equal(await provider.getBalance(OTHER), balance + 7n);
  await provider.send("evm_setAutomine", [true]);
  provider.destroy();
});

test("blocks, pending transactions and logs arrive over WebSocket", async () => {
  const socket = new ethers.WebSocketProvider(node.ws);
  const block = new Promise((resolve) => socket.once("block", resolve));
  const pending = new Promise((resolve) => socket.once("pending", resolve));
  const log = new Promise((resolve) => socket.once({ address: counter }, resolve));
  const { sent, arrived } = await sendUntil([block, pending, log], async () => {
    const sent = await wallet.sendTransaction({ to: counter });
    return sent.wait();
  });
  assert.ok(sent.some((receipt) => receipt.blockNumber === arrived[0]));
  assert.ok(sent.some((receipt) => receipt.hash === arrived[1]));
  assert.ok(sent.some((receipt) => receipt.hash === arrived[2].transactionHash));
  await socket.destroy();
});
