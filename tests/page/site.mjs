// The page that `sewd-export --web` writes, from a static server that is stopped. test_site.py runs this.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { test } from "node:test";
import { MODULES } from "../web/vectors.mjs";
import { download, drop, faults, finished, given, open, ready, record, text } from "./browser.mjs";

const TYPES = { css: "text/css", html: "text/html", js: "text/javascript", mjs: "text/javascript", json: "application/json", svg: "image/svg+xml" };

/** Serve the page as any static host does; `changed` replaces files. */
async function serve(t, changed = {}) {
  const served = { requests: [], bytes: 0 };
  const server = createServer(async ({ url }, response) => {
    const name = url === "/" ? "index.html" : url.slice(1);
    const content = changed[name] ?? (await readFile(given.served[name] ?? `${given.site}/${name}`).catch(() => null));
    if (!["favicon.ico"].includes(name)) served.requests.push(name);
    served.bytes += content?.length ?? 0;
    response.writeHead(content ? 200 : 404, { "Content-Type": TYPES[name.split(".").at(-1)] ?? "application/octet-stream" });
    response.end(content ?? "");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  served.stop = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  t.after(served.stop);
  served.url = `http://127.0.0.1:${server.address().port}/`;
  return served;
}

async function transcribes(page, clip) {
  await drop(page, clip.path, `${clip.name}.flac`);
  await page.locator("#text").filter({ hasText: clip.txt.trim() }).waitFor();
  await finished(page);
  assert.equal(await text(page), clip.txt.trim());
}

test("recordings become what the command writes, and nothing more is requested, even without the server", async (t) => {
  const server = await serve(t);
  const page = await open(t, server);
  await ready(page);
  assert.ok(server.bytes <= 10e6, `${server.bytes} bytes`);
  assert.ok(await page.evaluate(() => crossOriginIsolated));
  assert.match(await page.textContent("#note"), /sent nowhere.*digits, int8, onnxruntime-web .*, threads: [2-4]\./);
  const { length } = server.requests;
  for (const clip of given.clips) await transcribes(page, clip);
  const { name, txt, srt, vtt, words } = given.clips.at(-1);
  for (const [format, content] of Object.entries({ txt, srt, vtt }))
    assert.deepEqual(await download(page, () => page.click(`[data-format=${format}]`)), [`${name}.${format}`, content]);
  await page.click("summary");
  assert.deepEqual((await page.locator("#words").innerText()).split(/\s+/), words);
  assert.deepEqual(ofPage(server.requests.slice(length)), []);
  await server.stop();
  await page.reload();
  await ready(page);
  await transcribes(page, given.clips[0]);
  assert.deepEqual(page.complaints, []);
});

/** Some requests without those by which the browser, in its own time, looks for a newer service worker. */
const ofPage = (requests) => requests.filter((name) => name !== "service-worker.js");

/** Return how many files the recordings of all pages of this site are, on disk. */
async function countOnDisk() {
  const all = await (await navigator.storage.getDirectory()).getDirectoryHandle("sewd recordings");
  let count = 0;
  for await (const folder of all.values()) for await (const _ of folder.keys()) count++;
  return count;
}

test("without service workers it runs in one thread, and says so", async (t) => {
  const server = await serve(t);
  const page = await open(t, { ...server, serviceWorkers: "block" });
  await ready(page);
  assert.ok(server.bytes <= 10e6, `${server.bytes} bytes`);
  assert.ok(!(await page.evaluate(() => crossOriginIsolated)));
  assert.match(await page.textContent("#note"), /threads: 1\./);
  await transcribes(page, given.clips[0]);
});

test("words appear while one speaks, never change, and end as the stream's", async (t) => {
  const server = await serve(t);
  const page = await open(t, server);
  await ready(page);
  const { length } = server.requests;
  const [seen, all] = await record(page, () => page.click("#record"));
  assert.ok(seen.length > 3, seen);
  for (const [index, early] of seen.entries()) assert.ok(all.startsWith(early), `${index}: ${early} / ${all}`);
  const [name, srt] = await download(page, () => page.click("[data-format=srt]"));
  assert.equal(name, "recording.srt");
  assert.match(srt, /^1\n00:00:0\d,\d{3} --> /);
  assert.deepEqual(ofPage(server.requests.slice(length)), []);
  assert.ok((await page.evaluate(countOnDisk)) > 0); // all but the newest seconds are on disk
  await page.reload();
  await ready(page);
  await page.waitForFunction(`(${countOnDisk})().then((count) => count === 0)`);
  assert.deepEqual(page.complaints, []);
});

test("a page that records is not left without a question", async (t) => {
  const page = await open(t, await serve(t));
  await ready(page);
  await page.click("#record");
  await page.locator("#record[aria-pressed=true]").waitFor();
  const asked = page.waitForEvent("dialog");
  await Promise.all([asked.then((dialog) => dialog.dismiss()), page.evaluate(() => location.reload())]);
  assert.equal((await asked).type(), "beforeunload");
  assert.equal(await page.getAttribute("#record", "aria-pressed"), "true");
  await page.click("#record");
  await finished(page);
  page.on("dialog", () => assert.fail("a page that does not record asks"));
  await page.reload();
  await ready(page);
});

test("its picture is taken while one speaks", async (t) => {
  const page = await open(t, { ...(await serve(t)), viewport: { width: 760, height: 520 } });
  await ready(page);
  await page.click("#record");
  await page.locator("#text").filter({ hasText: / .* .* .* .* / }).waitFor();
  await page.locator("#pending:not(:empty)").waitFor();
  await page.screenshot({ path: given.picture });
});

for (const colorScheme of ["light", "dark"])
  test(`a phone shows all of it, accessibly, in ${colorScheme}`, async (t) => {
    const page = await open(t, { ...(await serve(t)), colorScheme, viewport: { width: 320, height: 640 } });
    await ready(page);
    await transcribes(page, given.clips[0]);
    await page.click("summary");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    assert.deepEqual(await faults(page), []);
    await drop(page, given.notAudio, "notes.wav");
    await page.getByText("this browser cannot read notes.wav as audio").waitFor();
    assert.deepEqual(await faults(page), []);
  });

test("a file that differs from what was exported is refused", async (t) => {
  const model = await readFile(`${given.site}/model/model.int8.onnx`);
  model[model.length >> 1] ^= 1;
  const server = await serve(t, { "model/model.int8.onnx": model });
  const page = await open(t, server);
  await page.getByText("A file of this page differs from what its author exported.").waitFor();
  assert.ok(await page.locator("#record").isDisabled());
  const alone = await open(t, { ...server, serviceWorkers: "block" });
  await alone.getByText("model.int8.onnx differs from bundle.json").waitFor();
});

test("a new version of the page downloads only what changed", async (t) => {
  const changed = {};
  const server = await serve(t, changed);
  const page = await open(t, server);
  await ready(page);
  const { length } = server.requests;
  const worker = await readFile(`${given.site}/service-worker.js`, "utf8");
  changed["service-worker.js"] = Buffer.from(worker.replace(/"version": "\w+"/, '"version": "next"'));
  await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    await registration.update();
    const { installing } = registration;
    await new Promise((resolve) => (installing.onstatechange = () => installing.state === "installed" && resolve()));
  });
  assert.deepEqual(ofPage(server.requests.slice(length)), []);
  assert.ok(server.requests.length > length);
});

test("what Python computes is computed in the browser", async (t) => {
  const page = await open(t, { ...(await serve(t)), serviceWorkers: "block" });
  const count = await page.evaluate(async (names) => {
    const modules = await Promise.all(names.map(async (name) => [name, await import(`/sewd-web/${name}.js`)]));
    const { compareVectors } = await import("/vectors.mjs");
    const vectors = await (await fetch("/vectors.json")).json();
    return compareVectors(vectors, Object.fromEntries(modules));
  }, MODULES);
  assert.ok(count > 300, count);
});

test("a page of one's own keeps the model, is told of progress, and gets errors that say why", async (t) => {
  const server = await serve(t);
  const page = await open(t, { ...server, serviceWorkers: "block" });
  await ready(page);
  const { length } = server.requests;
  const seen = await page.evaluate(async () => {
    const { SewdError, load } = await import("/sewd-web/index.js");
    const options = { ort: "/ort/ort.js", wasm: "/ort/ort.wasm.gz" };
    const progress = [];
    const recognizer = await load("/model/", { ...options, onProgress: (each) => progress.push(each) });
    const again = await load(new URL("/model", location.href), { ...options, isInWorker: false });
    const message = (promise) => promise.then(() => "none", (error) => `${error instanceof SewdError} ${error.name}: ${error.message}`);
    const speech = Float32Array.from({ length: 90 * 16000 }, (_, place) => Math.sin(place / 20) * (place % 16000 < 9000));
    const controller = new AbortController();
    const aborted = recognizer.transcribe(speech, { signal: controller.signal, onProgress: () => controller.abort() });
    const errors = [
      await message(aborted),
      await message(load("/model/", { ...options, threads: 2 })),
      await message(load("/nowhere/", options)),
      await message(load("/model/", { ...options, ort: "/nowhere.js" })),
      await message(recognizer.transcribe(Float32Array.of(NaN))),
    ];
    const stream = recognizer.stream();
    const finished = stream.finish();
    errors.push(await message(finished), await message(stream.feed(new Float32Array(10))));
    const waiting = message(recognizer.transcribe(speech));
    await recognizer.close();
    errors.push(await waiting);
    return { progress, errors, backends: [recognizer.backend, again.backend] };
  });
  const count = (name) => server.requests.slice(length).filter((each) => each === name).length;
  assert.deepEqual([count("model/model.int8.onnx"), count("model/vocab.json")], [1, 1]);
  const loaded = seen.progress.filter(({ file }) => file === "model.int8.onnx");
  assert.ok(loaded.every(({ loaded_bytes }, place) => place === 0 || loaded_bytes > loaded[place - 1].loaded_bytes));
  assert.equal(loaded.at(-1).loaded_bytes, loaded[0].total_bytes);
  assert.deepEqual(seen.backends[0], seen.backends[1]);
  const expected = [
    /^false AbortError/,
    /^true SewdError: several threads need a cross-origin isolated page/,
    /^true SewdError: .*nowhere\/bundle\.json: the server answered 404/,
    /^true SewdError: cannot import .*nowhere\.js/,
    /^true SewdError: the recording has samples that are not finite/,
    /^none/,
    /^true SewdError: the stream is finished/,
    /^true SewdError: the recognizer is closed/,
  ];
  for (const [place, pattern] of expected.entries()) assert.match(seen.errors[place], pattern);
});

test("the browser resamples and mixes as soxr does, to 2 %", async (t) => {
  const page = await open(t, { ...(await serve(t)), serviceWorkers: "block" });
  for (const name of given.resampled) {
    const error = await page.evaluate(async (name) => {
      const { readAudio } = await import("/sewd-web/audio.js");
      const { samples } = await readAudio(await (await fetch(`/${name}.wav`)).blob(), 16000);
      const expected = new Float32Array(await (await fetch(`/${name}.f32`)).arrayBuffer());
      if (Math.abs(samples.length - expected.length) > 1) return `${samples.length} samples, soxr has ${expected.length}`;
      const power = (of) => Math.sqrt(expected.reduce((sum, sample, place) => sum + of(sample, samples[place] ?? 0) ** 2, 0));
      return power((one, other) => one - other) / power((one) => one);
    }, name);
    t.diagnostic(`${name}: ${error}`);
    assert.ok(error < 0.02, `${name}: ${error}`);
  }
});
