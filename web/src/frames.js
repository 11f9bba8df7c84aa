import { round } from "./numbers.js";

/** @typedef {{ stride: number, receptive_field: number }} Geometry */

/** Return how many frames a model makes of so many samples. @param {number} samples @param {Geometry} geometry */
export function countFrames(samples, { stride, receptive_field }) {
  return samples < receptive_field ? 0 : 1 + Math.floor((samples - receptive_field) / stride);
}

/** Return the smallest number of samples that gives so many frames. @param {number} frames @param {Geometry} geometry */
export function countSamples(frames, { stride, receptive_field }) {
  return frames <= 0 ? 0 : receptive_field + (frames - 1) * stride;
}

/** The times of frames: frame `f` begins at sample `f * stride` and ends where the next begins. */
export class FrameClock {
  /** @param {{ stride: number, sample_rate_hz: number }} manifest */
  constructor({ stride, sample_rate_hz }) {
    this.stride = stride;
    this.rate = sample_rate_hz;
  }

  /** Return the time in seconds at which a frame begins. @param {number} frame */
  seconds(frame) {
    return (frame * this.stride) / this.rate;
  }

  /** Return the frame at a time in seconds. @param {number} seconds */
  frame(seconds) {
    return Math.floor(round(seconds * this.rate) / this.stride);
  }
}
