// node login.mjs ID: look an address up, log in, and say on one line of JSON whether the key opens that address.
import { discover, login, lookup, math } from "./client.mjs";

const id = process.argv[2];
const nodes = await discover();
const t0 = performance.now();
const found = await lookup(nodes, id);
const t1 = performance.now();
const done = await login(nodes, id);
const t2 = performance.now();
const opened = math.generateAddressFromPrivKey("secp256k1", BigInt(`0x${done.finalKeyData.privKey}`));
console.log(
  JSON.stringify({
    id,
    address: found.finalKeyData.walletAddress,
    opens: opened === found.finalKeyData.walletAddress,
    session_tokens: done.sessionData.sessionTokenData.filter(Boolean).length,
    ms: { lookup: Math.round(t1 - t0), login: Math.round(t2 - t1) },
  }),
);
process.exit(0);
