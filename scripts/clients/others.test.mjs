// web3.js and Foundry's cast.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { Web3 } from "web3";
import { KEY, OTHER, start } from "./node.mjs";

const run = promisify(execFile);

// There is a package for each platform, of which this is the only one that is locked.
const CAST = new URL("node_modules/@foundry-rs/cast-linux-amd64/bin/cast", import.meta.url).pathname;
const skip = existsSync(CAST) ? false : "there is no cast for this platform";

let node;

before(async () => {
  node = await start();
});

after(async () => assert.equal(await node.stop(), 0));

async function cast(...args) {
  const { stdout } = await run(CAST, args, { env: { ...process.env, ETH_RPC_URL: node.http } });
  return stdout.trim();
}

test("web3.js sends and reads", async () => {
  const web3 = new Web3(node.http);
  const [account] = web3.eth.accounts.wallet.add(KEY);
  const receipt = await web3.eth.sendTransaction({ from: account.address, to: OTHER, value: "1" });
  assert.equal(receipt.status, 1n);
  assert.equal(await web3.eth.getChainId(), 31337n);
  assert.equal(await web3.eth.isSyncing(), false);
  assert.match(await web3.eth.getNodeInfo(), /^warpline\//);
});

test("cast sends every type of transaction", { skip }, async () => {
  const key = ["--private-key", KEY, "--json"];
  for (const kind of [[], ["--legacy"], ["--sync"], ["--blob", "--path", "package.json"]]) {
    const receipt = JSON.parse(await cast("send", OTHER, "--value", "1", ...kind, ...key));
    assert.equal(receipt.status, "0x1", kind.join(" "));
  }
  const unlocked = await cast("send", OTHER, "--value", "1", "--unlocked", "--from", OTHER, "--json");
  assert.equal(JSON.parse(unlocked).status, "0x1");
});

test("cast replays and traces a transaction", { skip }, async () => {
  const sent = JSON.parse(await cast("send", OTHER, "--value", "1", "--private-key", KEY, "--json"));
  assert.match(await cast("run", sent.transactionHash), /Transaction successfully executed/);
  const trace = JSON.parse(await cast("rpc", "debug_traceTransaction", sent.transactionHash, '{"tracer":"callTracer"}'));
  assert.equal(trace.type, "CALL");
});
