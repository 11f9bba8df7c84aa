// Recordings of any length: regions of speech, windows that overlap, and their emissions in one again, split between
// words. The rules and numbers are those of sewd_runtime.long; here the whole recording is in memory.
import { countFrames, countSamples, FrameClock } from "./frames.js";
import { bestLabel, countRows, greedy, joinRows, rows } from "./greedy.js";
import { FADING_SHARE, LevelTracker, SPEECH_SHARE, frameLevels, runsWithHysteresis } from "./loudness.js";
import { concatenate, findRuns, round } from "./numbers.js";
import { makeSegments, makeWords, shiftSegment } from "./transcript.js";
import { findPauses, fitWords } from "./word_times.js";

const WHOLE_S = 60;
const [PAUSE_S, MARGIN_S, CHUNK_S, CONTEXT_S] = [0.5, 0.25, 20, 2];
const FRAME_S = 0.02;
const TRACKED_FRAMES = 1500;
const PATIENCE = 8; // times longer than a window a stretch may grow while it waits for a gap between words

/**
 * A part of a recording that is decoded by itself. begin: the sample at which it begins.
 * @typedef {{ emission: import("./greedy.js").Emission, samples: Float32Array, begin: number }} Stretch
 */

/**
 * Yield the segments of a recording at the model's rate, and after each window the samples that are behind it.
 * @param {Float32Array} samples @param {import("./network.js").Network} network
 * @param {import("./vocabulary.js").Vocabulary} vocabulary
 * @returns {AsyncGenerator<{ segments: import("./transcript.js").Segment[], done: number }>}
 */
export async function* runSteps(samples, network, vocabulary) {
  const { manifest } = network;
  const isWhole = samples.length <= round(WHOLE_S * manifest.sample_rate_hz);
  /** @type {[number, number][]} */
  const regions = isWhole ? [[0, samples.length]] : findRegions(samples, manifest.sample_rate_hz);
  for (const [begin, end] of regions) {
    const stitcher = new Stitcher(vocabulary, manifest, begin);
    for (const window of cutWindows(samples.subarray(begin, end), manifest, isWhole)) {
      const stretches = stitcher.add(window, await network.run(window.samples));
      const segments = stretches.flatMap((stretch) => decodeStretch(stretch, manifest, vocabulary));
      yield { segments, done: begin + window.first * manifest.stride + window.samples.length };
    }
  }
}

/**
 * Return the segments of a stretch: one, or none where it has no words.
 * @param {Stretch} stretch @param {import("./manifest.js").Manifest} manifest
 * @param {import("./vocabulary.js").Vocabulary} vocabulary
 */
export function decodeStretch({ emission, samples, begin }, manifest, vocabulary) {
  const rate = manifest.sample_rate_hz;
  const duration_s = samples.length / rate;
  const path = greedy(emission, vocabulary);
  const words = makeWords(path, vocabulary, new FrameClock(manifest), { duration_s });
  const fitted = fitWords(words, findPauses(samples, rate), duration_s);
  return makeSegments(vocabulary.text(path.ids), fitted).map((each) => shiftSegment(each, begin / rate));
}

/** Return where each region of speech begins and ends, in samples. @param {Float32Array} samples @param {number} rate @returns {[number, number][]} */
export function findRegions(samples, rate) {
  const frame = round(FRAME_S * rate);
  const pause = Math.max(1, round(PAUSE_S / FRAME_S));
  const margin = Math.min(round(MARGIN_S / FRAME_S), pause >> 1);
  const levels = new LevelTracker({ quietFrames: TRACKED_FRAMES, loudFrames: TRACKED_FRAMES });
  /** @type {[number, number][]} */
  const regions = [];
  /** @type {[number, number] | null} with the margin before it; its end may still grow */
  let speech = null;
  let free = 0; // frames before it belong to a region or a pause already
  const finish = () => {
    if (!speech) return;
    free = Math.min(speech[1] + margin, Math.ceil(samples.length / frame));
    regions.push([speech[0] * frame, Math.min(free * frame, samples.length)]);
    speech = null;
  };
  for (let begin = 0; begin * frame < samples.length; begin += TRACKED_FRAMES) {
    const framesDb = frameLevels(samples.subarray(begin * frame, (begin + TRACKED_FRAMES) * frame), frame);
    const end = begin + framesDb.length;
    levels.extend(framesDb);
    const now = levels.measure();
    const thresholds = { startDb: now.thresholdDb(SPEECH_SHARE), stayDb: now.thresholdDb(FADING_SHARE) };
    for (const [loud, quiet] of runsWithHysteresis(framesDb, thresholds)) {
      if (speech && begin + loud - speech[1] >= pause) finish();
      speech = [speech ? speech[0] : Math.max(free, begin + loud - margin), begin + quiet];
    }
    if (!speech) free = Math.max(free, end - margin);
    else if (end - speech[1] >= pause) {
      finish();
      free = Math.max(free, end - margin);
    }
  }
  finish();
  return regions;
}

/**
 * Samples that run at once. first: its first frame. begin, end: the frames of the region that are taken from it.
 * @typedef {{ samples: Float32Array, first: number, begin: number, end: number, isLast: boolean }} Window
 */

/** @param {import("./manifest.js").Manifest} manifest */
function plan(manifest) {
  const frames_per_s = manifest.sample_rate_hz / manifest.stride;
  const size = 2 * Math.trunc((CHUNK_S * frames_per_s) / 2); // an even number of frames: the encoder takes pairs
  const context = Math.max(1, round(CONTEXT_S * frames_per_s));
  return { size, context, step: size - 2 * context };
}

/** Yield the windows of a region in order. @param {Float32Array} region @param {import("./manifest.js").Manifest} manifest @param {boolean} isWhole @returns {Generator<Window>} */
export function* cutWindows(region, manifest, isWhole = false) {
  const { size, context, step } = plan(manifest);
  let first = 0;
  /** @param {Float32Array} samples @param {number} end @param {boolean} isLast */
  const window = (samples, end, isLast) => ({ samples, first, begin: first ? first + context : 0, end, isLast });
  let held = region;
  while (!isWhole && countFrames(held.length, manifest) > size) {
    yield window(held.subarray(0, countSamples(size, manifest)), first + step + context, false);
    held = held.subarray(step * manifest.stride);
    first += step;
  }
  yield window(held, first + countFrames(held.length, manifest), true);
}

/** Joins the emissions of a region's windows, and splits long ones between words. */
export class Stitcher {
  /**
   * @param {import("./vocabulary.js").Vocabulary} vocabulary @param {import("./manifest.js").Manifest} manifest
   * @param {number} begin the sample of the recording at which the region begins
   */
  constructor(vocabulary, manifest, begin = 0) {
    this.begin = begin;
    this.vocabulary = vocabulary;
    this.stride = manifest.stride;
    this.longest = plan(manifest).size;
    /** @type {Stretch | null} */
    this.held = null;
  }

  /** Take the emission of the next window; return what can be decoded. @param {Window} window @param {import("./greedy.js").Emission} emission */
  add(window, emission) {
    const { stride } = this;
    const [begin, end] = [window.begin - window.first, window.end - window.first];
    const taken = {
      emission: rows(emission, begin, end),
      samples: window.samples.subarray(begin * stride, window.isLast ? undefined : end * stride),
      begin: this.begin + window.begin * stride,
    };
    let held = this.held ? joinStretches(this.held, taken) : taken;
    const stretches = [];
    const isOnlyWindow = window.isLast && !this.held;
    for (let place = 0; !isOnlyWindow && countRows(held.emission) > this.longest; held = after(held, place, stride)) {
      place = this.endOfWord(held.emission);
      if (!place) break;
      stretches.push({
        emission: rows(held.emission, 0, place),
        samples: held.samples.subarray(0, place * stride),
        begin: held.begin,
      });
    }
    this.held = held;
    if (window.isLast) stretches.push(held);
    return stretches;
  }

  /** Return the middle of the longest gap between two words, or 0 if there is none yet. @param {import("./greedy.js").Emission} emission */
  endOfWord(emission) {
    const { blankId, canonicalIds, delimiterId } = this.vocabulary;
    const frames = countRows(emission);
    const labels = Array.from({ length: frames }, (_, frame) => canonicalIds[bestLabel(emission, frame)]);
    const isBlank = labels.map((label) => label === blankId);
    let between = isBlank;
    if (delimiterId !== null) {
      let last = delimiterId; // before the first token all frames lie between words
      between = labels.map((label) => (last = label === blankId ? last : label) === delimiterId);
    }
    const isEndless = frames > PATIENCE * this.longest;
    if (isEndless && !between.includes(true)) between = isBlank;
    /** @type {[number, number]} */
    const nowhere = isEndless ? [frames, frames] : [0, 0];
    const runs = findRuns(between);
    const [begin, end] = runs.reduce((best, run) => (run[1] - run[0] > best[1] - best[0] ? run : best), runs[0] ?? nowhere);
    return (begin + end + 1) >> 1;
  }
}

/** @param {Stretch} held @param {number} frame @param {number} stride @returns {Stretch} */
function after(held, frame, stride) {
  return {
    emission: rows(held.emission, frame),
    samples: held.samples.subarray(frame * stride),
    begin: held.begin + frame * stride,
  };
}

/** @param {Stretch} first @param {Stretch} second @returns {Stretch} */
function joinStretches(first, second) {
  return {
    emission: joinRows(first.emission, second.emission),
    samples: concatenate([first.samples, second.samples]),
    begin: first.begin,
  };
}
