// web3.js 4.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Web3 } from "web3";
import { ANVIL, KEY, OTHER, start } from "./node.mjs";

let node;

before(async () => {
  node = await start();
});

after(async () => assert.equal(await node?.stop(), 0));

test("web3.js sends and reads", async () => {
  const web3 = new Web3(node.http);
  const [account] = web3.eth.accounts.wallet.add(KEY);
  const receipt = await web3.eth.sendTransaction({ from: account.address, to: OTHER, value: "1" });
  assert.equal(receipt.status, 1n);
  assert.equal(await web3.eth.getChainId(), 31337n);
  assert.equal(await web3.eth.isSyncing(), false);
  assert.match(await web3.eth.getNodeInfo(), ANVIL ? /^anvil\// : /^anvil-compatible\/warpline\//);
});

test("web3.js hears of blocks over WebSocket", async () => {
  const web3 = new Web3(new Web3.providers.WebsocketProvider(node.ws));
  const [account] = web3.eth.accounts.wallet.add(KEY);
  const heads = await web3.eth.subscribe("newBlockHeaders");
  const head = new Promise((resolve) => heads.once("data", resolve));
  const receipt = await web3.eth.sendTransaction({ from: account.address, to: OTHER, value: "1" });
  assert.equal((await head).number, receipt.blockNumber);
  await heads.unsubscribe();
  web3.provider.disconnect();
});
