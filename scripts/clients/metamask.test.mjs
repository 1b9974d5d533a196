// MetaMask's own controllers, put together as the extension does it: the network is added by hand,
// the key comes from the mnemonic, fees are read, and a transaction is signed, sent and confirmed.
// What stands in for the extension's windows approves everything.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as encryptor from "@metamask/browser-passworder";
import { GasFeeController } from "@metamask/gas-fee-controller";
import { KeyringController, KeyringTypes } from "@metamask/keyring-controller";
import { Messenger } from "@metamask/messenger";
import { NetworkController, RpcEndpointType } from "@metamask/network-controller";
import { TransactionController } from "@metamask/transaction-controller";
import { ACCOUNT, COUNTER, MNEMONIC, OTHER, start } from "./node.mjs";

const CHAIN = "0x7a69";
const root = new Messenger({ namespace: "Root" });
let node, network, keyring, fees, transactions, client;

/** The messenger of a controller, which may use so much of the others. */
function messenger(namespace, actions = [], events = []) {
  const own = new Messenger({ namespace, parent: root });
  root.delegate({ messenger: own, actions, events });
  return own;
}

/** What the controllers ask of parts that have nothing to do with a node. */
function answer(namespace, handlers) {
  const own = messenger(namespace);
  for (const [name, handler] of Object.entries(handlers)) own.registerActionHandler(`${namespace}:${name}`, handler);
}

before(async () => {
  node = await start();
  const account = { id: "1", address: ACCOUNT.toLowerCase(), type: "eip155:eoa", options: {}, methods: [], scopes: [],
    metadata: { name: "Account 1", keyring: { type: KeyringTypes.hd } } };
  answer("AccountsController", {
    getSelectedAccount: () => account,
    getState: () => ({ internalAccounts: { accounts: { 1: account }, selectedAccount: "1" } }),
  });
  answer("ApprovalController", { addRequest: async () => ({}) });
  answer("ErrorReportingService", { captureException: (error) => { throw error; } });
  answer("RemoteFeatureFlagController", { getState: () => ({ remoteFeatureFlags: {}, cacheTimestamp: 0 }) });

  keyring = new KeyringController({ messenger: messenger("KeyringController"), encryptor });
  await keyring.createNewVaultAndRestore("correct horse battery staple", MNEMONIC);

  network = new NetworkController({
    messenger: messenger("NetworkController", ["ErrorReportingService:captureException"]),
    infuraProjectId: "none",
    getRpcServiceOptions: () => ({ fetch: globalThis.fetch.bind(globalThis), btoa: globalThis.btoa }),
    getBlockTrackerOptions: () => ({ pollingInterval: 100 }),
  });
  const added = network.addNetwork({
    chainId: CHAIN, name: "Development", nativeCurrency: "ETH", blockExplorerUrls: [], defaultRpcEndpointIndex: 0,
    rpcEndpoints: [{ type: RpcEndpointType.Custom, url: node.http, failoverUrls: [] }],
  });
  client = added.rpcEndpoints[0].networkClientId;
  await network.setActiveNetwork(client);

  fees = new GasFeeController({
    messenger: messenger("GasFeeController", ["NetworkController:getState", "NetworkController:getNetworkClientById",
      "NetworkController:getEIP1559Compatibility"], ["NetworkController:networkDidChange"]),
    getProvider: () => network.getProviderAndBlockTracker().provider,
    getCurrentNetworkEIP1559Compatibility: () => network.getEIP1559Compatibility(),
    getCurrentNetworkLegacyGasAPICompatibility: () => false,
    getCurrentAccountEIP1559Compatibility: () => true,
    legacyAPIEndpoint: "http://127.0.0.1:1/<chain_id>",
    EIP1559APIEndpoint: "http://127.0.0.1:1/<chain_id>",
  });

  transactions = new TransactionController({
    messenger: messenger("TransactionController", ["AccountsController:getSelectedAccount", "AccountsController:getState",
      "ApprovalController:addRequest", "NetworkController:findNetworkClientIdByChainId",
      "NetworkController:getNetworkClientById", "RemoteFeatureFlagController:getState"],
    ["NetworkController:stateChange"]),
    disableHistory: true,
    disableSendFlowHistory: true,
    disableSwaps: true,
    getCurrentNetworkEIP1559Compatibility: () => network.getEIP1559Compatibility(),
    getGasFeeEstimates: (options) => fees.fetchGasFeeEstimates(options),
    getNetworkClientRegistry: network.getNetworkClientRegistry.bind(network),
    getNetworkState: () => network.state,
    isFirstTimeInteractionEnabled: () => false,
    isSimulationEnabled: () => false,
    sign: (transaction, from) => keyring.signTransaction(transaction, from),
    transactionHistoryLimit: 40,
    hooks: {},
  });
});

after(async () => {
  transactions?.destroy();
  fees?.destroy();
  network?.destroy();
  assert.equal(await node?.stop(), 0);
});

/** Adds a transaction as a dapp's request would, and waits until MetaMask says what became of it. */
async function send(params) {
  const done = new Promise((resolve) => {
    const heard = (event) => root.subscribe(event, (...args) => resolve(args.at(-1).transactionMeta ?? args[0]));
    for (const event of ["transactionConfirmed", "transactionFailed", "transactionDropped"]) {
      heard(`TransactionController:${event}`);
    }
  });
  const { result } = await transactions.addTransaction({ from: ACCOUNT, ...params },
    { networkClientId: client, origin: "metamask" });
  const hash = await result;
  const meta = await done;
  return { hash, meta };
}

test("the network is added, and found to be there and to have EIP-1559", async () => {
  assert.equal(network.state.networkConfigurationsByChainId[CHAIN].rpcEndpoints[0].networkClientId, client);
  await network.lookupNetwork();
  const { status, EIPS } = network.state.networksMetadata[client];
  assert.equal(status, "available");
  assert.equal(EIPS[1559], true);
});

// Its service for fees knows public networks only: the controller falls back to the node.
test("fees are estimated from the node", async () => {
  const { gasFeeEstimates, gasEstimateType } = await fees.fetchGasFeeEstimates({ networkClientId: client });
  assert.equal(gasEstimateType, "eth_gasPrice");
  assert.ok(Number(gasFeeEstimates.gasPrice) > 0);
});

test("a payment is signed, sent and confirmed", async () => {
  const { hash, meta } = await send({ to: OTHER, value: "0x1" });
  assert.equal(meta.status, "confirmed");
  assert.equal(meta.hash, hash);
  assert.equal(meta.txParams.type, "0x2");
  assert.equal(meta.txReceipt.status, "0x1");
});

test("a contract is deployed and called, one nonce after the other", async () => {
  const { meta } = await send({ data: COUNTER });
  assert.equal(meta.status, "confirmed");
  const to = meta.txReceipt.contractAddress;
  const call = await send({ to, data: "0x" });
  assert.equal(call.meta.status, "confirmed");
  assert.equal(BigInt(call.meta.txParams.nonce), BigInt(meta.txParams.nonce) + 1n);
  assert.equal(call.meta.txReceipt.logs.length, 1);
});
