// sewd-web in Node.js; test_web.py starts this, and what is right comes from there, as JSON.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { MODULES, compareVectors } from "./vectors.mjs";

const given = JSON.parse(await readFile(process.env.WEB_TEST, "utf8"));
const source = pathToFileURL(`${given.web}/src/`);
const modules = await Promise.all(MODULES.map(async (name) => [name, await import(new URL(`${name}.js`, source))]));
const sewd = Object.fromEntries(modules);
const { SewdError, load } = await import(new URL("index.js", source));
const ort = pathToFileURL(createRequire(`${given.packages}/`).resolve("onnxruntime-node"));
const samplesOf = async (path) => new Float32Array((await readFile(path)).buffer.slice(0));
const near = (actual, expected) =>
  assert.ok(Math.abs(actual - expected) <= 1e-3 * Math.max(1, Math.abs(expected)), `${actual}, Python has ${expected}`);

function same(actual, expected) {
  assert.deepEqual(actual.map((word) => word.text), expected.map((word) => word.text));
  for (const [place, word] of actual.entries())
    for (const key of ["start_s", "end_s", "confidence"]) near(word[key], expected[place][key]);
}

test("what Python computes is computed", async () => {
  assert.ok((await compareVectors(given.vectors, sewd)) > 300);
});

for (const precision of ["fp32", "int8"])
  test(`recordings have the words and times that Python finds, in ${precision}`, async () => {
    const recognizer = await load(given.bundle, { precision, ort });
    assert.deepEqual([recognizer.backend.provider, recognizer.backend.threads], ["cpu", 1]);
    for (const { path, transcripts } of given.recordings) {
      const expected = transcripts[precision];
      const transcript = await recognizer.transcribe(new Blob([await readFile(path)]));
      assert.equal(transcript.text, expected.text);
      near(transcript.duration_s, expected.duration_s);
      same(transcript.words, expected.words);
    }
    await recognizer.close();
  });

test("a long recording is split as in Python, with progress, and can be stopped", async () => {
  const recognizer = await load(given.bundle, { precision: "fp32", ort });
  const samples = await samplesOf(given.long.path);
  const seconds = [];
  const transcript = await recognizer.transcribe(samples, { onProgress: (done) => seconds.push(done) });
  assert.equal(transcript.text, given.long.transcript.text);
  assert.deepEqual(transcript.segments.map((each) => each.text), given.long.transcript.segments.map((each) => each.text));
  same(transcript.words, given.long.transcript.words);
  assert.ok(seconds.length > 3 && seconds.every((each, place) => place === 0 || each > seconds[place - 1]));
  await assert.rejects(recognizer.transcribe(samples, { signal: AbortSignal.abort() }), { name: "AbortError" });
});

test("a stream commits and ends as in Python, wherever blocks end", async () => {
  const recognizer = await load(given.bundle, { precision: "fp32", ort });
  const samples = await samplesOf(given.stream.path);
  for (const size of [1600, 7001, samples.length]) {
    const stream = recognizer.stream();
    const partials = [];
    for (let begin = 0; begin < samples.length; begin += size)
      partials.push(await stream.feed(samples.subarray(begin, begin + size)));
    partials.push(await stream.finish());
    same(partials.flatMap((each) => each.committed), given.stream.committed);
    const turns = partials.flatMap((each) => each.turns);
    assert.deepEqual(turns.map((turn) => turn.begins), given.stream.turns.map((turn) => turn.begins));
    turns.forEach((turn, place) => near(turn.time_s, given.stream.turns[place].time_s));
    if (size === 1600) assert.deepEqual(partials.map((each) => each.pending.map((word) => word.text)), given.stream.pending);
    await assert.rejects(stream.feed(samples), SewdError);
  }
});

test("a bundle whose files differ from its manifest is refused", async () => {
  const names = ["bundle.json", "vocab.json", "model.int8.onnx"];
  const files = Object.fromEntries(await Promise.all(names.map(async (name) => [name, await readFile(`${given.bundle}/${name}`)])));
  const [clip] = given.recordings;
  const recognizer = await load(files, { ort });
  assert.equal((await recognizer.transcribe(new Blob([await readFile(clip.path)]))).text, clip.transcripts.int8.text);
  const refused = async (changed, message) => {
    const error = await load({ ...files, ...changed }, { ort }).catch((error) => error);
    assert.ok(error instanceof SewdError, String(error));
    assert.match(error.message, message);
  };
  const model = Buffer.from(files["model.int8.onnx"]);
  model[model.length >> 1] ^= 1;
  await refused({ "model.int8.onnx": model }, /model\.int8\.onnx differs from bundle\.json: its sha256/);
  await refused({ "vocab.json": files["vocab.json"].subarray(1) }, /vocab\.json differs from bundle\.json: 357 bytes, not 358/);
  await refused({ "vocab.json": undefined }, /vocab\.json is missing/);
  const manifest = JSON.parse(files["bundle.json"]);
  const changed = (change) => ({ "bundle.json": Buffer.from(JSON.stringify({ ...manifest, ...change })) });
  await refused(changed({ format_version: 5 }), /format_version is 5/);
  await refused(changed({ task: "encoding" }), /its task is encoding/);
  await refused(changed({ files: {} }), /no size and sha256 of vocab.json/);
  await refused({ "bundle.json": Buffer.from("{") }, /not JSON/);
  const error = await load(files, { ort, precision: "fp16" }).catch((error) => error);
  assert.match(error.message, /the bundle has no fp16; choose from fp32, int8/);
});
