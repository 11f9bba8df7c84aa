// A recognizer in a worker. Requests: { id, method, args }; answers: { id, result } or { id, error }, and { progress }.
import { Recognizer } from "./recognizer.js";

/** @type {Recognizer} */
let recognizer;
/** @type {Map<number, import("./stream.js").Stream>} */
const streams = new Map();
/** @type {Map<number, AbortController>} */
const running = new Map();

/** @type {Record<string, (id: number, ...args: any[]) => any>} */
const methods = {
  async load(id, source, options) {
    /** @param {unknown} progress */
    const onProgress = (progress) => postMessage({ id, progress });
    recognizer = await Recognizer.load(source, { ...options, onProgress });
    const { manifest, precision, backend } = recognizer;
    return { manifest, precision, backend };
  },
  async transcribe(id, samples, options) {
    const controller = new AbortController();
    running.set(id, controller);
    /** @param {number} progress */
    const onProgress = (progress) => postMessage({ id, progress });
    try {
      return await recognizer.transcribe(samples, { ...options, signal: controller.signal, onProgress });
    } finally {
      running.delete(id);
    }
  },
  abort: (_, request) => running.get(request)?.abort(),
  stream: (id, options) => void streams.set(id, recognizer.stream(options)),
  feed: (_, stream, samples) => find(stream).feed(samples),
  finish(_, stream) {
    const open = find(stream);
    streams.delete(stream);
    return open.finish();
  },
};

/** @param {number} stream */
function find(stream) {
  const open = streams.get(stream);
  if (!open) throw new Error("the stream is finished; open another with recognizer.stream()");
  return open;
}

addEventListener("message", async ({ data: { id, method, args } }) => {
  try {
    postMessage({ id, result: await methods[method](id, ...args) });
  } catch (error) {
    postMessage({ id, error: { name: /** @type {Error} */ (error).name, message: String(/** @type {Error} */ (error).message ?? error) } });
  }
});
