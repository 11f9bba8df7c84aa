import { openBackend } from "./backend.js";
import { SewdError } from "./errors.js";
import { Files } from "./files.js";
import { runSteps } from "./long.js";
import { modelFile, parseJson, parseManifest } from "./manifest.js";
import { Network } from "./network.js";
import { areFinite, concatenate } from "./numbers.js";
import { Resampler } from "./resampling.js";
import { Stream } from "./stream.js";
import { makeTranscript } from "./transcript.js";
import { Vocabulary } from "./vocabulary.js";

/**
 * precision: int8 if the bundle has it, else fp32. isCached: keep downloads in the browser.
 * @typedef {import("./backend.js").BackendOptions & { precision?: string, isCached?: boolean }} LoadOptions
 * @typedef {{ sample_rate_hz?: number, signal?: AbortSignal, onProgress?: (seconds: number) => void }} TranscribeOptions
 * @typedef {{ sample_rate_hz?: number } & globalThis.Partial<import("./chunking.js").Streaming>} StreamOptions
 */

/** A loaded model of speech to text, in this thread. */
export class Recognizer {
  /**
   * @param {Network} network @param {Vocabulary} vocabulary @param {string} precision
   * @param {import("./backend.js").Backend} backend
   */
  constructor(network, vocabulary, precision, backend) {
    this.network = network;
    this.vocabulary = vocabulary;
    this.manifest = network.manifest;
    this.precision = precision;
    this.backend = backend;
  }

  /**
   * Read a bundle, check the hashes of its files, load it and run it once.
   * @param {import("./files.js").Source} source
   * @param {LoadOptions & { onProgress?: (progress: import("./files.js").LoadProgress) => void }} [options]
   */
  static async load(source, { precision, isCached, onProgress, ...wanted } = {}) {
    const files = new Files(source, { isCached, onProgress });
    const decoder = new TextDecoder();
    const opening = openBackend(wanted);
    opening.catch(() => {}); // awaited below
    const manifest = parseManifest(decoder.decode(await files.read("bundle.json")));
    const chosen = precision ?? ("int8" in manifest.precisions ? "int8" : "fp32");
    const name = modelFile(manifest, chosen);
    const [tokens, model] = await Promise.all(
      ["vocab.json", name].map((each) => files.read(each, manifest.files[each])),
    );
    const vocabulary = new Vocabulary(parseJson(decoder.decode(tokens), "vocab.json"), manifest.ctc, manifest.num_outputs);
    const { ort, backend } = await opening;
    const threads = backend.provider === "cpu" ? { intraOpNumThreads: backend.threads } : {};
    const session = await ort.InferenceSession.create(model, {
      executionProviders: [backend.provider],
      enableMemPattern: false, // it would keep one pattern for each length
      ...threads,
    });
    const network = new Network(ort, session, manifest);
    await network.run(new Float32Array(manifest.sample_rate_hz)); // the first run is slower
    return new Recognizer(network, vocabulary, chosen, backend);
  }

  /**
   * Transcribe a recording: samples in [-1, 1]. onProgress is told how many seconds are done.
   * @param {Float32Array} samples @param {TranscribeOptions} [options]
   * @returns {Promise<import("./transcript.js").Transcript>}
   */
  async transcribe(samples, { sample_rate_hz, signal, onProgress = () => {} } = {}) {
    if (!areFinite(samples)) throw new SewdError("the recording has samples that are not finite");
    const rate = this.manifest.sample_rate_hz;
    const resampled = resample(samples, sample_rate_hz ?? rate, rate);
    const segments = [];
    for await (const step of runSteps(resampled, this.network, this.vocabulary)) {
      await new Promise((resolve) => setTimeout(resolve)); // messages of the page come in between windows
      signal?.throwIfAborted();
      segments.push(...step.segments);
      onProgress(step.done / rate);
    }
    return makeTranscript(segments, resampled.length / rate, this.vocabulary);
  }

  /** Open a stream: speech to text while it is spoken. @param {StreamOptions} [options] */
  stream(options) {
    return new Stream(this.network, this.vocabulary, options);
  }

  /** Free the model's memory. */
  async close() {
    await this.network.session.release();
  }
}

/** Return samples at another rate. @param {Float32Array} samples @param {number} rate @param {number} target */
function resample(samples, rate, target) {
  const resampler = new Resampler(rate, target);
  return concatenate([resampler.feed(samples), resampler.finish()]).subarray(0, Math.ceil((samples.length * target) / rate));
}
