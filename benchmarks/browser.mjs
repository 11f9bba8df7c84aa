// sewd-web and transformers.js in one browser, in turns. browser.py says what to run as JSON in BENCH, and reads the
// result from the last line.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";

const { folders, chromium: executablePath, packages, rounds, repeats, threads, timed, clips, whisper } = JSON.parse(process.env.BENCH);
const { chromium } = createRequire(`${packages}/`)("playwright-core");
const TYPES = { css: "text/css", html: "text/html", js: "text/javascript", mjs: "text/javascript", wasm: "application/wasm" };
const COMPRESSED = ["css", "html", "js", "json", "mjs", "wasm"];

/** In the page: load a system; `run` then transcribes a clip. */
const SYSTEMS = {
  async sewd([threads]) {
    const { load } = await import("/site/sewd-web/index.js");
    const recognizer = await load("/site/model/", { threads, ort: "/site/ort/ort.js", wasm: "/site/ort/ort.wasm.gz" });
    window.run = async (samples) => (await recognizer.transcribe(samples)).text;
  },
  async whisper([threads, name]) {
    const { env, pipeline } = await import("/transformers/dist/transformers.min.js");
    Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: "/models/" });
    Object.assign(env.backends.onnx.wasm, { numThreads: threads, wasmPaths: "/ort/dist/" });
    const recognize = await pipeline("automatic-speech-recognition", name, { dtype: "q8", device: "wasm" });
    window.run = async (samples) => (await recognize(samples, { language: "en", task: "transcribe" })).text;
    await window.run(new Float32Array(16000)); // warm, as sewd-web is when it is loaded
  },
};

const cache = new Map(); // compressed once, as static hosts do
let sent = 0;

async function answer({ url }, response) {
  const { pathname } = new URL(url, "http://host");
  const [, folder, ...rest] = pathname.split("/");
  const path = `${folders[folder]}/${rest.join("/") || "index.html"}`;
  const isCompressed = COMPRESSED.includes(path.split(".").at(-1));
  if (!cache.has(path)) {
    const read = pathname === "/" ? Buffer.from("<!doctype html>") : await readFile(path).catch(() => null);
    cache.set(path, read && isCompressed ? gzipSync(read) : read);
  }
  const content = cache.get(path);
  sent += content?.length ?? 0;
  response.writeHead(content ? 200 : 404, {
    "Content-Type": pathname === "/" ? "text/html" : (TYPES[path.split(".").at(-1)] ?? "application/octet-stream"),
    ...(content && isCompressed && { "Content-Encoding": "gzip" }),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
  });
  response.end(content ?? "");
}

const server = createServer(answer);
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

/** Return what `act` takes in seconds, and what it downloads. */
async function measure(act) {
  sent = 0;
  const began = performance.now();
  const page = await act();
  return { page, seconds: (performance.now() - began) / 1000, bytes: sent };
}

/** Load a page twice in a new browser's profile; return the second, and a row for each. */
async function loadTwice(act) {
  const context = await browser.newContext();
  const one = () => measure(async () => act(await context.newPage()));
  const first = await one();
  await first.page.close();
  const later = await one();
  const row = { first_s: first.seconds, first_bytes: first.bytes, later_s: later.seconds, later_bytes: later.bytes };
  return { page: later.page, row, close: () => context.close() };
}

const loadSystem = (name, threads) =>
  loadTwice(async (page) => {
    await page.goto(`${origin}/`);
    await page.evaluate(SYSTEMS[name], [threads, whisper]);
    return page;
  });

const loadSite = () =>
  loadTwice(async (page) => {
    await page.goto(`${origin}/site/`);
    await page.locator("#file:enabled").waitFor();
    return page;
  });

/** Transcribe a clip in a page; return the text and the seconds. */
const transcribe = (page, clip) =>
  page.evaluate(async (clip) => {
    const samples = new Float32Array(await (await fetch(`/clips/${clip}.f32`)).arrayBuffer());
    const began = performance.now();
    const text = await window.run(samples);
    return { text, seconds: (performance.now() - began) / 1000 };
  }, clip);

const result = { loads: [], runs: [], texts: {}, browser: browser.version() };

async function runRound(round, count) {
  const names = round % 2 ? ["whisper", "sewd"] : ["sewd", "whisper"];
  const loaded = {};
  for (const name of names) {
    loaded[name] = await loadSystem(name, count);
    result.loads.push({ name, threads: count, ...loaded[name].row });
  }
  for (const clip of timed)
    for (const name of names)
      for (let turn = 0; turn < repeats; turn++) {
        const { text, seconds } = await transcribe(loaded[name].page, clip);
        if (turn) result.runs.push({ name, threads: count, clip, seconds, text }); // the first fills caches again
      }
  return loaded;
}

for (let round = 0; round < rounds; round++) {
  for (const count of threads) {
    console.error(`round ${round}, threads: ${count}`);
    const loaded = await runRound(round, count);
    if (round === rounds - 1 && count === threads.at(-1))
      for (const [name, { page }] of Object.entries(loaded)) {
        result.texts[name] = [];
        for (const clip of clips) result.texts[name].push((await transcribe(page, clip)).text);
      }
    for (const { close } of Object.values(loaded)) await close();
  }
  const site = await loadSite();
  result.loads.push({ name: "page", threads: null, ...site.row });
  await site.close();
}

await browser.close();
server.close();
console.log(JSON.stringify(result));
