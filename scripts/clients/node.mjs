// A development node of its own for each file of tests, and what they share.

import { spawn } from "node:child_process";

/** The first account of the mnemonic that development nodes share. */
export const KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
export const MNEMONIC = "test test test test test test test test test test test junk";
export const OTHER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/**
 * Deploys a contract that counts its calls in slot 0, logs the count under one topic and returns
 * it: `sload(0) + 1`, `sstore`, `log1`, `return`.
 */
export const COUNTER = (() => {
  const runtime = `5f54600101805f555f527f${"11".repeat(32)}60205fa15f545f5260205ff3`;
  const length = (runtime.length / 2).toString(16).padStart(2, "0");
  return `0x60${length}8060095f395ff3${runtime}`;
})();

/** Starts a node on a free port and waits until it listens. */
export async function start() {
  const binary = process.env.WARPLINE ?? new URL("../../target/release/warpline", import.meta.url).pathname;
  const child = spawn(binary, ["node", "--dev", "--http.port", "0", "--ipcdisable"]);
  child.stdout.resume();
  let said = "";
  const address = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`the node has ended with ${code}: ${said}`)));
    child.stderr.on("data", (text) => {
      said += text;
      const found = said.match(/listening on http:\/\/(\S+)\n/);
      if (found) resolve(found[1]);
    });
  });
  const stop = () =>
    new Promise((resolve) => {
      child.removeAllListeners("exit");
      child.on("exit", resolve);
      child.kill("SIGTERM");
    });
  return { http: `http://${address}`, ws: `ws://${address}`, stop };
}
