import { SewdError } from "./errors.js";

/**
 * provider: "wasm" (the CPU), "webgpu" (experimental), "cpu" (Node.js). threads: how many run a model.
 * @typedef {{ library: string, provider: string, threads: number }} Backend
 * @typedef {{
 *   provider?: "wasm" | "webgpu" | "cpu", threads?: number, ort?: string | URL, wasm?: string | URL,
 * }} BackendOptions
 * @typedef {typeof import("onnxruntime-common")} Ort
 */

const MAX_THREADS = 4;
const isNode = typeof process !== "undefined" && Boolean(process.versions?.node);

/**
 * Import onnxruntime and set it up; what was asked for runs, or an error says why not.
 * @param {BackendOptions} options @returns {Promise<{ ort: Ort, backend: Backend }>}
 */
export async function openBackend({ provider = isNode ? "cpu" : "wasm", threads, ort: address, wasm }) {
  const { hardwareConcurrency = 1 } = globalThis.navigator ?? {};
  const isIsolated = isNode || globalThis.crossOriginIsolated === true;
  if (threads !== undefined && !(Number.isInteger(threads) && threads > 0))
    throw new SewdError(`threads must be an integer above 0, got ${threads}`);
  if (threads !== undefined && threads > 1 && !isIsolated)
    throw new SewdError("several threads need a cross-origin isolated page: send COOP and COEP headers, or leave out threads");
  if (provider === "webgpu" && !(/** @type {any} */ (globalThis.navigator)?.gpu))
    throw new SewdError("this browser has no WebGPU; leave out the provider");
  const ort = /** @type {Ort} */ (await importOrt(provider, address));
  const fitting = isIsolated ? Math.min(MAX_THREADS, hardwareConcurrency) : 1;
  const used = threads ?? (isNode ? 1 : fitting);
  if (provider !== "cpu") {
    ort.env.wasm.numThreads = used;
    if (wasm && !ort.env.wasm.wasmBinary) ort.env.wasm.wasmBinary = await readWasm(wasm);
  }
  const { common, node, web } = ort.env.versions;
  const library = node ? `onnxruntime-node ${node}` : `onnxruntime-web ${web ?? common}`;
  return { ort, backend: { library, provider, threads: used } };
}

/** @param {string} provider @param {string | URL} [address] */
async function importOrt(provider, address) {
  try {
    if (address) return named(await import(/* webpackIgnore: true */ /* @vite-ignore */ String(address)));
    // Named one by one, so that bundlers of web pages find them.
    if (provider === "webgpu") return await import("onnxruntime-web/webgpu");
    if (provider === "wasm") return await import("onnxruntime-web/wasm");
    const name = "onnxruntime-node";
    return named(await import(/* webpackIgnore: true */ /* @vite-ignore */ name));
  } catch (error) {
    const name = address ?? (provider === "cpu" ? "onnxruntime-node" : "onnxruntime-web");
    const advice = isNode ? "npm install it beside sewd-web" : "npm install it; a page without a bundler gives its address as ort";
    throw new SewdError(`cannot import ${name}: ${/** @type {Error} */ (error).message}; ${advice}`);
  }
}

/** Return what a module exports by name: onnxruntime-node is no ES module. @param {any} module */
function named(module) {
  return module.InferenceSession ? module : module.default;
}

/** Return the WebAssembly of onnxruntime, which may be compressed by gzip. @param {string | URL} address */
async function readWasm(address) {
  const response = await fetch(address);
  if (!response.ok) throw new SewdError(`${address}: the server answered ${response.status}`);
  const content = await response.arrayBuffer();
  const [first, second] = new Uint8Array(content, 0, 2);
  if (first !== 0x1f || second !== 0x8b) return content; // a server may have unpacked it on the way
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
