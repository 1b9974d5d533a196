// Foundry: cast's commands, forge create, forge script --broadcast, forge test --fork-url.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ACCOUNT, KEY, OTHER, foundry, start } from "./node.mjs";

const run = promisify(execFile);

// There is a package for each platform, of which this is the only one that is locked.
const skip = foundry("cast") && foundry("forge") ? false : "there is no Foundry for this platform";
const signed = ["--private-key", KEY];

let node, folder, tally;

before(async () => {
  node = await start();
  folder = await mkdtemp(join(tmpdir(), "warpline-foundry-"));
});

after(async () => {
  if (folder) await rm(folder, { recursive: true });
  assert.equal(await node?.stop(), 0);
});

async function cast(...args) {
  const { stdout } = await run(foundry("cast"), args, { env: { ...process.env, ETH_RPC_URL: node.http } });
  return stdout.trim();
}

const json = async (...args) => JSON.parse(await cast(...args, "--json"));

/** Runs forge on the project beside this file; what it writes goes into a folder of its own. */
async function forge(command, args, env = {}) {
  const root = new URL("foundry", import.meta.url).pathname;
  const use = new URL("solc", import.meta.url).pathname;
  const { stdout } = await run(foundry("forge"), [command, "--root", root, "--use", use, ...args], {
    cwd: root,
    env: { ...process.env, FOUNDRY_OUT: join(folder, "out"), FOUNDRY_CACHE_PATH: join(folder, "cache"),
      FOUNDRY_BROADCAST: join(folder, "broadcast"), ...env },
  });
  return stdout;
}

test("cast sends every type of transaction", { skip }, async () => {
  for (const kind of [[], ["--legacy"], ["--sync"], ["--blob", "--path", "package.json"], ["--auth", OTHER]]) {
    const receipt = await json("send", OTHER, "--value", "1", ...kind, ...signed);
    assert.equal(receipt.status, "0x1", kind.join(" "));
  }
  assert.equal(await cast("code", ACCOUNT), `0xef0100${OTHER.slice(2).toLowerCase()}`);
  const unlocked = await json("send", OTHER, "--value", "1", "--unlocked", "--from", OTHER);
  assert.equal(unlocked.status, "0x1");
});

test("forge creates a contract", { skip }, async () => {
  const out = await forge("create", ["src/Tally.sol:Tally", "--rpc-url", node.http, ...signed, "--broadcast",
    "--json", "--constructor-args", "2"]);
  tally = JSON.parse(out.slice(out.indexOf("{"))).deployedTo;
  assert.equal(await cast("call", tally, "sum()(uint256)"), "2");
  assert.ok((await cast("code", tally)).length > 100);
});

test("cast calls, estimates and decodes what reverts", { skip }, async () => {
  assert.ok(BigInt(await cast("estimate", tally, "add(uint256)", "3")) > 21000n);
  await assert.rejects(cast("call", tally, "add(uint256)", "7"), /execution reverted: not seven/);
  await assert.rejects(cast("send", tally, "add(uint256)", "11", ...signed), /TooMuch|0xac48af61|execution reverted/);
  assert.match(await cast("call", tally, "add(uint256)", "3", "--trace"), /emit Added|emit topic 0/);
  assert.match(await cast("access-list", tally, "sum()"), new RegExp(tally, "i"));
});

test("cast finds blocks, logs, receipts, transactions and traces", { skip }, async () => {
  const sent = await json("send", tally, "add(uint256)", "3", ...signed);
  assert.equal(sent.logs.length, 1);
  const receipt = await json("receipt", sent.transactionHash);
  assert.equal(receipt.blockHash, sent.blockHash);
  assert.equal((await json("tx", sent.transactionHash)).nonce !== undefined, true);
  const logs = await json("logs", "--address", tally, "--from-block", "0", "Added(address indexed, uint256)", ACCOUNT);
  assert.deepEqual(logs.map((log) => log.transactionHash), [sent.transactionHash]);
  assert.equal((await json("block", "latest")).hash, sent.blockHash);
  assert.match(await cast("run", sent.transactionHash), /Transaction successfully executed/);
  assert.match(await cast("trace", sent.transactionHash), /call/i);
  assert.equal(await cast("storage", tally, "0"), `0x${"5".padStart(64, "0")}`);
  assert.equal(BigInt(await cast("storage", tally, "0", "--block", String(BigInt(sent.blockNumber) - 1n))), 2n);
  assert.match(await cast("proof", tally, "0"), /storageProof/);
});

test("forge tests on a fork of the node", { skip }, async () => {
  const head = BigInt(await cast("block-number"));
  const report = JSON.parse(await forge("test", ["--fork-url", node.http, "--no-storage-caching", "--json"],
    { TALLY: tally, BEFORE: String(head - 1n) }));
  const results = Object.values(report).flatMap((suite) => Object.entries(suite.test_results));
  assert.deepEqual(results.map(([name, { status }]) => [name, status]).sort(), [
    ["testReadsAnEarlierBlock()", "Success"],
    ["testReadsAndChangesTheForkedState()", "Success"],
  ]);
});

test("forge broadcasts a script", { skip }, async () => {
  await forge("script", ["Deploy", "--rpc-url", node.http, ...signed, "--broadcast", "--no-storage-caching"]);
  const written = await readFile(join(folder, "broadcast", "Deploy.s.sol", "31337", "run-latest.json"), "utf8");
  const { receipts, transactions } = JSON.parse(written);
  assert.equal(transactions.length, 8);
  assert.deepEqual(receipts.map(({ status }) => status), Array(8).fill("0x1"));
  const first = transactions[0].contractAddress;
  assert.equal(await cast("call", first, "sum()(uint256)"), "16");
});
