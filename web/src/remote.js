import { SewdError } from "./errors.js";

/** A recognizer in a worker, with the interface of `Recognizer`. */
export class RemoteRecognizer {
  /** @param {Connection} connection @param {Pick<import("./recognizer.js").Recognizer, "manifest" | "precision" | "backend">} loaded */
  constructor(connection, { manifest, precision, backend }) {
    this.connection = connection;
    this.manifest = manifest;
    this.precision = precision;
    this.backend = backend;
  }

  /**
   * @param {import("./files.js").Source} source
   * @param {Parameters<typeof import("./recognizer.js").Recognizer.load>[1]} [options]
   */
  static async load(source, { onProgress, ...options } = {}) {
    const connection = new Connection(new Worker(new URL("./worker.js", import.meta.url), { type: "module" }));
    // A worker's own address is another one, so relative addresses are resolved here.
    const absolute = (/** @type {any} */ one) => (typeof one === "string" || one instanceof URL ? new URL(one, location.href).href : one);
    try {
      const addresses = { ort: absolute(options.ort), wasm: absolute(options.wasm) };
      return new RemoteRecognizer(
        connection,
        await connection.ask("load", [absolute(source), { ...options, ...addresses }], { onProgress }),
      );
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** @param {Float32Array} samples @param {import("./recognizer.js").TranscribeOptions} [options] @returns {Promise<import("./transcript.js").Transcript>} */
  transcribe(samples, { signal, onProgress, ...options } = {}) {
    return this.connection.ask("transcribe", [samples, options], { signal, onProgress });
  }

  /** @param {import("./recognizer.js").StreamOptions} [options] */
  stream(options) {
    return new RemoteStream(this.connection, options);
  }

  /** End the worker. */
  async close() {
    this.connection.close();
  }
}

class RemoteStream {
  #connection;
  #id;
  /** @type {Promise<unknown>} */
  #opened;

  /** @param {Connection} connection @param {unknown} options */
  constructor(connection, options) {
    this.#connection = connection;
    this.#id = connection.nextId;
    this.#opened = connection.ask("stream", [options]);
    this.#opened.catch(() => {}); // thrown by feed and finish
  }

  /** @param {Float32Array} samples @returns {Promise<import("./stream.js").Partial>} */
  feed(samples) {
    const partial = this.#connection.ask("feed", [this.#id, samples]);
    return this.#opened.then(() => partial);
  }

  /** @returns {Promise<import("./stream.js").Partial>} */
  finish() {
    const partial = this.#connection.ask("finish", [this.#id]);
    return this.#opened.then(() => partial);
  }
}

/** Requests to a worker, and its answers. */
class Connection {
  nextId = 1;
  /** @type {Map<number, { resolve: (result: any) => void, reject: (error: Error) => void, onProgress?: (progress: any) => void }>} */
  #waiting = new Map();
  #worker;

  /** @param {Worker} worker */
  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.#answer(data);
    worker.onerror = ({ message }) => this.#fail(`the worker failed: ${message ?? "it cannot be loaded"}`);
  }

  /**
   * @param {string} method @param {unknown[]} args
   * @param {{ signal?: AbortSignal, onProgress?: (progress: any) => void }} [options] @returns {Promise<any>}
   */
  ask(method, args, { signal, onProgress } = {}) {
    const id = this.nextId++;
    const abort = () => this.ask("abort", [id]);
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      signal?.addEventListener("abort", abort);
      this.#waiting.set(id, { resolve, reject, onProgress });
      this.#worker.postMessage({ id, method, args });
    }).finally(() => signal?.removeEventListener("abort", abort));
  }

  close() {
    this.#worker.terminate();
    this.#fail("the recognizer is closed");
  }

  /** @param {{ id: number, result?: unknown, error?: { name: string, message: string }, progress?: unknown }} answer */
  #answer({ id, result, error, progress }) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    if (progress !== undefined) return waiting.onProgress?.(progress);
    this.#waiting.delete(id);
    if (!error) return waiting.resolve(result);
    waiting.reject(error.name === "AbortError" ? new DOMException(error.message, "AbortError") : new SewdError(error.message));
  }

  /** @param {string} message */
  #fail(message) {
    for (const { reject } of this.#waiting.values()) reject(new SewdError(message));
    this.#waiting.clear();
  }
}
