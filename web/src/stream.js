import { Chunker, STREAMING } from "./chunking.js";
import { Committer } from "./committing.js";
import { SewdError } from "./errors.js";
import { FrameClock } from "./frames.js";
import { rows } from "./greedy.js";
import { areFinite } from "./numbers.js";
import { Resampler } from "./resampling.js";

/**
 * What a stream has recognized; times count from the start of the stream.
 * committed: the words that became final since the last one. pending: all words after them, which may still change.
 * turns: where speech began and ended; after: how many of the committed words come before the turn.
 * @typedef {{ begins: boolean, time_s: number, after: number }} Turn
 * @typedef {{ committed: import("./transcript.js").Word[], pending: import("./transcript.js").Word[], turns: Turn[] }} Partial
 */

/** A live transcription. Where blocks end never changes the text, and memory does not grow. */
export class Stream {
  /** @type {import("./transcript.js").Word[]} */
  #committed = [];
  /** @type {import("./transcript.js").Word[]} */
  #pending = [];
  /** @type {Turn[]} */
  #turns = [];
  #segment = 0;
  #isFinished = false;
  /** @type {Promise<unknown>} what was asked for last: windows run one after the other */
  #last = Promise.resolve();
  #network;
  #resampler;
  #chunker;
  #committer;

  /**
   * @param {import("./network.js").Network} network @param {import("./vocabulary.js").Vocabulary} vocabulary
   * @param {{ sample_rate_hz?: number } & globalThis.Partial<import("./chunking.js").Streaming>} [options]
   */
  constructor(network, vocabulary, { sample_rate_hz, ...streaming } = {}) {
    const { manifest } = network;
    this.#network = network;
    this.#resampler = new Resampler(sample_rate_hz ?? manifest.sample_rate_hz, manifest.sample_rate_hz);
    this.#chunker = new Chunker({ ...STREAMING, ...streaming }, manifest);
    this.#committer = new Committer(vocabulary, new FrameClock(manifest));
  }

  /** Take the next samples, at the stream's rate; there may be none. @param {Float32Array} samples @returns {Promise<Partial>} */
  feed(samples) {
    return this.#after(() => {
      if (!areFinite(samples)) throw new SewdError("the block has samples that are not finite");
      this.#chunker.push(this.#resampler.feed(samples));
    });
  }

  /** End the stream and commit all words. @returns {Promise<Partial>} */
  finish() {
    return this.#after(() => {
      this.#chunker.push(this.#resampler.finish());
      this.#isFinished = true;
    });
  }

  /** @param {() => void} take @returns {Promise<Partial>} */
  #after(take) {
    const partial = this.#last.then(async () => {
      if (this.#isFinished) throw new SewdError("the stream is finished; open another with recognizer.stream()");
      take();
      return this.#run();
    });
    this.#last = partial.catch(() => {});
    return partial;
  }

  async #run() {
    for (let window = this.#chunker.due(); window; window = this.#chunker.due()) await this.#take(window);
    const last = this.#isFinished ? this.#chunker.finish() : null;
    if (last) await this.#take(last);
    this.#addTurns(this.#chunker.takeTurns());
    const partial = { committed: this.#committed, pending: this.#pending, turns: this.#turns };
    this.#committed = [];
    this.#turns = [];
    return partial;
  }

  /** Commit the words that a window completes. @param {import("./chunking.js").StreamWindow} window */
  async #take({ samples, begin, known, next }) {
    // Turns are those of this window: the chunker goes on only when it has run.
    const turns = this.#chunker.takeTurns();
    const emission = rows(await this.#network.run(samples), known);
    if (begin !== this.#segment) {
      this.#segment = begin;
      this.#committer.begin(begin);
    }
    // The last end is that of this window's speech, if it ends; what begins after it has no words yet.
    const end = turns.map((turn) => turn.begins).lastIndexOf(false);
    const before = next === null && end >= 0 ? end : turns.length;
    this.#addTurns(turns.slice(0, before));
    if (next === null) {
      this.#committed.push(...this.#committer.advance(emission), ...this.#committer.finish());
      this.#pending = [];
      this.#addTurns(turns.slice(before));
      return;
    }
    this.#committed.push(...this.#committer.advance(rows(emission, 0, next)));
    this.#pending = this.#committer.pending(rows(emission, next));
  }

  /** @param {import("./chunking.js").SpeechTurn[]} turns */
  #addTurns(turns) {
    const after = this.#committed.length;
    this.#turns.push(...turns.map((turn) => ({ ...turn, after })));
  }
}
