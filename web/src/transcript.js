import { isUnspaced, joinTexts } from "./scripts.js";

const LONGEST_WORD = 16;

/**
 * The objects of `sewd transcribe --format json`; times in seconds.
 * confidence: the geometric mean of the posteriors of the word's characters, to five digits.
 * @typedef {{ text: string, start_s: number, end_s: number, confidence: number }} Word
 * @typedef {{ text: string, start_s: number, end_s: number, words: Word[] }} Segment
 * @typedef {{ text: string, duration_s: number, segments: Segment[], words: Word[] }} Transcript
 *
 * @typedef {import("./greedy.js").Hypothesis} Hypothesis
 * @typedef {import("./vocabulary.js").Vocabulary} Vocabulary
 * @typedef {import("./frames.js").FrameClock} FrameClock
 */

/**
 * Return the words of some tokens: each lasts from its first token's first frame to its last token's last.
 * @param {Hypothesis} path @param {Vocabulary} vocabulary @param {FrameClock} clock
 * @param {{ duration_s?: number, isSpaced?: boolean }} [options] @returns {Word[]}
 */
export function makeWords(path, vocabulary, clock, { duration_s = Infinity, isSpaced } = {}) {
  const words = [];
  for (const [first, last] of wordSpans(path.ids, vocabulary, isSpaced)) {
    const text = vocabulary.text(path.ids.slice(first, last));
    const logProbs = path.logProbs.slice(first, last);
    if (text)
      words.push({
        text,
        start_s: clock.seconds(path.starts[first]),
        end_s: Math.min(clock.seconds(path.ends[last - 1]), duration_s),
        confidence: confidenceOf(logProbs),
      });
  }
  return words;
}

/** As many digits as other threads and exports repeat. @param {number[]} logProbs @returns {number} */
function confidenceOf(logProbs) {
  return Number(Math.exp(logProbs.reduce((sum, each) => sum + each, 0) / logProbs.length).toPrecision(5));
}

/**
 * Return a segment of some words, or none without words.
 * @param {string} text @param {Word[]} words @returns {Segment[]}
 */
export function makeSegments(text, words) {
  return words.length ? [{ text, start_s: words[0].start_s, end_s: words[words.length - 1].end_s, words }] : [];
}

/** @param {Segment[]} segments @param {number} duration_s @param {Vocabulary} vocabulary @returns {Transcript} */
export function makeTranscript(segments, duration_s, vocabulary) {
  const texts = segments.map((segment) => segment.text);
  return {
    text: vocabulary.delimiterId === null ? texts.join("") : joinTexts(texts),
    duration_s,
    segments,
    words: segments.flatMap((segment) => segment.words),
  };
}

/** Return a segment with all times later. @param {Segment} segment @param {number} seconds @returns {Segment} */
export function shiftSegment(segment, seconds) {
  /** @template {{ start_s: number, end_s: number }} T @param {T} each @returns {T} */
  const shifted = (each) => ({ ...each, start_s: each.start_s + seconds, end_s: each.end_s + seconds });
  return { ...shifted(segment), words: segment.words.map(shifted) };
}

/** Return whether a word delimiter stands between any of the tokens. @param {readonly number[]} ids @param {Vocabulary} vocabulary */
export function hasSpaces(ids, { delimiterId }) {
  const words = [...ids.keys()].filter((place) => ids[place] !== delimiterId);
  return words.length > 0 && words[words.length - 1] - words[0] >= words.length;
}

/**
 * Return where each word begins and ends among tokens; the rules are those of sewd_runtime.text.transcript.
 * @param {readonly number[]} ids @param {Vocabulary} vocabulary @param {boolean} [isSpaced] none: seen from these tokens
 * @returns {[number, number][]}
 */
export function wordSpans(ids, vocabulary, isSpaced = hasSpaces(ids, vocabulary)) {
  const { delimiterId } = vocabulary;
  /** @type {[number, number][]} */
  const words = [];
  let first = 0;
  for (let last = 0; last <= ids.length; last++) {
    if (last < ids.length && ids[last] !== delimiterId) continue;
    if (last > first) {
      const begins = [first];
      if (!isSpaced || last - first > LONGEST_WORD)
        for (let place = first + 1; place < last; place++) {
          const [before, piece] = [vocabulary.piece(ids[place - 1]), vocabulary.piece(ids[place])];
          const isApart = delimiterId === null || isUnspaced(before) || isUnspaced(piece);
          if (piece && !/^[\p{M}\p{P}]/u.test(piece) && isApart) begins.push(place);
        }
      for (const [index, begin] of begins.entries()) words.push([begin, begins[index + 1] ?? last]);
    }
    first = last + 1;
  }
  return words;
}
