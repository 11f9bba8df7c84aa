import { SewdError } from "./errors.js";
import { concatenate } from "./numbers.js";

const ZEROS = 64; // of the sinc, on each side of a sample
const ROLLOFF = 0.955; // of the lower of the two Nyquist frequencies
const BETA = 8; // of the Kaiser window

/** Changes the sample rate of consecutive blocks by windowed sinc interpolation (J. O. Smith, "Digital Audio Resampling"). */
export class Resampler {
  /** @param {number} rate @param {number} target both in Hz */
  constructor(rate, target) {
    for (const each of [rate, target])
      if (!(Number.isInteger(each) && each >= 1000 && each < 1_000_000))
        throw new SewdError(`a sample rate of ${each} Hz is outside 1000 to 999999`);
    const divisor = gcd(rate, target);
    this.down = rate / divisor;
    this.up = target / divisor;
    const scale = Math.min(1, target / rate) * ROLLOFF;
    this.reach = Math.ceil(ZEROS / scale); // input samples on each side
    /** @type {Map<number, Float32Array>} the taps of each phase, made when it is first needed */
    this.phases = new Map();
    this.scale = scale;
    this.held = new Float32Array(this.reach); // silence before the start
    this.first = -this.reach; // the input sample at which `held` begins
    this.next = 0; // the next output sample
    this.isSame = rate === target;
  }

  /** Return the samples that are final at the new rate. @param {Float32Array} block */
  feed(block) {
    if (this.isSame) return block;
    this.held = concatenate([this.held, block]);
    const end = this.first + this.held.length - this.reach; // inputs before it have all their neighbours
    const resampled = new Float32Array(Math.max(0, Math.ceil((end * this.up) / this.down) - this.next));
    for (let place = 0; place < resampled.length; place++) resampled[place] = this.sample(this.next + place);
    this.next += resampled.length;
    const needed = Math.floor((this.next * this.down) / this.up) - this.reach;
    const drop = Math.min(Math.max(0, needed - this.first), this.held.length);
    this.held = this.held.slice(drop);
    this.first += drop;
    return resampled;
  }

  /** Return the remaining samples. */
  finish() {
    return this.isSame ? new Float32Array(0) : this.feed(new Float32Array(this.reach));
  }

  /** @param {number} output */
  sample(output) {
    const position = output * this.down;
    const centre = Math.floor(position / this.up);
    const taps = this.taps(position % this.up);
    const begin = centre - this.reach + 1 - this.first;
    const { held } = this; // no view of it: 16,000 a second would be garbage
    let sum = 0;
    for (let tap = 0; tap < taps.length; tap++) sum += taps[tap] * held[begin + tap];
    return sum;
  }

  /** Return the weights of the input samples around a position, of which `phase / up` is the fraction. @param {number} phase */
  taps(phase) {
    let taps = this.phases.get(phase);
    if (!taps) {
      taps = new Float32Array(2 * this.reach);
      for (let tap = 0; tap < taps.length; tap++) {
        const distance = tap - this.reach + 1 - phase / this.up;
        const share = distance / this.reach;
        const window = Math.abs(share) < 1 ? bessel(BETA * Math.sqrt(1 - share * share)) / bessel(BETA) : 0;
        const angle = Math.PI * distance * this.scale;
        taps[tap] = this.scale * (angle === 0 ? 1 : Math.sin(angle) / angle) * window;
      }
      this.phases.set(phase, taps);
    }
    return taps;
  }
}

/** Return the modified Bessel function of the first kind, of order 0. @param {number} x */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let order = 1; term > sum * 1e-12; order++) {
    term *= (x / (2 * order)) ** 2;
    sum += term;
  }
  return sum;
}

/** @param {number} a @param {number} b @returns {number} */
function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}
