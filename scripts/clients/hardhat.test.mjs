// Hardhat 3 with its plugins for ethers and viem, and its network helpers, over HTTP.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ANVIL, KEY, OTHER, start } from "./node.mjs";

const here = new URL(".", import.meta.url).pathname;
let node, folder, hre, connection;

// The newer Node.js is installed where npm has it.
const skip = Number.parseInt(process.versions.node) < 22 ? "HARDHAT NEEDS NODE.JS 22 OR LATER" : false;

before(async () => {
  if (skip) return;
  node = await start();
  folder = await mkdtemp(join(tmpdir(), "warpline-hardhat-"));
  const { createHardhatRuntimeEnvironment } = await import("hardhat/hre");
  const plugins = await Promise.all(
    ["hardhat-ethers", "hardhat-viem", "hardhat-network-helpers"].map(async (name) =>
      (await import(`@nomicfoundation/${name}`)).default),
  );
  const solidity = { version: "0.8.37", path: join(here, "node_modules/solc/soljson.js") };
  const remote = { type: "http", chainType: "l1", url: node.http };
  hre = await createHardhatRuntimeEnvironment({
    plugins,
    solidity,
    paths: { sources: join(here, "foundry/src"), cache: join(folder, "cache"), artifacts: join(folder, "artifacts") },
    networks: { remote, signed: { ...remote, accounts: [KEY] } },
  }, {}, here);
  await hre.tasks.getTask("build").run({ quiet: true, noTests: true });
  connection = await hre.network.connect({ network: "remote" });
});

after(async () => {
  if (skip) return;
  await connection?.close();
  if (folder) await rm(folder, { recursive: true });
  assert.equal(await node?.stop(), 0);
});

test("hardhat deploys, calls and reads events with ethers", { skip }, async () => {
  const { ethers } = connection;
  const tally = await ethers.deployContract("Tally", [2n]);
  await tally.waitForDeployment();
  const receipt = await (await tally.add(3n)).wait();
  assert.equal(receipt.status, 1);
  assert.equal(await tally.sum(), 5n);
  const [event] = await tally.queryFilter(tally.filters.Added());
  assert.equal(event.args.amount, 3n);
  await assert.rejects(tally.add(7n), /not seven/);
  await assert.rejects(tally.add(11n), /TooMuch|0xac48af61|reverted/);
});

test("hardhat signs itself, and deploys and reads with viem", { skip }, async () => {
  const signed = await hre.network.connect({ network: "signed" });
  const { viem } = signed;
  const tally = await viem.deployContract("Tally", [1n]);
  await tally.write.add([4n]);
  assert.equal(await tally.read.sum(), 5n);
  assert.equal((await tally.getEvents.Added({}, { fromBlock: 0n })).length, 1);
  await assert.rejects(tally.simulate.add([11n]), /TooMuch/);
  const client = await viem.getPublicClient();
  assert.equal(await client.getBalance({ address: OTHER, blockTag: "earliest" }), 10n ** 22n);
  await signed.close();
});

test("fixtures and snapshots bring back what was", { skip }, async () => {
  const { ethers, networkHelpers } = connection;
  async function deployed() {
    return { tally: await ethers.deployContract("Tally", [2n]) };
  }
  const { tally } = await networkHelpers.loadFixture(deployed);
  const before = await ethers.provider.getBlockNumber();
  await (await tally.add(3n)).wait();
  assert.equal(await tally.sum(), 5n);
  const again = await networkHelpers.loadFixture(deployed);
  assert.equal(await again.tally.getAddress(), await tally.getAddress());
  assert.equal(await again.tally.sum(), 2n);
  assert.equal(await ethers.provider.getBlockNumber(), before);
  const snapshot = await networkHelpers.takeSnapshot();
  await (await again.tally.add(1n)).wait();
  await snapshot.restore();
  assert.equal(await tally.sum(), 2n);
});

test("the network helpers move time, blocks and accounts", { skip }, async () => {
  const { ethers, networkHelpers: { time, mine, ...helpers } } = connection;
  const start = await time.latest();
  await time.increase(3600);
  assert.ok((await time.latest()) >= start + 3600);
  await time.setNextBlockTimestamp(start + 10000);
  await mine();
  assert.equal(await time.latest(), start + 10000);
  const height = await time.latestBlock();
  await mine(50, { interval: 12 });
  assert.equal(await time.latestBlock(), height + 50);
  const [first, last] = await Promise.all([height + 1, height + 50].map((number) => ethers.provider.getBlock(number)));
  assert.equal(last.timestamp - first.timestamp, 49 * 12);

  const stranger = "0x00000000000000000000000000000000000a11ce";
  await helpers.setBalance(stranger, 10n ** 18n);
  await helpers.impersonateAccount(stranger);
  const sender = await ethers.getSigner(stranger);
  assert.equal((await (await sender.sendTransaction({ to: OTHER, value: 1n })).wait()).status, 1);
  await helpers.stopImpersonatingAccount(stranger);
  await assert.rejects(sender.sendTransaction({ to: OTHER, value: 1n }));
  await helpers.setNonce(stranger, 7);
  assert.equal(await ethers.provider.getTransactionCount(stranger), 7);
  await helpers.setCode(stranger, "0x6001");
  assert.equal(await ethers.provider.getCode(stranger), "0x6001");
  await helpers.setStorageAt(stranger, 3, 9);
  assert.equal(BigInt(await helpers.getStorageAt(stranger, 3)), 9n);
  await helpers.setNextBlockBaseFeePerGas(5);
  await mine();
  assert.equal((await ethers.provider.getBlock("latest")).baseFeePerGas, 5n);
});

// anvil answers with the hash, which Hardhat does not take.
test("a transaction that was dropped is gone", { skip: skip || (ANVIL && "fails on anvil") }, async () => {
  const { ethers, networkHelpers, provider } = connection;
  await provider.request({ method: "evm_setAutomine", params: [false] });
  const [signer] = await ethers.getSigners();
  const sent = await signer.sendTransaction({ to: OTHER, value: 1n });
  assert.equal((await ethers.provider.getTransaction(sent.hash)).blockNumber, null);
  await networkHelpers.dropTransaction(sent.hash);
  assert.equal(await ethers.provider.getTransaction(sent.hash), null);
  await provider.request({ method: "evm_setAutomine", params: [true] });
});
