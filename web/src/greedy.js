/**
 * Frames of log-probabilities, (frames, vocab) float32 in rows.
 * @typedef {{ data: Float32Array, vocab: number }} Emission
 */

/** @param {Emission} emission */
export const countRows = ({ data, vocab }) => data.length / vocab;

/** Return some frames of an emission. @param {Emission} emission @param {number} begin @param {number} [end] */
export function rows({ data, vocab }, begin, end) {
  return { data: data.subarray(begin * vocab, end === undefined ? undefined : end * vocab), vocab };
}

/** Return two emissions as one. @param {Emission} first @param {Emission} second */
export function joinRows(first, second) {
  const data = new Float32Array(first.data.length + second.data.length);
  data.set(first.data);
  data.set(second.data, first.data.length);
  return { data, vocab: first.vocab };
}

/** Replace logits by log-probabilities, in float32. @param {Emission} logits @returns {Emission} */
export function logSoftmax(logits) {
  const { data, vocab } = logits;
  for (let begin = 0; begin < data.length; begin += vocab) {
    const end = begin + vocab;
    let largest = -Infinity;
    for (let place = begin; place < end; place++) if (data[place] > largest) largest = data[place];
    let sum = 0;
    for (let place = begin; place < end; place++) {
      data[place] -= largest;
      sum += Math.exp(data[place]);
    }
    const logSum = Math.fround(Math.log(sum));
    for (let place = begin; place < end; place++) data[place] -= logSum;
  }
  return logits;
}

/**
 * Tokens without repeats and blanks, the frames of each (ends: one past the last), and the mean log-probability.
 * @typedef {{ ids: number[], starts: number[], ends: number[], logProbs: number[] }} Hypothesis
 */

/** Return some tokens, some frames later. @param {Hypothesis} all @param {number} first @param {number} [last] @param {number} [later] */
export function part({ ids, starts, ends, logProbs }, first, last, later = 0) {
  return {
    ids: ids.slice(first, last),
    starts: starts.slice(first, last).map((frame) => frame + later),
    ends: ends.slice(first, last).map((frame) => frame + later),
    logProbs: logProbs.slice(first, last),
  };
}

/** Return the best label of a frame: the first of the largest. @param {Emission} emission @param {number} frame */
export function bestLabel({ data, vocab }, frame) {
  const begin = frame * vocab;
  let best = begin;
  for (let place = begin + 1; place < begin + vocab; place++) if (data[place] > data[best]) best = place;
  return best - begin;
}

/**
 * Return the best path: the best label of every frame, repeats merged and blanks dropped.
 * @param {Emission} emission @param {import("./vocabulary.js").Vocabulary} vocabulary @returns {Hypothesis}
 */
export function greedy(emission, { blankId, canonicalIds }) {
  /** @type {Hypothesis} */
  const path = { ids: [], starts: [], ends: [], logProbs: [] };
  const frames = countRows(emission);
  let [before, sum] = [blankId, 0];
  for (let frame = 0; frame <= frames; frame++) {
    const best = frame < frames ? bestLabel(emission, frame) : 0;
    const label = frame < frames ? canonicalIds[best] : blankId;
    if (label !== before && before !== blankId) {
      path.ends.push(frame);
      path.logProbs.push(sum / (frame - path.starts[path.starts.length - 1]));
    }
    if (label !== blankId) {
      if (label !== before) {
        path.ids.push(label);
        path.starts.push(frame);
        sum = 0;
      }
      sum += emission.data[frame * emission.vocab + best];
    }
    before = label;
  }
  return path;
}

/** The best path of an utterance that arrives in parts; only its last token can still change, by lasting longer. */
export class GreedyState {
  /** @param {import("./vocabulary.js").Vocabulary} vocabulary */
  constructor(vocabulary) {
    this.vocabulary = vocabulary;
    /** @type {Hypothesis} */
    this.past = { ids: [], starts: [], ends: [], logProbs: [] };
    /** @type {Emission} the frames of a last token that may still grow */
    this.open = { data: new Float32Array(0), vocab: vocabulary.canonicalIds.length };
    this.numFrames = 0; // before `open`
  }

  /** Take the next frames. @param {Emission} emission */
  advance(emission) {
    const frames = joinRows(this.open, emission);
    const end = this.numFrames + countRows(frames);
    const path = part(greedy(frames, this.vocabulary), 0, undefined, this.numFrames);
    const isOpen = path.ends.at(-1) === end;
    const begin = isOpen ? /** @type {number} */ (path.starts.at(-1)) : end;
    this.past = join(this.past, part(path, 0, path.ids.length - Number(isOpen)));
    this.open = rows(frames, begin - this.numFrames);
    this.numFrames = begin;
  }

  /** Return the best path of all frames so far. */
  best() {
    return join(this.past, part(greedy(this.open, this.vocabulary), 0, undefined, this.numFrames));
  }

  /** Return how many tokens no later frame can change. */
  settled() {
    return this.past.ids.length;
  }

  /** Return an independent copy. */
  copy() {
    return Object.assign(new GreedyState(this.vocabulary), this); // no field is changed in place
  }
}

/** @param {Hypothesis} first @param {Hypothesis} second @returns {Hypothesis} */
function join(first, second) {
  return {
    ids: [...first.ids, ...second.ids],
    starts: [...first.starts, ...second.starts],
    ends: [...first.ends, ...second.ends],
    logProbs: [...first.logProbs, ...second.logProbs],
  };
}
