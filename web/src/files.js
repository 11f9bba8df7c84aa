import { SewdError } from "./errors.js";

/**
 * Where a bundle is: the address of its folder (in Node.js, also a path), or its files by name.
 * @typedef {string | URL | Record<string, Blob | ArrayBuffer | Uint8Array>} Source
 * @typedef {{ file: string, loaded_bytes: number, total_bytes: number }} LoadProgress
 */

const CACHE = "sewd-web";

/** The files of a bundle. Downloads with a known hash are kept in the browser, by that hash. */
export class Files {
  /** @param {Source} source @param {{ isCached?: boolean, onProgress?: (progress: LoadProgress) => void }} [options] */
  constructor(source, { isCached = true, onProgress = () => {} } = {}) {
    this.source = source;
    this.isCached = isCached && typeof caches !== "undefined";
    this.onProgress = onProgress;
  }

  /** Return a file, and check its size and hash if they are given. @param {string} name @param {import("./manifest.js").FileEntry} [entry] */
  async read(name, entry) {
    const { source } = this;
    if (typeof source === "string" || source instanceof URL) {
      const url = address(source, name);
      return url ? this.download(url, name, entry) : this.readFromDisk(`${source}/${name}`, name, entry);
    }
    const file = source[name];
    if (file === undefined) throw new SewdError(`${name} is missing; give all files of the bundle`);
    const content = file instanceof Blob ? await file.arrayBuffer() : file;
    return check(content instanceof Uint8Array ? content : new Uint8Array(content), name, entry);
  }

  /** @param {string} path @param {string} name @param {import("./manifest.js").FileEntry} [entry] */
  async readFromDisk(path, name, entry) {
    const module = "node:fs/promises"; // not by its name, which bundlers of web pages look up
    /** @type {typeof import("node:fs/promises")} */
    const { readFile } = await import(/* webpackIgnore: true */ /* @vite-ignore */ module);
    const content = await readFile(path).catch((error) => {
      throw new SewdError(error.message);
    });
    return check(content, name, entry);
  }

  /** @param {URL} url @param {string} name @param {import("./manifest.js").FileEntry} [entry] */
  async download(url, name, entry) {
    const key = new URL(url);
    if (entry) key.searchParams.set("sha256", entry.sha256);
    const cache = entry && this.isCached ? await caches.open(CACHE) : null;
    const kept = await cache?.match(key);
    if (kept) return check(new Uint8Array(await kept.arrayBuffer()), name, entry);
    const response = await fetch(url).catch((error) => {
      throw new SewdError(`${url}: ${error.message}`);
    });
    if (!response.ok) throw new SewdError(`${url}: the server answered ${response.status}`);
    const content = await check(await this.receive(response, name, entry), name, entry);
    await cache?.put(key, new Response(content));
    return content;
  }

  /** @param {Response} response @param {string} file @param {import("./manifest.js").FileEntry} [entry] */
  async receive(response, file, entry) {
    if (!entry || !response.body) return new Uint8Array(await response.arrayBuffer());
    const content = new Uint8Array(entry.size_bytes);
    let size = 0;
    const reader = response.body.getReader();
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      const block = /** @type {Uint8Array} */ (value);
      if (size + block.length > content.length) throw wrong(file, `longer than ${content.length} bytes`);
      content.set(block, size);
      size += block.length;
      this.onProgress({ file, loaded_bytes: size, total_bytes: content.length });
    }
    return content.subarray(0, size);
  }
}

/** Return the address of a file, or null where the source is a path. @param {string | URL} folder @param {string} name */
function address(folder, name) {
  const base = typeof location === "undefined" ? undefined : location.href;
  const text = String(folder);
  if (base === undefined && !/^[a-z][a-z0-9+.-]+:/i.test(text)) return null;
  const url = new URL(text.endsWith("/") ? text : `${text}/`, base);
  return url.protocol === "file:" ? null : new URL(name, url);
}

/** @param {Uint8Array<any>} content @param {string} name @param {import("./manifest.js").FileEntry} [entry] @returns {Promise<Uint8Array<ArrayBuffer>>} */
async function check(content, name, entry) {
  if (!entry) return content;
  if (content.length !== entry.size_bytes) throw wrong(name, `${content.length} bytes, not ${entry.size_bytes}`);
  if (!globalThis.crypto?.subtle) throw new SewdError("hashes cannot be checked here: the page needs https, or localhost");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (sha256 !== entry.sha256) throw wrong(name, `its sha256 is ${sha256}, not ${entry.sha256}`);
  return content;
}

/** @param {string} name @param {string} what */
function wrong(name, what) {
  return new SewdError(`${name} differs from bundle.json: ${what}; download or export the bundle again`);
}
