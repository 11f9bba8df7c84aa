// When words begin and end: the model's frames fitted to the pauses of the recording, as in sewd_runtime.text.word_times.
import { Levels, MIN_CONTRAST_DB, SPEECH_RANGE_DB, WORD_SHARE, asDb } from "./loudness.js";
import { findRuns, round, searchSorted } from "./numbers.js";

/** @typedef {import("./transcript.js").Word} Word */
/** @typedef {{ starts: number[], ends: number[] }} Pauses in order, in seconds */

const BLOCKS_PER_S = 100;
const MIN_BLOCKS = 5;
const NEAR_S = 0.02;
const REACH_S = 0.8;

/** Return the pauses of a recording. @param {Float32Array} samples @param {number} rate @returns {Pauses} */
export function findPauses(samples, rate) {
  const runs = findRuns(findQuiet(samples, rate));
  return { starts: runs.map(([begin]) => begin / BLOCKS_PER_S), ends: runs.map(([, end]) => end / BLOCKS_PER_S) };
}

/**
 * Return the words with the times at which their sound begins and ends.
 * @param {Word[]} words @param {Pauses} pauses @param {number} duration_s @returns {Word[]}
 */
export function fitWords(words, pauses, duration_s) {
  if (words.length === 0 || pauses.starts.length === 0) return words;
  const before = { text: "", start_s: -Infinity, end_s: -Infinity, confidence: 1 };
  const after = { text: "", start_s: Infinity, end_s: Infinity, confidence: 1 };
  const all = [before, ...words, after];
  const pairs = all.slice(0, -1).map((word, place) => /** @type {[Word, Word]} */ ([word, all[place + 1]]));
  const byModel = pairs.map(([word, following]) => /** @type {[number, number]} */ ([word.end_s, following.start_s]));
  const fitted = pairs.map(([word, following]) => between(word, following, pauses));
  for (let silent = silentWords(fitted, byModel, duration_s); silent.length; silent = silentWords(fitted, byModel, duration_s))
    for (const place of silent) fitted.splice(place, 2, byModel[place], byModel[place + 1]);
  return words.map((word, place) => ({
    ...word,
    start_s: fitted[place][1],
    end_s: Math.min(fitted[place + 1][0], duration_s),
  }));
}

/**
 * Return the places of fitted words that would end before they begin.
 * @param {[number, number][]} fitted @param {[number, number][]} byModel @param {number} duration_s
 */
function silentWords(fitted, byModel, duration_s) {
  /** @param {number} place */
  const isChanged = (place) =>
    [place, place + 1].some((one) => fitted[one][0] !== byModel[one][0] || fitted[one][1] !== byModel[one][1]);
  return [...fitted.keys()]
    .slice(0, -1)
    .filter((place) => fitted[place][1] >= Math.min(fitted[place + 1][0], duration_s) && isChanged(place));
}

/** Return when a word ends and the next begins. @param {Word} word @param {Word} following @param {Pauses} pauses @returns {[number, number]} */
function between(word, following, pauses) {
  const [end_s, start_s] = [word.end_s, following.start_s];
  const first = Math.max(
    searchSorted(pauses.ends, end_s - NEAR_S, "right"),
    searchSorted(pauses.starts, word.start_s, "right"),
  );
  const last = searchSorted(pauses.starts, start_s + NEAR_S);
  if (first >= last) return start_s - end_s <= REACH_S ? [start_s, start_s] : [end_s, start_s];
  const ends = pauses.starts.slice(first, last).filter((each) => each - end_s <= REACH_S);
  const starts = pauses.ends.slice(first, last).filter((each) => start_s - each <= REACH_S);
  return [ends.at(-1) ?? end_s, starts.at(-1) ?? start_s];
}

/** Return which blocks of 10 ms are quiet. @param {Float32Array} samples @param {number} rate @returns {boolean[]} */
function findQuiet(samples, rate) {
  const blocksDb = blockLevels(samples, rate);
  if (blocksDb.length === 0) return [];
  const levels = Levels.of(blocksDb);
  if (levels.contrastDb < MIN_CONTRAST_DB) return Array.from(blocksDb, () => false);
  const thresholdDb = Math.max(levels.loudDb - SPEECH_RANGE_DB, levels.thresholdDb(WORD_SHARE));
  const loud = withoutShort(Array.from(blocksDb, (level) => level >= thresholdDb), false);
  return withoutShort(loud.map((each) => !each), true);
}

/** Return the mean power of each block and its neighbours, in dB. @param {Float32Array} samples @param {number} rate */
function blockLevels(samples, rate) {
  const size = rate / BLOCKS_PER_S;
  const power = new Float64Array(Math.ceil(samples.length / size));
  for (let block = 0; block < power.length; block++) {
    const end = block + 1 < power.length ? round((block + 1) * size) : samples.length;
    for (let place = round(block * size); place < end; place++) power[block] += samples[place] ** 2;
    power[block] /= size;
  }
  const last = power.length - 1;
  return power.map((own, block) => asDb((power[Math.max(block - 1, 0)] + own + power[Math.min(block + 1, last)]) / 3));
}

/** @param {boolean[]} mask @param {boolean} keepEdges */
function withoutShort(mask, keepEdges) {
  for (const [begin, end] of findRuns(mask)) {
    const isAtEdge = begin === 0 || end === mask.length;
    if (end - begin < MIN_BLOCKS && !(keepEdges && isAtEdge)) mask.fill(false, begin, end);
  }
  return mask;
}
