// What sewd-web computes beside what Python computed, which test_web.py wrote as JSON. Runs in node and in browsers.

/** Compare all vectors; `sewd` has the modules of web/src by name. Return how many results were compared. */
export async function compareVectors(vectors, sewd) {
  let count = 0;
  const equal = (actual, expected, path) => {
    count++;
    const difference = differs(actual, expected, path);
    if (difference) throw new Error(difference);
  };
  for (const [kind, compare] of Object.entries(COMPARE)) {
    if (!vectors[kind]?.length) throw new Error(`no vectors of ${kind}`);
    for (const [place, vector] of vectors[kind].entries())
      await compare(vector, sewd, (actual, expected, what) => equal(actual, expected, `${kind} ${place} ${what}`));
  }
  return count;
}

const COMPARE = {
  decoding({ vocabulary: given, emission, stride, rate, duration_s, text, words, cuts, commits }, sewd, equal) {
    const vocabulary = new sewd.vocabulary.Vocabulary(given.tokens, given.ctc, given.num_outputs);
    const clock = new sewd.frames.FrameClock({ stride, sample_rate_hz: rate });
    const frames = { data: floats(emission), vocab: given.num_outputs };
    const path = sewd.greedy.greedy(frames, vocabulary);
    equal(vocabulary.text(path.ids), text, "text");
    equal(sewd.transcript.makeWords(path, vocabulary, clock, { duration_s }), words, "words");
    const committer = new sewd.committing.Committer(vocabulary, clock);
    for (const [place, [begin, end]] of cuts.entries()) {
      const committed = committer.advance(sewd.greedy.rows(frames, begin, end));
      equal(committed, commits[place].committed, `committed ${place}`);
      equal(committer.pending(sewd.greedy.rows(frames, end, end + 5)), commits[place].pending, `pending ${place}`);
    }
    equal(committer.finish(), commits.at(-1).rest, "rest");
  },
  softmax({ logits, log_probs, vocab }, sewd, equal) {
    equal(Array.from(sewd.greedy.logSoftmax({ data: floats(logits), vocab }).data), Array.from(floats(log_probs)), "log_probs");
  },
  recordings({ vocabulary: given, manifest, emission, samples, segments, text }, sewd, equal) {
    const vocabulary = new sewd.vocabulary.Vocabulary(given.tokens, given.ctc, given.num_outputs);
    const stretch = { emission: { data: floats(emission), vocab: given.num_outputs }, samples: floats(samples), begin: 0 };
    const decoded = sewd.long.decodeStretch(stretch, manifest, vocabulary);
    equal(decoded, segments, "segments");
    equal(sewd.transcript.makeTranscript(decoded, 1, vocabulary).text, text, "text");
  },
  streams({ manifest, streaming, samples, blocks, windows, turns }, sewd, equal) {
    const all = floats(samples);
    const chunker = new sewd.chunking.Chunker(streaming, manifest);
    const [seen, heard] = [[], []];
    const note = ({ samples, begin, known, next }) => seen.push([samples.length, sum(samples), begin, known, next]);
    let place = 0;
    for (const size of blocks) {
      chunker.push(all.subarray(place, place + size));
      place += size;
      for (let window = chunker.due(); window; window = chunker.due()) {
        note(window);
        heard.push(...chunker.takeTurns());
      }
    }
    const last = chunker.finish();
    if (last) note(last);
    heard.push(...chunker.takeTurns());
    equal(seen, windows, "windows");
    equal(heard, turns, "turns");
  },
  long({ manifest, vocabulary: given, samples, regions, windows, emissions, stretches }, sewd, equal) {
    const all = floats(samples);
    const vocabulary = new sewd.vocabulary.Vocabulary(given.tokens, given.ctc, given.num_outputs);
    const found = sewd.long.findRegions(all, manifest.sample_rate_hz);
    equal(found, regions, "regions");
    const [seen, parts] = [[], []];
    for (const [begin, end] of found) {
      const stitcher = new sewd.long.Stitcher(vocabulary, manifest, begin);
      for (const window of sewd.long.cutWindows(all.subarray(begin, end), manifest)) {
        const emission = { data: floats(emissions[seen.length]), vocab: given.num_outputs };
        seen.push([window.samples.length, begin, window.first, window.begin, window.end, window.isLast]);
        for (const stretch of stitcher.add(window, emission))
          parts.push([stretch.begin, sewd.greedy.countRows(stretch.emission), stretch.samples.length]);
      }
    }
    equal(seen, windows, "windows");
    equal(parts, stretches, "stretches");
  },
  subtitles({ transcript, txt, srt, vtt }, sewd, equal) {
    equal(sewd.formats.asText(transcript), txt, "txt");
    equal(sewd.formats.asSrt(transcript), srt, "srt");
    equal(sewd.formats.asVtt(transcript), vtt, "vtt");
  },
  resampling({ rate, target, samples, expected, blocks, error }, sewd, equal) {
    const resampler = new sewd.resampling.Resampler(rate, target);
    const all = floats(samples);
    const parts = [];
    let place = 0;
    for (const size of blocks) {
      parts.push(resampler.feed(all.subarray(place, place + size)));
      place += size;
    }
    const resampled = sewd.numbers.concatenate([...parts, resampler.finish()]);
    const soxr = floats(expected);
    let [difference, power] = [0, 0];
    for (let at = 0; at < soxr.length; at++) {
      difference += (resampled[at] - soxr[at]) ** 2;
      power += soxr[at] ** 2;
    }
    equal(Math.abs(resampled.length - soxr.length) <= 1, true, `lengths ${resampled.length} and ${soxr.length}`);
    equal(Math.sqrt(difference / power) <= error, true, `error ${Math.sqrt(difference / power)}`);
  },
};

function floats(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

const sum = (samples) => samples.reduce((total, sample) => total + sample, 0);

function differs(actual, expected, path) {
  if (typeof expected === "number" && typeof actual === "number") {
    const isNear = Math.abs(actual - expected) <= 1e-6 * Math.max(1, Math.abs(expected));
    return isNear ? "" : `${path}: ${actual}, Python has ${expected}`;
  }
  if (Array.isArray(expected) && Array.isArray(actual)) {
    if (actual.length !== expected.length) return `${path}: ${actual.length} items, Python has ${expected.length}`;
    return expected.map((each, place) => differs(actual[place], each, `${path}[${place}]`)).find(Boolean) ?? "";
  }
  if (expected && typeof expected === "object" && actual && typeof actual === "object") {
    const names = new Set([...Object.keys(expected), ...Object.keys(actual)]);
    return [...names].map((name) => differs(actual[name], expected[name], `${path}.${name}`)).find(Boolean) ?? "";
  }
  return Object.is(actual, expected) ? "" : `${path}: ${JSON.stringify(actual)}, Python has ${JSON.stringify(expected)}`;
}

/** The modules that are compared. */
export const MODULES = [
  "chunking", "committing", "formats", "frames", "greedy", "long", "numbers", "resampling", "transcript", "vocabulary",
];
