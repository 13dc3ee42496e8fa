// Compile src/Registry.sol with the pinned solcjs and write the artifact the Python packages load.
// `--check` writes nothing and fails if the checked-in artifact is not what the source compiles to.
import { readFileSync, writeFileSync, existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const solc = createRequire(import.meta.url)("solc");
const here = dirname(fileURLToPath(import.meta.url));
const targets = [
  join(here, "artifacts", "Registry.json"),
  join(here, "..", "authnet_runtime", "contracts", "registry.json"),
];

function read(path) {
  const file = [join(here, path), join(here, "node_modules", path)].find(existsSync);
  return file ? { contents: readFileSync(file, "utf8") } : { error: `no file ${path}` };
}

function compile() {
  const settings = JSON.parse(readFileSync(join(here, "solc-settings.json"), "utf8"));
  const input = {
    language: "Solidity",
    sources: { "src/Registry.sol": { content: read("src/Registry.sol").contents } },
    settings: { ...settings, outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } } },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  const problems = (output.errors ?? []).filter((e) => e.severity === "error");
  for (const problem of output.errors ?? []) console.error(problem.formattedMessage);
  if (problems.length) process.exit(1);
  const contract = output.contracts["src/Registry.sol"].Registry;
  const size = contract.evm.deployedBytecode.object.length / 2;
  if (size > 24576) {
    console.error(`Registry has ${size} bytes; Ethereum allows 24576`);
    process.exit(1);
  }
  const artifact = { contract: "Registry", compiler: solc.version(), abi: contract.abi, bytecode: contract.evm.bytecode.object };
  return { text: JSON.stringify(artifact, null, 1) + "\n", size };
}

const { text, size } = compile();
if (process.argv.includes("--check")) {
  const stale = targets.filter((path) => !existsSync(path) || readFileSync(path, "utf8") !== text);
  if (stale.length) {
    console.error(`stale, run \`npm run compile\`: ${stale.join(", ")}`);
    process.exit(1);
  }
  console.log(`artifacts match the source (${size} bytes deployed)`);
} else {
  for (const path of targets) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  console.log(`wrote ${targets.length} artifacts (${size} bytes deployed)`);
}
