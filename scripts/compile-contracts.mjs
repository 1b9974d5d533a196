// Compiles crates/workload/contracts/*.sol with the solc that package.json pins and writes one
// compact artifact per contract to crates/workload/artifacts/. With --check it writes nothing and
// fails when a committed artifact is not what the sources compile to.
//
// An artifact holds what the generator needs and nothing else: the hashes of the sources (so that
// a test without node notices a stale artifact), method selectors, where each storage variable
// lives, and the runtime code.

import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const crate = join(dirname(fileURLToPath(import.meta.url)), "..", "crates", "workload");
const sourceDir = join(crate, "contracts");
const artifactDir = join(crate, "artifacts");

/** Contracts that blocks run, by the rules they are compiled for. */
const TARGETS = {
  cancun: [
    "Assembly", "Collection", "Counter", "Custody", "GameItems", "LendingMarket", "Metering",
    "Oracle", "Pair", "Router", "Subscription", "TickPool", "TickRouter", "Token",
  ],
  // For blocks under the oldest rules; no opcode that Frontier did not have.
  homestead: ["Counter", "Token"],
};

function compile(evmVersion) {
  const sources = {};
  for (const file of readdirSync(sourceDir).filter((f) => f.endsWith(".sol")).sort()) {
    if (evmVersion === "cancun" || TARGETS[evmVersion].includes(file.replace(".sol", ""))) {
      sources[file] = { content: readFileSync(join(sourceDir, file), "utf8") };
    }
  }
  const input = {
    language: "Solidity",
    sources,
    settings: {
      evmVersion,
      viaIR: true,
      optimizer: { enabled: true, runs: 10000 },
      metadata: { appendCBOR: false, bytecodeHash: "none" },
      outputSelection: {
        "*": {
          "*": [
            "metadata",
            "storageLayout",
            "evm.methodIdentifiers",
            "evm.deployedBytecode.object",
            "evm.deployedBytecode.immutableReferences",
          ],
        },
      },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const errors = (output.errors ?? []).filter((e) => !ignorable(e, evmVersion));
  if (errors.length > 0) {
    throw new Error(errors.map((e) => e.formattedMessage).join("\n"));
  }
  return output.contracts;
}

/** Old rules and old code are what the homestead target is for. */
function ignorable(error, evmVersion) {
  return error.severity !== "error" && (error.severity === "info" || evmVersion === "homestead");
}

/** A variable's or member's place: the slot, the byte it starts at from the right, its length. */
function place(entry, types) {
  return [Number(entry.slot), entry.offset, Number(types[entry.type].numberOfBytes)];
}

function artifact(name, contract, evmVersion) {
  const { object, immutableReferences } = contract.evm.deployedBytecode;
  if (Object.keys(immutableReferences ?? {}).length > 0) {
    throw new Error(`${name}: immutables are set by a constructor, which the generator never runs`);
  }
  const sources = Object.entries(JSON.parse(contract.metadata).sources).sort();
  const types = contract.storageLayout.types ?? {};
  const structs = {};
  for (const type of Object.values(types)) {
    if (!type.members) continue;
    const struct = type.label.replace(/^struct /, "").split(".").pop();
    structs[struct] = Object.fromEntries(type.members.map((m) => [m.label, place(m, types)]));
  }
  return {
    contract: name,
    solc: solc.version(),
    evmVersion,
    sources: Object.fromEntries(sources.map(([file, { keccak256 }]) => [file, keccak256])),
    methods: contract.evm.methodIdentifiers,
    storage: Object.fromEntries(contract.storageLayout.storage.map((v) => [v.label, place(v, types)])),
    structs,
    runtime: `0x${object}`,
  };
}

const check = process.argv.includes("--check");
const expected = new Map();
for (const [evmVersion, names] of Object.entries(TARGETS)) {
  const contracts = compile(evmVersion);
  for (const name of names) {
    const file = evmVersion === "cancun" ? `${name}.json` : `${name}.${evmVersion}.json`;
    const found = artifact(name, contracts[`${name}.sol`][name], evmVersion);
    expected.set(file, `${JSON.stringify(found)}\n`);
  }
}

const present = readdirSync(artifactDir).filter((f) => f.endsWith(".json"));
const stale = present.filter((f) => !expected.has(f));
const different = [...expected].filter(([file, text]) => {
  const path = join(artifactDir, file);
  return !existsSync(path) || readFileSync(path, "utf8") !== text;
});

if (check) {
  for (const file of stale) console.error(`${file}: no such contract`);
  for (const [file] of different) console.error(`${file}: not what the sources compile to`);
  if (stale.length + different.length > 0) {
    console.error("run `npm run contracts` in scripts/ and commit the result");
    process.exit(1);
  }
  console.error(`${expected.size} artifacts are what the sources compile to (solc ${solc.version()})`);
} else {
  for (const file of stale) rmSync(join(artifactDir, file));
  for (const [file, text] of different) {
    writeFileSync(join(artifactDir, file), text);
    console.error(`wrote ${file}`);
  }
}
