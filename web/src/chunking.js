import { Endpointer } from "./endpointing.js";
import { SewdError } from "./errors.js";
import { FrameClock } from "./frames.js";
import { frameLevels } from "./loudness.js";
import { concatenate, round } from "./numbers.js";

/**
 * How a stream is cut into windows, in seconds: as in docs/streaming.md.
 * @typedef {{ chunk_s: number, right_context_s: number, left_context_s: number, pause_s: number, margin_s: number }} Streaming
 */

/** @type {Readonly<Streaming>} */
export const STREAMING = Object.freeze({
  chunk_s: 0.5,
  right_context_s: 1,
  left_context_s: 4,
  pause_s: 0.5,
  margin_s: 0.25,
});

/**
 * Part of a stream that runs next. begin: the frame at which its segment begins. known: how many of its first frames are
 * final already; next: how many after these become final, null: all, because the segment ends here.
 * @typedef {{ samples: Float32Array, begin: number, known: number, next: number | null }} StreamWindow
 * @typedef {{ begins: boolean, time_s: number }} SpeechTurn
 */

/** Turns samples into windows; the rules are those of sewd_runtime.streaming.chunking. */
export class Chunker {
  /** @param {Streaming} streaming @param {import("./manifest.js").Manifest} manifest */
  constructor(streaming, manifest) {
    check(streaming);
    const frame_s = manifest.stride / manifest.sample_rate_hz;
    this.clock = new FrameClock(manifest);
    this.stride = manifest.stride;
    this.chunk = Math.max(1, round(streaming.chunk_s / frame_s));
    const field = Math.ceil(manifest.receptive_field / manifest.stride);
    this.right = Math.max(field, round(streaming.right_context_s / frame_s));
    this.left = even(round(streaming.left_context_s / frame_s));
    this.margin = even(round(streaming.margin_s / frame_s));
    const pause = Math.max(1, round(streaming.pause_s / frame_s));
    this.endpointer = new Endpointer({ pause, margin: this.margin, frame_s });
    this.rest = new Float32Array(0); // less than a frame
    /** @type {[Float32Array, number][]} frames and their levels in dB */
    this.incoming = [];
    /** @type {Float32Array[]} */
    this.held = [];
    this.first = 0; // the first frame held
    this.count = 0; // frames taken from the incoming ones
    this.begin = 0; // of the segment
    this.final = 0; // one past the last final frame
    this.due_at = this.chunk + this.right; // the frame at which the next window runs
    this.inTurn = false;
    /** @type {SpeechTurn[]} */
    this.turns = [];
  }

  /** Take the next samples. @param {Float32Array} samples */
  push(samples) {
    const joined = concatenate([this.rest, samples]);
    const whole = Math.floor(joined.length / this.stride);
    const levels = frameLevels(joined.subarray(0, whole * this.stride), this.stride);
    for (let frame = 0; frame < whole; frame++)
      this.incoming.push([joined.slice(frame * this.stride, (frame + 1) * this.stride), levels[frame]]);
    this.rest = joined.slice(whole * this.stride);
  }

  /** Return the next window that can run, or null when more samples are needed. @returns {StreamWindow | null} */
  due() {
    for (let place = 0; place < this.incoming.length; place++) {
      const [frame, frameDb] = this.incoming[place];
      this.held.push(frame);
      this.count++;
      let window = this.turn(frameDb);
      if (window === null) {
        if (!this.endpointer.inSpeech) this.dropBefore(this.count - this.margin - 1);
        else if (this.endpointer.heardSpeech && this.count >= this.due_at) {
          this.due_at = this.count + this.chunk;
          window = this.window(this.count, this.count - this.right - this.final);
        }
      }
      if (window !== null) {
        this.incoming.splice(0, place + 1);
        return window;
      }
    }
    this.incoming = [];
    return null;
  }

  /** Return the last window if the stream ends in speech, else null. */
  finish() {
    if (!(this.endpointer.inSpeech && this.endpointer.heardSpeech)) return null;
    this.held.push(this.rest);
    this.note(false, this.count);
    return this.window(this.count + 1, null);
  }

  /** Return the turns since the last call; a turn ends with the last window of its speech. */
  takeTurns() {
    return this.turns.splice(0);
  }

  /** @param {boolean} begins @param {number} frame */
  note(begins, frame) {
    if (begins === this.inTurn) return;
    this.inTurn = begins;
    this.turns.push({ begins, time_s: this.clock.seconds(frame) });
  }

  /** Begin and end segments at the newest frame; return the last window of a segment with speech. @param {number} frameDb */
  turn(frameDb) {
    /** @type {StreamWindow | null} */
    let window = null;
    const { heardSpeech } = this.endpointer;
    for (const turn of this.endpointer.advance(frameDb))
      if (turn.begins) {
        this.dropBefore(Math.max(turn.frame, this.final + 1));
        this.begin = this.final = this.first;
        this.due_at = this.begin + this.chunk + this.right;
        this.note(true, this.begin);
      } else if (heardSpeech) {
        const end = Math.max(turn.frame, this.final);
        this.note(true, this.begin);
        this.note(false, end);
        window = this.window(end, null);
      }
    if (this.endpointer.inSpeech && this.endpointer.heardSpeech)
      this.note(true, Math.max(this.begin, this.count - 1 - this.margin)); // the stream began inside speech
    return window;
  }

  /**
   * Return the window up to a frame with its left context, and mark its new frames as final.
   * @param {number} end @param {number | null} next @returns {StreamWindow}
   */
  window(end, next) {
    this.dropBefore(this.final - this.left);
    const samples = concatenate(this.held.slice(0, end - this.first));
    const window = { samples, begin: this.begin, known: this.final - this.first, next };
    this.final = next === null ? end : this.final + next;
    return window;
  }

  /** Drop the samples before a frame, rounded down to an even one. @param {number} frame */
  dropBefore(frame) {
    const drop = Math.max(0, even(frame) - this.first);
    this.held.splice(0, drop);
    this.first += drop;
  }
}

/** @param {number} frames */
const even = (frames) => 2 * Math.floor(frames / 2);

/** @param {Streaming} streaming */
function check({ chunk_s, right_context_s, left_context_s, pause_s, margin_s }) {
  const isUpTo60 = [chunk_s, right_context_s, left_context_s, pause_s].every((each) => each >= 0 && each <= 60);
  if (!isUpTo60 || chunk_s === 0 || pause_s === 0)
    throw new SewdError("chunk_s and pause_s must be above 0, the contexts at least 0, none above 60");
  if (!(margin_s >= 0 && 2 * margin_s <= pause_s))
    throw new SewdError("margin_s must be at least 0 and at most half of pause_s");
}
