// A development node of its own for each file of tests, and what they share.
//
// ENDPOINT=anvil drives Foundry's anvil with the same tests: what passes there has to pass here.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** The first account of the mnemonic that development nodes share. */
export const KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
export const ACCOUNT = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
export const MNEMONIC = "test test test test test test test test test test test junk";
export const OTHER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

/** Whether the node is anvil and not ours. */
export const ANVIL = process.env.ENDPOINT === "anvil";

/**
 * Deploys a contract that counts its calls in slot 0, logs the count under one topic and returns
 * it: `sload(0) + 1`, `sstore`, `log1`, `return`.
 */
export const COUNTER = (() => {
  const runtime = `5f54600101805f555f527f${"11".repeat(32)}60205fa15f545f5260205ff3`;
  const length = (runtime.length / 2).toString(16).padStart(2, "0");
  return `0x60${length}8060095f395ff3${runtime}`;
})();

/** A program of Foundry's, or undefined where there is none for this platform. */
export function foundry(name) {
  const path = new URL(`node_modules/@foundry-rs/${name}-linux-amd64/bin/${name}`, import.meta.url).pathname;
  return existsSync(path) ? path : undefined;
}

/** Our binary. */
export const WARPLINE = process.env.WARPLINE ?? new URL("../../target/release/warpline", import.meta.url).pathname;

/** How to start a node on a free port, and the line in which it says where it listens. */
function command(anvil) {
  if (anvil) return [foundry("anvil"), ["--port", "0"], "stdout", /^Listening on (\S+)\n/m];
  return [WARPLINE, ["node", "--dev", "--http.port", "0", "--ipcdisable"], "stderr", /listening on http:\/\/(\S+)\n/];
}

/** Starts the node under test, with further arguments, and waits until it listens. */
export const start = (...more) => listening(command(ANVIL), more);

/** The same with ours and with anvil, whatever is tested. */
export const startWarpline = (...more) => listening(command(false), more);
export const startAnvil = (...more) => listening(command(true), more);

async function listening([binary, args, stream, line], more) {
  const child = spawn(binary, [...args, ...more]);
  let said = "";
  const address = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`the node has ended with ${code}: ${said}`)));
    child[stream === "stdout" ? "stderr" : "stdout"].resume();
    child[stream].on("data", (text) => {
      said += text;
      const found = said.match(line);
      if (found) resolve(found[1]);
    });
  });
  const stop = () =>
    new Promise((resolve) => {
      child.removeAllListeners("exit");
      child.on("exit", resolve);
      child.kill("SIGTERM");
    });
  return { http: `http://${address}`, ws: `ws://${address}`, pid: child.pid, stop };
}

/**
 * Sends until everything that is expected has arrived: a subscription begins some time after it was
 * asked for. Returns what the sends have returned, and what has arrived.
 */
export async function sendUntil(expected, send) {
  const [sent, all] = [[], Promise.all(expected)];
  let arrived;
  for (let attempt = 0; !arrived; attempt += 1) {
    if (attempt === 60) throw new Error("what was subscribed to does not arrive");
    sent.push(await send());
    arrived = await Promise.race([all, delay(500)]);
  }
  return { sent, arrived };
}
