// Law: however long a stream is, what it keeps does not grow. test_web.py starts this.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import v8 from "node:v8";
import vm from "node:vm";

const memories = [];
WebAssembly.Memory = class extends WebAssembly.Memory {
  constructor(descriptor) {
    super(descriptor);
    memories.push(this);
  }
};
v8.setFlagsFromString("--expose-gc");
const collectGarbage = vm.runInNewContext("gc");
const given = JSON.parse(await readFile(process.env.WEB_TEST, "utf8"));
const source = pathToFileURL(`${given.web}/src/`);
const { load } = await import(new URL("index.js", source));
const { Recognizer } = await import(new URL("recognizer.js", source));
const { countFrames } = await import(new URL("frames.js", source));
const ort = pathToFileURL(createRequire(`${given.packages}/`).resolve("onnxruntime-web/wasm").replace(/\.js$/, ".mjs"));
const speech = new Float32Array((await readFile(given.stream.path)).buffer.slice(0));

/** Feed minutes of speech, which begins at another sample each minute, and return the number of words. */
async function feed(stream, minutes, seconds) {
  let count = 0;
  const size = seconds * 16000;
  for (let minute = 0; minute < minutes; minute++)
    for (let begin = minute % 997, fed = 0; fed < 60; fed += seconds, begin = (begin + size) % (speech.length - size))
      count += (await stream.feed(speech.slice(begin, begin + size))).committed.length;
  return count;
}

test("onnxruntime's memory is that of its longest window", async () => {
  const recognizer = await load(given.tiny, { provider: "wasm", ort });
  const bytes = () => memories.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  const stream = recognizer.stream({ chunk_s: 3 });
  await feed(stream, 1, 1);
  const before = bytes();
  assert.ok(before > 1e7, before);
  assert.ok((await feed(stream, 3, 1)) > 100);
  assert.equal(bytes(), before);
});

test("a stream keeps after an hour what it keeps after minutes", async () => {
  const loaded = await Recognizer.load(given.tiny, { provider: "cpu" });
  const { vocabulary, network: { manifest } } = loaded;
  // In place of the model, which takes longest: tokens in turn, as many as people speak.
  const run = async (samples) => {
    const vocab = manifest.num_outputs;
    const frames = countFrames(samples.length, manifest);
    const data = new Float32Array(frames * vocab).fill(-9);
    for (let frame = 0; frame < frames; frame++)
      data[frame * vocab + (frame % 4 ? manifest.ctc.blank_id : (frame >> 2) % vocab)] = 0;
    return { data, vocab };
  };
  const stream = new Recognizer({ manifest, run }, vocabulary, "none", loaded.backend).stream({ sample_rate_hz: 16000 });
  const bytes = async () => {
    for (let time = 0; time < 3; time++) {
      collectGarbage();
      await new Promise((resolve) => setTimeout(resolve, 50)); // buffers are freed a little later
    }
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  await feed(stream, 10, 0.5);
  const before = await bytes();
  const words = await feed(stream, 80, 0.5);
  const growth = (await bytes()) - before;
  assert.ok(words > 4000, words);
  assert.ok(growth < 50 * words, `${growth} bytes for ${words} words`); // a word that is kept takes more than 100
});
