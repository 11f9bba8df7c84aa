import { FrameClock } from "./frames.js";
import { GreedyState, countRows, part } from "./greedy.js";
import { hasSpaces, makeWords, wordSpans } from "./transcript.js";

const LONG_S = 30;

/**
 * Which words of a stream are final, and which are pending; the rules are those of sewd_runtime.streaming.committing.
 * @typedef {import("./greedy.js").Emission} Emission
 */
export class Committer {
  /** @param {import("./vocabulary.js").Vocabulary} vocabulary @param {FrameClock} clock */
  constructor(vocabulary, clock) {
    this.vocabulary = vocabulary;
    this.clock = clock;
    this.long = clock.frame(LONG_S);
    this.state = new GreedyState(vocabulary);
    this.first = 0; // the frame of the stream at which the state begins
    this.frames = 0; // taken by the state
    this.committed = 0; // tokens
  }

  /** Start a new decoder state at a frame of the stream. @param {number} frame */
  begin(frame) {
    this.state = new GreedyState(this.vocabulary);
    this.first = frame;
    this.frames = 0;
    this.committed = 0;
  }

  /** Take final frames, and return the words that they complete. @param {Emission} emission */
  advance(emission) {
    this.state.advance(emission);
    this.frames += countRows(emission);
    const best = this.state.best();
    const words = [];
    const settled = best.ids.slice(0, this.state.settled());
    const isSpaced = hasSpaces(best.ids, this.vocabulary);
    const whole = this.countWholeWords(settled, isSpaced);
    if (whole > this.committed) {
      words.push(...this.words(part(best, this.committed, whole), isSpaced));
      this.committed = whole;
    }
    const isComplete = this.committed === best.ids.length;
    if (this.frames >= 2 * this.long || (isComplete && this.frames >= this.long)) {
      words.push(...this.finish());
      this.begin(this.first + this.frames);
    }
    return words;
  }

  /** Return the words after the committed ones; emission: the frames that are not yet final. @param {Emission} emission */
  pending(emission) {
    const state = this.state.copy();
    state.advance(emission);
    return this.restOf(state.best());
  }

  /** Return the words that are not yet committed, at the end of a segment. */
  finish() {
    return this.restOf(this.state.best());
  }

  /** Return the number of tokens of words that no later token can extend. @param {number[]} settled @param {boolean} isSpaced */
  countWholeWords(settled, isSpaced) {
    const last = wordSpans(settled, this.vocabulary, isSpaced).at(-1);
    return Math.max(this.vocabulary.countWholeWords(settled), last ? last[0] : 0);
  }

  /** @param {import("./greedy.js").Hypothesis} best */
  restOf(best) {
    return this.words(part(best, this.committed), hasSpaces(best.ids, this.vocabulary));
  }

  /** Return the words of some tokens, with times from the start of the stream. @param {import("./greedy.js").Hypothesis} path @param {boolean} isSpaced */
  words(path, isSpaced) {
    return makeWords(part(path, 0, undefined, this.first), this.vocabulary, this.clock, { isSpaced });
  }
}
