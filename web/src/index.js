import { readAudio } from "./audio.js";
import { Recognizer as LocalRecognizer } from "./recognizer.js";
import { RemoteRecognizer } from "./remote.js";

export { SewdError } from "./errors.js";
export { asSrt, asText, asVtt } from "./formats.js";
export { joinTexts } from "./scripts.js";

/**
 * @typedef {import("./transcript.js").Word} Word
 * @typedef {import("./transcript.js").Segment} Segment
 * @typedef {import("./transcript.js").Transcript} Transcript
 * @typedef {import("./stream.js").Partial} Partial
 * @typedef {import("./stream.js").Turn} Turn
 * @typedef {{
 *   feed(samples: Float32Array): Promise<Partial>, finish(): Promise<Partial>,
 * }} Stream feed takes mono samples and returns the new words, finish the last ones
 * @typedef {import("./files.js").Source} Source
 * @typedef {import("./files.js").LoadProgress} LoadProgress
 * @typedef {import("./manifest.js").Manifest} Manifest
 * @typedef {import("./backend.js").Backend} Backend
 * @typedef {import("./recognizer.js").TranscribeOptions} TranscribeOptions
 * @typedef {import("./recognizer.js").StreamOptions} StreamOptions
 * @typedef {import("./recognizer.js").LoadOptions & {
 *   isInWorker?: boolean, onProgress?: (progress: LoadProgress) => void,
 * }} LoadOptions isInWorker: run in a worker, the default where there are any
 */

/**
 * Load a bundle: read its manifest, check the hash of each file, open the model and run it once.
 * @param {Source} source the address of its folder, in Node.js also a path, or its files by name
 * @param {LoadOptions} [options]
 */
export async function load(source, { isInWorker = typeof Worker !== "undefined", ...options } = {}) {
  return new Recognizer(await (isInWorker ? RemoteRecognizer : LocalRecognizer).load(source, options));
}

/** A loaded model of speech to text. */
export class Recognizer {
  #model;

  /** @param {LocalRecognizer | RemoteRecognizer} model */
  constructor(model) {
    this.#model = model;
    /** @type {Manifest} */
    this.manifest = model.manifest;
    /** @type {string} */
    this.precision = model.precision;
    /** @type {Backend} what runs the model */
    this.backend = model.backend;
  }

  /**
   * Transcribe a recording: a file in any format that the browser plays (in Node.js: WAV), or mono samples in [-1, 1].
   * @param {Blob | Float32Array} audio
   * @param {TranscribeOptions} [options] sample_rate_hz: of samples; the model's if left out
   * @returns {Promise<Transcript>}
   */
  async transcribe(audio, options = {}) {
    if (audio instanceof Float32Array) return this.#model.transcribe(audio, options);
    const { samples, sample_rate_hz } = await this.read(audio);
    return this.#model.transcribe(samples, { ...options, sample_rate_hz });
  }

  /** Read a recording as mono samples at the model's rate (in Node.js: at its own). @param {Blob} audio */
  read(audio) {
    return readAudio(audio, this.manifest.sample_rate_hz);
  }

  /** Open a stream: speech to text while it is spoken. @param {StreamOptions} [options] @returns {Stream} */
  stream(options) {
    return this.#model.stream(options);
  }

  /** Free the model's memory. */
  close() {
    return this.#model.close();
  }
}
