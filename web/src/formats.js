import { findCues } from "./cues.js";
import { joinTexts } from "./scripts.js";

const [PARAGRAPH_PAUSE_S, PARAGRAPH_CHARACTERS] = [2, 800];

/** @typedef {import("./transcript.js").Transcript} Transcript */

/** Return the text in paragraphs, each on one line. @param {Transcript} transcript */
export function asText({ text, segments }) {
  /** @type {string[][]} */
  const lines = [[]];
  let end_s = Infinity;
  for (const segment of segments) {
    const length = lines[lines.length - 1].reduce((sum, each) => sum + [...each].length, 0);
    if (segment.start_s - end_s >= PARAGRAPH_PAUSE_S || length >= PARAGRAPH_CHARACTERS) lines.push([]);
    lines[lines.length - 1].push(segment.text);
    end_s = segment.end_s;
  }
  const isJoined = segments.map((segment) => segment.text).join("") === text;
  return lines.map((line) => `${isJoined ? line.join("") : joinTexts(line)}\n`).join("");
}

/** Return SubRip subtitles. @param {Transcript} transcript */
export function asSrt(transcript) {
  return findCues(transcript)
    .map((cue, place) => `${place + 1}\n${clock(cue.start_ms, ",")} --> ${clock(cue.end_ms, ",")}\n${cue.lines.join("\n")}\n\n`)
    .join("");
}

/** Return WebVTT subtitles. @param {Transcript} transcript */
export function asVtt(transcript) {
  const cues = findCues(transcript).map((cue) => {
    const text = cue.lines.join("\n").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
    return `\n${clock(cue.start_ms, ".")} --> ${clock(cue.end_ms, ".")}\n${text}\n`;
  });
  return `WEBVTT\n${cues.join("")}`;
}

/** @param {number} milliseconds @param {string} point */
function clock(milliseconds, point) {
  const seconds = Math.floor(milliseconds / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const texts = parts.map((each) => String(each).padStart(2, "0"));
  return `${texts.join(":")}${point}${String(milliseconds % 1000).padStart(3, "0")}`;
}
