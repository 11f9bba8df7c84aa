import { LevelTracker, SPEECH_SHARE } from "./loudness.js";
import { round } from "./numbers.js";

const [QUIET_S, LOUD_S] = [30, 3];
const UPDATE_FRAMES = 5;

/** @typedef {{ begins: boolean, frame: number }} FrameTurn an end is one past the last frame of a segment */

/** Finds segments of speech frame by frame; the rules are those of sewd_runtime.streaming.endpointing. */
export class Endpointer {
  /** @param {{ pause: number, margin: number, frame_s: number }} options in frames */
  constructor({ pause, margin, frame_s }) {
    this.pause = pause;
    this.margin = margin;
    this.levels = new LevelTracker({
      quietFrames: Math.max(1, round(QUIET_S / frame_s)),
      loudFrames: Math.max(1, round(LOUD_S / frame_s)),
    });
    this.thresholdDb = -Infinity;
    this.frames = 0;
    this.begin = 0; // of the segment, or of the pause after its margin
    this.inSpeech = true;
    this.heardSpeech = false; // in this segment
  }

  /** Take the level of the next frame and return the turns that it shows. @param {number} frameDb @returns {FrameTurn[]} */
  advance(frameDb) {
    this.levels.extend([frameDb]);
    if (this.frames % UPDATE_FRAMES === 0) this.thresholdDb = this.levels.measure().thresholdDb(SPEECH_SHARE);
    this.frames++;
    const loud = this.countLoud();
    const turns = [];
    const pause = this.frames - loud - this.pause;
    if (this.inSpeech && pause >= this.begin && this.wasQuiet(loud)) {
      this.inSpeech = false;
      this.begin = this.heardSpeech ? pause + this.margin : pause;
      turns.push({ begins: false, frame: this.begin });
    }
    if (loud && !this.inSpeech) {
      this.inSpeech = true;
      this.heardSpeech = false;
      this.begin = Math.max(this.begin, this.frames - loud - this.margin);
      turns.push({ begins: true, frame: this.begin });
    }
    if (loud) this.heardSpeech = true;
    return turns;
  }

  /** Count the loud frames at the end, at most as many as a pause has. */
  countLoud() {
    const recent = this.levels.quiet.values;
    let loud = 0;
    while (loud < Math.min(this.pause, recent.length) && recent[recent.length - 1 - loud] > this.thresholdDb) loud++;
    return loud;
  }

  /** Return whether a whole pause lies before the newest loud frames. @param {number} loud */
  wasQuiet(loud) {
    const recent = this.levels.quiet.values;
    const end = recent.length - loud;
    return end >= this.pause && recent.slice(end - this.pause, end).every((level) => level <= this.thresholdDb);
  }
}
