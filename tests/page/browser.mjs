// A real Chromium with a microphone that plays a WAV file, and what a person does in it. What is right comes from the
// tests in Python, as JSON in the environment.
import assert from "node:assert/strict";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before } from "node:test";

export const given = JSON.parse(process.env.PAGE_TEST);
const require = createRequire(`${given.packages}/`);
const { chromium } = require("playwright-core");
const AXE = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");

let browser;
before(async () => {
  const microphone = [
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    `--use-file-for-fake-audio-capture=${given.microphone}%noloop`,
  ];
  browser = await chromium.launch({ executablePath: given.chromium, args: ["--no-sandbox", ...microphone] });
});
after(() => browser?.close());

/** Open the page of a server, with what Chromium complains about in `complaints`. */
export async function open(t, { url = given.url, onSocket, ...options } = {}) {
  const context = await browser.newContext({ permissions: ["microphone", "clipboard-read", "clipboard-write"], ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.hosts = new Set();
  page.on("request", (request) => page.hosts.add(new URL(request.url()).host));
  if (onSocket) await page.routeWebSocket(/realtime/, onSocket);
  await page.goto(url);
  return page;
}

/** Drop a file under a name, or at once under several. */
export async function drop(page, path, ...names) {
  const bytes = (await readFile(path)).toString("base64");
  const data = await page.evaluateHandle(([bytes, names]) => {
    const data = new DataTransfer();
    const content = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
    for (const name of names) data.items.add(new File([content], name));
    return data;
  }, [bytes, names]);
  await page.dispatchEvent("#drop", "drop", { dataTransfer: data });
}

/** Return what a click, or another act, downloads. Chromium may drop one that follows another too closely: like a
 * person, act again. */
export async function save(page, act, tries = 3) {
  await page.waitForTimeout(500);
  const saved = page.waitForEvent("download", { timeout: 8000 }).catch(() => null);
  await act();
  const file = await saved;
  if (file === null && tries > 1) return save(page, act, tries - 1);
  assert.ok(file, "nothing is downloaded");
  return file;
}

/** Return the name and the content of what an act downloads. */
export async function download(page, act) {
  const file = await save(page, act);
  return [file.suggestedFilename(), await readFile(await file.path(), "utf8")];
}

export const ready = (page) => page.locator("#file:enabled").waitFor();
export const finished = (page) => page.locator("#downloads").waitFor();
export const text = (page) => page.locator("#text").textContent();
export const faults = async (page) => {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
};

/** Record until the microphone's file ends; return the text at each moment, and at the end. Both are kept for the law. */
export async function record(page, act) {
  await act();
  await page.locator("#record[aria-pressed=true]").waitFor();
  await page.evaluate(() => {
    window.seen = [""];
    const note = () => window.seen.at(-1) === text.textContent || window.seen.push(text.textContent);
    const text = document.getElementById("text");
    new MutationObserver(note).observe(text, { childList: true, characterData: true, subtree: true });
  });
  await page.locator("#text:not(:empty)").waitFor();
  assert.equal(await page.getAttribute("#record", "aria-pressed"), "true");
  await page.waitForTimeout(1000 * given.microphoneSeconds);
  const seen = await page.evaluate(() => window.seen);
  await act();
  await finished(page);
  const all = await text(page);
  const file = await save(page, () => page.click("[data-format=wav]"));
  const recordings = await readdir(given.recordings);
  await file.saveAs(`${given.recordings}/${recordings.length}.wav`);
  await writeFile(`${given.recordings}/${recordings.length}.txt`, all);
  return [seen, all];
}
