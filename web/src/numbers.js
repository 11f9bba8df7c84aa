/** Round as Python does: halves to the even neighbour. @param {number} value */
export function round(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/** Return several arrays of samples as one. @param {readonly Float32Array[]} parts */
export function concatenate(parts) {
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let place = 0;
  for (const part of parts) {
    joined.set(part, place);
    place += part.length;
  }
  return joined;
}

/**
 * Return the begin and the end (one past the last) of each run of true values.
 * @param {ArrayLike<boolean | number>} mask
 */
export function findRuns(mask) {
  /** @type {[number, number][]} */
  const runs = [];
  for (let place = 0; place < mask.length; place++)
    if (mask[place])
      if (place > 0 && mask[place - 1]) runs[runs.length - 1][1] = place + 1;
      else runs.push([place, place + 1]);
  return runs;
}

/**
 * Return the first place at which a sorted array is at least a value, or above it.
 * @param {ArrayLike<number>} sorted @param {number} value @param {"left" | "right"} [side]
 */
export function searchSorted(sorted, value, side = "left") {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value || (side === "right" && sorted[middle] === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Return whether all values are finite; Array's own `every` makes an object of each. @param {Float32Array} values */
export function areFinite(values) {
  for (let place = 0; place < values.length; place++) if (!Number.isFinite(values[place])) return false;
  return true;
}
