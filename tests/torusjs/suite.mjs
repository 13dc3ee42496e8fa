// node suite.mjs --suite core,faults: what a wallet that uses torus.js relies on. TAP on stdout.
import { discover, escaped, login, lookup, math, token, torus } from "./client.mjs";

const { secp256k1, keccak_256, hexToBytes, utf8ToBytes, base64ToBytes, bytesToUtf8, bytesToHex } = math;
const order = secp256k1.Point.CURVE().n;
const at = process.argv.indexOf("--suite");
const wanted = new Set((at > 0 ? process.argv[at + 1] : "core,faults").split(","));
const run = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
let users = 0;
const someone = () => `torusjs-${run}-${++users}@example.com`;

const results = [];
async function check(name, body) {
  const begun = Date.now();
  try {
    await body();
    results.push(true);
    console.log(`ok ${results.length} - ${name} (${Date.now() - begun} ms)`);
  } catch (error) {
    results.push(false);
    console.log(`not ok ${results.length} - ${name}\n    ${String(error?.stack || error).slice(0, 900).replace(/\n/g, "\n    ")}`);
  }
}
function equal(a, b, what) {
  if (a !== b) throw new Error(`${what}: ${a} is not ${b}`);
}
function truthy(value, what) {
  if (!value) throw new Error(what);
}
async function refused(body, pattern) {
  let value;
  try {
    value = await body();
  } catch (error) {
    truthy(pattern.test(String(error?.message || error)), `refused with another text: ${String(error?.message || error).slice(0, 300)}`);
    return;
  }
  throw new Error(`was not refused: ${typeof value}`);
}

const nodes = await discover();
const n = nodes.endpoints.length;
const k = Math.floor(n / 2) + 1;
const quorum = Math.floor((n * 3) / 4) + 1;
const address = (found) => found.finalKeyData.walletAddress;
const secret = (done) => done.finalKeyData.privKey;
function opensItsAddress(done) {
  const sum = (BigInt(`0x${done.oAuthKeyData.privKey}`) + done.metadata.nonce) % order;
  equal(sum.toString(16).padStart(64, "0"), secret(done), "shared key + nonce");
  equal(math.generateAddressFromPrivKey("secp256k1", sum), address(done), "address of that key");
}

if (wanted.has("core")) {
  const alice = someone();
  let found, first;
  await check("an address before the first login, the nonce not shown", async () => {
    found = await lookup(nodes, alice);
    truthy(/^0x[0-9a-fA-F]{40}$/.test(address(found)), "address");
    equal(found.metadata.typeOfUser, "v2", "type of user");
    equal(found.metadata.nonce, 0n, "nonce in a look-up");
    truthy(found.metadata.pubNonce?.X, "public nonce");
  });
  await check("the same address again, another one for somebody else", async () => {
    equal(address(await lookup(nodes, alice)), address(found), "address");
    truthy(address(await lookup(nodes, someone())) !== address(found), "two users, one address");
  });
  await check("login gives the key of the looked-up address", async () => {
    first = await login(nodes, alice);
    equal(address(first), address(found), "address");
    opensItsAddress(first);
  });
  await check("a second login gives the same key under a fresh session key", async () => {
    const again = await login(nodes, alice);
    equal(secret(again), secret(first), "key");
    truthy(again.sessionData.sessionAuthKey !== first.sessionData.sessionAuthKey, "session key was used twice");
  });
  await check("a first login without a look-up", async () => {
    const bob = someone();
    const done = await login(nodes, bob);
    opensItsAddress(done);
    equal(address(await lookup(nodes, bob)), address(done), "address");
  });
  await check("session tokens of k listed nodes, bound to user and session key", async () => {
    const done = await login(nodes, alice);
    const tokens = done.sessionData.sessionTokenData.filter(Boolean);
    truthy(tokens.length >= k, `${tokens.length} session tokens`);
    const session = secp256k1.getPublicKey(hexToBytes(done.sessionData.sessionAuthKey), false);
    for (const one of tokens) {
      const point = { x: BigInt(`0x${one.node_pubx}`), y: BigInt(`0x${one.node_puby}`) };
      truthy(nodes.pubs.some((pub) => BigInt(`0x${pub.X}`) === point.x), "signed by a stranger");
      const signature = hexToBytes(one.signature).slice(0, 64);
      const digest = keccak_256(utf8ToBytes(one.token));
      const key = secp256k1.Point.fromAffine(point).toBytes();
      truthy(secp256k1.verify(signature, digest, key, { prehash: false, lowS: false }), "signature");
      const body = JSON.parse(bytesToUtf8(base64ToBytes(one.token)));
      equal(body.verifier_id, alice, "user");
      equal(BigInt(`0x${body.temp_key_x}`), BigInt(`0x${bytesToHex(session.slice(1, 33))}`), "session key");
    }
  });
  await check("any network name", async () => opensItsAddress(await login(nodes, someone(), { client: torus({ network: "some-name" }) })));
  const bad = { "wrongly signed": { bad: "1" }, expired: { expIn: -60 }, "of another user": { user: "mallory@example.com" } };
  for (const [what, { user, ...wish }] of Object.entries(bad))
    await check(`a token that is ${what} is refused`, () =>
      refused(async () => login(nodes, alice, { idToken: await token(user ?? alice, wish) }), /verifying params/i));
  await check("no token at all is refused", () => refused(() => login(nodes, alice, { idToken: "nothing" }), /verifying params/i));
  await check("an unknown verifier is refused", async () => {
    await refused(() => lookup(nodes, alice, { verifier: "no-such-verifier" }), /Verifier not supported/);
    await refused(() => login(nodes, alice, { verifier: "no-such-verifier" }), /Verifier not supported/);
  });
  await check("a token logs in once", async () => {
    const idToken = await token(alice);
    await login(nodes, alice, { idToken });
    await refused(() => login(nodes, alice, { idToken }), /Duplicate token/);
  });
}

if (wanted.has("faults")) {
  const without = (dead) => ({ ...nodes, endpoints: nodes.endpoints.map((url, i) => (i < dead ? "http://127.0.0.1:9/jrpc" : url)) });
  for (let dead = 1; dead <= n - quorum; dead += 1)
    await check(`login with ${dead} of ${n} nodes away`, async () => opensItsAddress(await login(without(dead), someone())));
  await check(`a look-up with ${n - k} nodes away`, async () => {
    const user = someone();
    equal(address(await lookup(without(n - k), user)), address(await lookup(nodes, user)), "address");
  });
  await check(`login with ${n - quorum + 1} nodes away is refused`, () => refused(() => login(without(n - quorum + 1), someone()), /./));
}

await check("no request left this machine", async () => equal(escaped.length, 0, escaped.join(", ")));
const failed = results.filter((good) => !good).length;
console.log(`1..${results.length}\n# pass ${results.length - failed} fail ${failed}`);
process.exit(failed ? 1 : 0);
