// Subtitles: the words of a transcript as cues; rules and limits are those of sewd_runtime.text.cues.
import { round } from "./numbers.js";
import { columns, onOneLine } from "./scripts.js";

const [LINE_CHARACTERS, LINES] = [42, 2];
const [SHORTEST_S, LONGEST_S, CHARACTERS_PER_S] = [5 / 6, 7, 20];
const [PAUSE_S, LONGEST_PAUSE_S] = [0.3, 1.5];
const [CUE_COST, HASTE_COST, PAUSE_COST, SHORT_COST, CLAUSE_COST] = [1, 8, 0.5, 3, 1];
const SHORT_COLUMNS = 8;
const CLAUSE_END = /[.,;:!?\u2026\u3002\u3001]$/u;
const NUMBER = /^-?[0-9]+\.?[0-9]*$/; // SubRip begins a cue with a number above a clock: such text would be taken for one
const CLOCK = /^[0-9]+[^\p{L}\p{N}_\s][0-9]+[^\p{L}\p{N}_\s][0-9]+/u;

/**
 * @typedef {import("./transcript.js").Word} Word
 * @typedef {{ start_ms: number, end_ms: number, lines: string[] }} Cue
 * @typedef {{ words: Word[], lines: string[], gap: string, pauses: number, next_s: number, endsWell: boolean }} Group
 * @typedef {{ words: Word[], gap: string, ends: Set<number> }} Run
 */

/** Return the cues in order; each word is in one cue, and cues never overlap. @param {import("./transcript.js").Transcript} transcript @returns {Cue[]} */
export function findCues(transcript) {
  const groups = findRuns(transcript).flatMap(bestGroups);
  /** @type {number[]} */
  const starts = []; // at least 1 ms apart
  for (const { words } of groups) starts.push(Math.max(milliseconds(words[0].start_s), (starts.at(-1) ?? -Infinity) + 1));
  return groups.map((group, place) => {
    const [start_ms, following] = [starts[place], starts[place + 1]];
    const spoken = milliseconds(group.words[group.words.length - 1].end_s);
    let end_ms = Math.min(Math.max(spoken, start_ms + milliseconds(reading_s(group))), start_ms + milliseconds(LONGEST_S));
    end_ms = Math.max(start_ms + 1, following === undefined ? end_ms : Math.min(end_ms, following));
    return { start_ms, end_ms, lines: group.lines };
  });
}

/** Return words that are written alike, with their gap, and the places of the last words of segments. @param {import("./transcript.js").Transcript} transcript */
function findRuns({ text, segments, words: all }) {
  /** @type {Run[]} */
  const runs = [];
  const isAllJoined = all.map((word) => word.text).join("") === text;
  for (const segment of segments) {
    const isJoined = segment.words.length > 1 && segment.words.map((word) => word.text).join("") === segment.text;
    const gap = isJoined || isAllJoined ? "" : " ";
    let run = runs.at(-1);
    if (!run || (run.words.length && run.gap !== gap)) runs.push((run = { words: [], gap, ends: new Set() }));
    run.gap = gap;
    run.words.push(...segment.words.filter((word) => onOneLine(word.text)));
    run.ends.add(run.words.length - 1);
  }
  return runs.filter((run) => run.words.length);
}

/** Cut words into the groups with the least total cost. @param {Run} run */
function bestGroups(run) {
  const costs = [0, ...run.words.map(() => Infinity)];
  /** @type {Group[]} */
  const last = [];
  for (let begin = 0; begin < run.words.length; begin++)
    for (const group of groupsFrom(run, begin)) {
      const end = begin + group.words.length;
      const total = costs[begin] + cost(group);
      if (total < costs[end]) {
        costs[end] = total;
        last[end] = group;
      }
    }
  const groups = [];
  for (let place = run.words.length; last[place]; place -= last[place].words.length) groups.push(last[place]);
  return groups.reverse();
}

/** Yield the groups that begin at a word and keep the limits: at least that word alone. @param {Run} run @param {number} begin @returns {Generator<Group>} */
function* groupsFrom({ words, gap, ends }, begin) {
  /** @type {string[]} */
  const lines = [];
  let pauses = 0;
  for (let place = begin; place < words.length; place++) {
    const word = words[place];
    if (place > begin) {
      const pause_s = word.start_s - words[place - 1].end_s;
      if (pause_s >= LONGEST_PAUSE_S || word.end_s - words[begin].start_s > LONGEST_S) return;
      pauses += Number(pause_s >= PAUSE_S);
    }
    addWord(lines, onOneLine(word.text), gap);
    if (lines.length > LINES && place > begin) return;
    if (lines.some((line, below) => below > 0 && CLOCK.test(line) && NUMBER.test(lines[below - 1]))) continue;
    yield {
      words: words.slice(begin, place + 1),
      lines: [...lines],
      gap,
      pauses,
      next_s: words[place + 1]?.start_s ?? Infinity,
      endsWell: ends.has(place) || CLAUSE_END.test(lines[lines.length - 1]),
    };
  }
}

/** Add a word to the last line, or begin another. @param {string[]} lines @param {string} text @param {string} gap */
function addWord(lines, text, gap) {
  const last = lines.at(-1);
  if (last !== undefined && columns(last) + gap.length + columns(text) <= LINE_CHARACTERS) lines[lines.length - 1] = last + gap + text;
  else lines.push(text);
}

/** @param {Group} group */
const width = ({ lines }) => lines.reduce((sum, line) => sum + columns(line), 0);

/** @param {Group} group */
const reading_s = (group) => Math.max(SHORTEST_S, width(group) / CHARACTERS_PER_S);

/** Return how bad a cue a group makes. @param {Group} group */
function cost(group) {
  const { words, gap, next_s, endsWell, pauses } = group;
  const { start_s } = words[0];
  const { end_s } = words[words.length - 1];
  const room_s = Math.max(Math.min(next_s - start_s, LONGEST_S), 0.001);
  const haste = Math.max(0, reading_s(group) / room_s - 1);
  const isShort = gap ? words.length < 3 : width(group) < SHORT_COLUMNS;
  const stops = endsWell || next_s - end_s >= PAUSE_S;
  return (
    CUE_COST +
    HASTE_COST * Math.min(haste, 3) +
    PAUSE_COST * pauses +
    Number(isShort) * SHORT_COST +
    Number(!stops) * CLAUSE_COST
  );
}

/** @param {number} seconds */
const milliseconds = (seconds) => round(seconds * 1000);
