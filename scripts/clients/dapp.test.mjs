// MetaMask's test dapp in Chromium: the page asks a provider (EIP-1193) that hands every request to
// the node, from within the browser, so that the node's answers to preflights count as well.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { chromium } from "playwright-core";
import { ACCOUNT, ANVIL, start } from "./node.mjs";

const folders = (process.env.PATH ?? "").split(":");
const browserPath = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]
  .flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync);
const skip = browserPath ? false : "THERE IS NO CHROMIUM HERE: run `make setup` as root, or install chromium";

// The page would like to load fonts and talk to relays: nothing but this machine is there for it.
const BROWSER = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"];
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
let node, server, browser, page;

/** Serves the files of the dapp on a free port of this machine. */
async function serve() {
  const root = new URL("node_modules/@metamask/test-dapp/dist", import.meta.url).pathname;
  const answer = async (request, response) => {
    const path = normalize(new URL(request.url, "http://dapp").pathname);
    const name = path === "/" ? "/index.html" : path;
    const body = await readFile(join(root, name)).catch(() => null);
    response.writeHead(body ? 200 : 404, { "content-type": TYPES[extname(name)] ?? "application/octet-stream" });
    response.end(body);
  };
  const listening = createServer(answer);
  await new Promise((resolve) => listening.listen(0, "127.0.0.1", resolve));
  return listening;
}

/** Runs in the page, before anything of the page does. */
function inject(url) {
  const listeners = {};
  const emit = (event, ...args) => (listeners[event] ?? []).forEach((listener) => listener(...args));
  let id = 0;
  let connected = false;
  const ask = async (method, params) => {
    const request = { jsonrpc: "2.0", id: (id += 1), method, params: params ?? [] };
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(request) });
    const { result, error } = await response.json();
    if (error) throw Object.assign(new Error(error.message), error);
    return result;
  };
  const provider = {
    isMetaMask: true,
    isConnected: () => true,
    request: async ({ method, params }) => {
      // What a wallet answers itself: a page sees no accounts before it has asked for them.
      if (method === "eth_accounts" && !connected) return [];
      if (method === "wallet_getPermissions") return [{ parentCapability: "eth_accounts" }];
      if (method === "wallet_revokePermissions") return null;
      const result = await ask(method, params);
      if (method === "eth_sendTransaction") window.sent.push(result);
      if (method === "eth_requestAccounts") {
        connected = true;
        emit("accountsChanged", result);
      }
      return result;
    },
    on: (event, listener) => ((listeners[event] ??= []).push(listener), provider),
    removeListener: (event, listener) =>
      ((listeners[event] = (listeners[event] ?? []).filter((other) => other !== listener)), provider),
    removeAllListeners: (event) => (delete listeners[event], provider),
  };
  provider.addListener = provider.on;
  provider.off = provider.removeListener;
  provider.autoRefreshOnNetworkChange = false;
  window.ethereum = provider;
  window.sent = [];
  // How pages find wallets (EIP-6963).
  const info = { uuid: "350670db-19fa-4704-a166-e52e178b59d2", name: "Node", icon: "data:,", rdns: "dev.node" };
  const announce = () =>
    window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }));
  window.addEventListener("eip6963:requestProvider", announce);
}

before(async () => {
  if (skip) return;
  [node, server] = [await start(), await serve()];
  browser = await chromium.launch({ executablePath: browserPath, args: BROWSER });
  page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  await page.addInitScript(inject, node.http);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.click("#connectButton");
  await page.waitForFunction((account) => document.querySelector("#accounts").textContent.toLowerCase().includes(account),
    ACCOUNT.toLowerCase());
});

after(async () => {
  if (skip) return;
  await browser?.close();
  server?.close();
  assert.equal(await node?.stop(), 0);
});

const enabled = (id) => page.waitForFunction((id) => document.querySelector(id)?.disabled === false, id);
const says = (id, text) =>
  page.waitForFunction(([id, text]) => document.querySelector(id).textContent.includes(text), [id, text]);

async function ask(method, ...params) {
  return page.evaluate(([method, params]) => window.ethereum.request({ method, params }), [method, params]);
}

/** Presses a button that sends a transaction; its receipt. */
async function press(id) {
  const before = await page.evaluate(() => window.sent.length);
  await enabled(id);
  await page.click(id);
  await page.waitForFunction((before) => window.sent.length > before, before);
  const hash = await page.evaluate((before) => window.sent[before], before);
  const until = Date.now() + 30_000;
  for (;;) {
    const receipt = await ask("eth_getTransactionReceipt", hash);
    if (receipt) return receipt;
    assert.ok(Date.now() < until, `${id}: ${hash} is not mined`);
    await delay(20);
  }
}

test("the dapp connects and knows the chain", { skip }, async () => {
  await says("#chainId", "0x7a69");
  await says("#network", "31337");
});

test("the dapp sends ether", { skip }, async () => {
  for (const id of ["#sendButton", "#sendEIP1559Button"]) {
    const receipt = await press(id);
    assert.equal(receipt.status, "0x1", id);
    assert.equal(receipt.from, ACCOUNT.toLowerCase());
  }
});

test("the dapp deploys a contract, pays into it and out of it", { skip }, async () => {
  const deployed = await press("#deployButton");
  assert.match(deployed.contractAddress, /^0x[0-9a-f]{40}$/);
  await says("#contractStatus", "Deployed");
  assert.equal((await press("#depositButton")).to, deployed.contractAddress);
  await says("#contractStatus", "Deposit completed");
  assert.ok(BigInt(await ask("eth_getBalance", deployed.contractAddress, "latest")) > 0n);
  assert.equal((await press("#withdrawButton")).status, "0x1");
  await says("#contractStatus", "Withdrawn");
});

test("the dapp creates a token", { skip }, async () => {
  const created = await press("#createToken");
  assert.equal(created.status, "0x1");
  await enabled("#transferTokens");
  assert.equal((await press("#transferTokens")).logs.length, 1);
});

test("the dapp signs typed data, and verifies it", { skip }, async () => {
  await page.click("#signTypedDataV4");
  await says("#signTypedDataV4Result", "0x");
  await page.click("#signTypedDataV4Verify");
  await says("#signTypedDataV4VerifyResult", ACCOUNT.toLowerCase());
});

// anvil has no personal_ecRecover.
test("the dapp signs a message, and has its signer recovered", { skip: skip || (ANVIL && "fails on anvil") }, async () => {
  await page.click("#personalSign");
  await says("#personalSignResult", "0x");
  await page.click("#personalSignVerify");
  await says("#personalSignVerifySigUtilResult", ACCOUNT.toLowerCase());
  await says("#personalSignVerifyECRecoverResult", ACCOUNT.toLowerCase());
});
