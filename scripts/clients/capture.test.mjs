// Blocks of anvil, which has neither witnesses nor a genesis block with a state root, captured and
// replayed.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { createPublicClient, createTestClient, createWalletClient, http } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { COUNTER, MNEMONIC, OTHER } from "./node.mjs";

const run = promisify(execFile);

const WARPLINE = process.env.WARPLINE ?? new URL("../../target/release/warpline", import.meta.url).pathname;

// There is a package for each platform, of which this is the only one that is locked.
const ANVIL = new URL("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil", import.meta.url).pathname;
const skip = existsSync(ANVIL) ? false : "there is no anvil for this platform";

let anvil;
let url;
let folder;

before(async () => {
  if (skip) return;
  folder = mkdtempSync(join(tmpdir(), "warpline-capture-"));
  anvil = spawn(ANVIL, ["--port", "0"]);
  let said = "";
  url = await new Promise((resolve, reject) => {
    anvil.on("error", reject);
    anvil.on("exit", (code) => reject(new Error(`anvil has ended with ${code}: ${said}`)));
    anvil.stdout.on("data", (text) => {
      said += text;
      const found = said.match(/Listening on (127\.0\.0\.1:\d+)\n/);
      if (found) resolve(`http://${found[1]}`);
    });
  });
  anvil.removeAllListeners("exit");
});

after(() => {
  anvil?.kill();
  if (folder) rmSync(folder, { recursive: true });
});

test("anvil's blocks are captured by what it has, and replay", { skip }, async () => {
  const account = mnemonicToAccount(MNEMONIC);
  const transport = http(url);
  const wallet = createWalletClient({ account, chain: foundry, transport });
  const reader = createPublicClient({ chain: foundry, transport, pollingInterval: 50 });
  const miner = createTestClient({ mode: "anvil", chain: foundry, transport });
  const done = (hash) => reader.waitForTransactionReceipt({ hash });
  const { contractAddress } = await done(await wallet.deployContract({ abi: [], bytecode: COUNTER }));
  await miner.setAutomine(false);
  const nonce = await reader.getTransactionCount({ address: account.address });
  const hashes = [];
  for (let index = 0; index < 5; index += 1) {
    const to = index % 2 ? OTHER : contractAddress;
    hashes.push(await wallet.sendTransaction({ to, value: BigInt(index % 2), nonce: nonce + index, gas: 100_000n }));
  }
  await miner.mine({ blocks: 1 });
  for (const hash of hashes) assert.equal((await done(hash)).status, "success");

  const env = { ...process.env, NO_COLOR: "1", RUST_BACKTRACE: "0" };
  const latest = await reader.getBlockNumber({ cacheTime: 0 });
  for (const [method, name] of [["prestate", "debug_traceBlockByHash"], ["proof", "eth_getProof"], [null, "debug_traceBlockByHash"]]) {
    const to = join(folder, method ?? "default");
    const chosen = method ? ["--method", method] : [];
    const { stderr } = await run(WARPLINE, ["capture", "--rpc", url, "1-latest", "-o", to, ...chosen], { env });
    assert.ok(stderr.includes(`${latest} blocks captured (${latest} by ${name})`), stderr);
    assert.equal(readdirSync(to).length, Number(latest));
    const replayed = await run(WARPLINE, ["replay", "--runs", "1", to], { env });
    assert.ok(replayed.stdout.includes(`${latest} of ${latest} blocks verified`), replayed.stdout);
  }
  const refused = run(WARPLINE, ["capture", "--rpc", url, "latest", "-o", folder, "--method", "witness"], { env });
  await assert.rejects(refused, (error) => {
    assert.equal(error.code, 1);
    assert.match(error.stderr, /debug_executionWitness: refused with code -32601/);
    return true;
  });
});
