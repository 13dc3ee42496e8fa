// Run the forge tests with the binary that npm installed. Extra arguments go to `forge test`.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const forge = join(here, "node_modules", "@foundry-rs", "forge-linux-amd64", "bin", "forge");
if (!existsSync(forge)) {
  console.error("forge is not installed: run `npm ci` in contracts/");
  process.exit(2);
}
const run = spawnSync(forge, ["test", ...process.argv.slice(2)], { cwd: here, stdio: "inherit" });
process.exit(run.status ?? 1);
