// An unmodified torus.js pointed at a local network. Any request that would leave this machine fails.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const { Torus } = require("@toruslabs/torus.js");
const { NodeDetailManager } = require("@toruslabs/fetch-node-details");
export const math = require("@toruslabs/metadata-helpers");
// torus.js has no option for its "allow" call: its address is in a map of the CommonJS build that torus.js itself loaded.
const constants = createRequire(require.resolve("@toruslabs/torus.js"))("@toruslabs/constants");

export const front = process.env.NET_URL || "http://127.0.0.1:8788";
export const verifier = process.env.VERIFIER || "mock-google";
constants.CITADEL_SERVER_MAP.local = `${front}/citadel`;

const LOCAL = ["localhost", "127.0.0.1", "[::1]"];
export const isLocal = (url) => LOCAL.includes(new URL(url).hostname);
export const escaped = [];
const plainFetch = globalThis.fetch;
globalThis.fetch = (url, init) => {
  const text = String(url?.url || url);
  if (isLocal(text)) return plainFetch(url, init);
  escaped.push(text);
  return Promise.reject(new TypeError(`not on this machine: ${text}`));
};

export async function token(id, { expIn = 120, ...more } = {}) {
  const ask = new URLSearchParams({ verifier, verifier_id: id, exp_in: String(expIn), ...more });
  const answer = await plainFetch(`${front}/dev/token?${ask}`);
  if (!answer.ok) throw new Error(`token: HTTP ${answer.status}`);
  return (await answer.json()).id_token;
}

// The manager falls back to a public production network when discovery fails, so the list is checked.
export async function discover() {
  const manager = new NodeDetailManager({ network: "sapphire_devnet", fndServerEndpoint: `${front}/fnd/node-details` });
  const found = await manager.getNodeDetails({ verifier, verifierId: "discovery" });
  const nodes = { endpoints: found.torusNodeSSSEndpoints, pubs: found.torusNodePub, indexes: found.torusIndexes };
  if (!nodes.endpoints.every(isLocal)) throw new Error(`discovery gave ${nodes.endpoints}`);
  return nodes;
}

export const torus = (options = {}) =>
  new Torus({ clientId: "authnet-tests", network: "sapphire_devnet", buildEnv: "local", enableOneKey: true, ...options });

export const lookup = (nodes, id, options = {}) =>
  torus().getPublicAddress(nodes.endpoints, nodes.pubs, { verifier, verifierId: id, ...options });

export const login = async (nodes, id, { client = torus(), ...options } = {}) =>
  client.retrieveShares({
    endpoints: nodes.endpoints,
    indexes: nodes.indexes,
    nodePubkeys: nodes.pubs,
    verifier,
    verifierParams: { verifier_id: id },
    idToken: options.idToken ?? (await token(id)),
    ...options,
  });
