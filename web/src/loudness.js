// Detection of speech by energy; the numbers are those of sewd_runtime.audio.loudness.
import { findRuns, searchSorted } from "./numbers.js";

const FLOOR_DB = -80;
export const MIN_CONTRAST_DB = 10;
const [QUIET_PERCENTILE, LOUD_PERCENTILE] = [5, 98];
export const SPEECH_SHARE = 0.25;
export const FADING_SHARE = 0.125;
export const WORD_SHARE = 0.4;
export const SPEECH_RANGE_DB = 30;

/** The quiet and the loud level of a stretch of sound, in dB of full scale. */
export class Levels {
  /** @param {number} quietDb @param {number} loudDb */
  constructor(quietDb, loudDb) {
    this.quietDb = quietDb;
    this.loudDb = loudDb;
    this.contrastDb = loudDb - quietDb;
  }

  /** Return the 5th and the 98th percentile of frames. @param {Float64Array} framesDb */
  static of(framesDb) {
    const sorted = framesDb.slice().sort();
    return new Levels(percentile(sorted, QUIET_PERCENTILE), percentile(sorted, LOUD_PERCENTILE));
  }

  /** Return the level at a share of the way from quiet to loud; frames above it are loud. @param {number} share */
  thresholdDb(share) {
    if (this.contrastDb < MIN_CONTRAST_DB) return this.quietDb > FLOOR_DB + MIN_CONTRAST_DB ? -Infinity : Infinity;
    return this.quietDb + share * this.contrastDb;
  }
}

/** The levels of sound that arrives in parts: quiet over the newest frames, loud over the newest too, but it never falls. */
export class LevelTracker {
  /** @param {{ quietFrames: number, loudFrames: number }} sizes */
  constructor({ quietFrames, loudFrames }) {
    this.quiet = new Newest(quietFrames);
    this.loud = new Newest(loudFrames);
    this.loudestDb = FLOOR_DB;
  }

  /** Take the levels of the next frames. @param {Iterable<number>} framesDb */
  extend(framesDb) {
    for (const frameDb of framesDb) {
      this.quiet.add(frameDb);
      this.loud.add(frameDb);
    }
  }

  /** Return the levels now. */
  measure() {
    this.loudestDb = Math.max(this.loudestDb, percentile(this.loud.sorted, LOUD_PERCENTILE));
    return new Levels(percentile(this.quiet.sorted, QUIET_PERCENTILE), this.loudestDb);
  }
}

/** The newest values, in their order and sorted. */
class Newest {
  /** @param {number} size */
  constructor(size) {
    this.size = size;
    /** @type {number[]} */
    this.values = [];
    /** @type {number[]} */
    this.sorted = [];
  }

  /** @param {number} value */
  add(value) {
    if (this.values.length === this.size)
      this.sorted.splice(searchSorted(this.sorted, /** @type {number} */ (this.values.shift())), 1);
    this.values.push(value);
    this.sorted.splice(searchSorted(this.sorted, value, "right"), 0, value);
  }
}

/** Return a percentile, interpolated between two values. @param {ArrayLike<number>} sorted @param {number} percent */
function percentile(sorted, percent) {
  const place = ((sorted.length - 1) * percent) / 100;
  const low = Math.floor(place);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
}

/** Return the mean power of each frame of so many samples, in dB; the last is filled up with zeros. @param {Float32Array} samples @param {number} frame */
export function frameLevels(samples, frame) {
  const levels = new Float64Array(Math.ceil(samples.length / frame));
  for (let place = 0; place < samples.length; place++) levels[Math.floor(place / frame)] += samples[place] ** 2;
  return levels.map((sum) => asDb(sum / frame));
}

/** Return power in dB of full scale. @param {number} power */
export function asDb(power) {
  return 10 * Math.log10(power + 10 ** (FLOOR_DB / 10));
}

/**
 * Return the runs of frames above `stayDb` that rise above `startDb` somewhere.
 * @param {Float64Array} framesDb @param {{ startDb: number, stayDb: number }} thresholds
 */
export function runsWithHysteresis(framesDb, { startDb, stayDb }) {
  const stays = Array.from(framesDb, (level) => level > stayDb);
  return findRuns(stays).filter(([begin, end]) => framesDb.subarray(begin, end).some((level) => level > startDb));
}
