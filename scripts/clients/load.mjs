// Starts a node of ours and anvil on free ports, both without logs, and has `warpline load` compare
// them: node load.mjs reads|transactions|blocks [arguments of `warpline load`].

import { spawn } from "node:child_process";
import { startAnvil, startWarpline, WARPLINE } from "./node.mjs";

const [what = "reads", ...more] = process.argv.slice(2);
const nodes = [];
let code = 1;
try {
  nodes.push({ name: "warpline", ...(await startWarpline("--log.filter", "warn")) });
  nodes.push({ name: "anvil", ...(await startAnvil()) });
  await fetch(nodes[1].http, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "anvil_setLoggingEnabled", params: [false] }),
  });
  const args = nodes.flatMap((node) => ["--rpc", `${node.name}=${node.http}`]);
  if (what === "blocks") args.push(...nodes.flatMap((node) => ["--pid", `${node.pid}`]));
  code = await new Promise((resolve, reject) => {
    const load = spawn(WARPLINE, ["load", what, ...args, ...more], { stdio: "inherit" });
    load.on("error", reject);
    load.on("exit", (exit) => resolve(exit ?? 1));
  });
} finally {
  await Promise.all(nodes.map((node) => node.stop()));
}
process.exit(code);
