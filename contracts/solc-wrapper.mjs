#!/usr/bin/env node
// Answers forge as a native solc would, with the pinned solcjs: nothing is downloaded.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const solc = createRequire(import.meta.url)("solc");
if (process.argv.includes("--version")) {
  const version = solc.version().replace(".Emscripten.clang", ".Linux.g++");
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}`);
} else {
  // writeFileSync, since process.stdout cuts pipes at 64 KiB on exit.
  writeFileSync(1, solc.compile(readFileSync(0, "utf8")));
}
