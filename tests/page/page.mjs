// The page in a real Chromium with a microphone that plays a WAV file. test_page.py starts the servers and runs this;
// what is right comes from there, as JSON in the environment.
import assert from "node:assert/strict";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

const given = JSON.parse(process.env.PAGE_TEST);
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
async function open(t, { url = given.url, onSocket, ...options } = {}) {
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

async function drop(page, path, name) {
  const bytes = (await readFile(path)).toString("base64");
  const data = await page.evaluateHandle(([bytes, name]) => {
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))], name));
    return data;
  }, [bytes, name]);
  await page.dispatchEvent("#drop", "drop", { dataTransfer: data });
}

/** Return what a click, or another act, downloads. Chromium may drop one that follows another too closely: like a
 * person, act again. */
async function save(page, act, tries = 3) {
  await page.waitForTimeout(500);
  const saved = page.waitForEvent("download", { timeout: 8000 }).catch(() => null);
  await act();
  const file = await saved;
  if (file === null && tries > 1) return save(page, act, tries - 1);
  assert.ok(file, "nothing is downloaded");
  return file;
}

/** Return the name and the content of what an act downloads. */
async function download(page, act) {
  const file = await save(page, act);
  return [file.suggestedFilename(), await readFile(await file.path(), "utf8")];
}

const ready = (page) => page.locator("#file:enabled").waitFor();
const finished = (page) => page.locator("#downloads").waitFor();
const text = (page) => page.locator("#text").textContent();
const faults = async (page) => {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
};

test("a dropped recording becomes what the command writes", async (t) => {
  const page = await open(t);
  await ready(page);
  for (const { path, name, txt } of given.clips) {
    await drop(page, path, `${name}.flac`);
    await page.locator("#text").filter({ hasText: txt.trim() }).waitFor();
    await finished(page);
    assert.equal(await text(page), txt.trim());
  }
  const { name, txt, srt, vtt } = given.clips.at(-1);
  for (const [format, content] of Object.entries({ txt, srt, vtt }))
    assert.deepEqual(await download(page, () => page.click(`[data-format=${format}]`)), [`${name}.${format}`, content]);
  await page.click("#copy");
  await page.getByText("Copied.").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), txt.trim());
  assert.deepEqual(page.complaints, []);
  assert.deepEqual([...page.hosts].filter(Boolean), [new URL(given.url).host]);
});

test("a file that is no recording gets the server's message, and the next one its transcript", async (t) => {
  const page = await open(t);
  await ready(page);
  await drop(page, given.notAudio, "notes.wav");
  await page.locator("#error:not(:empty)").waitFor();
  assert.match(await page.textContent("#error"), /audio/);
  assert.ok(await page.locator("#result").isHidden());
  const [clip] = given.clips;
  await drop(page, clip.path, "a.flac");
  await finished(page);
  assert.equal(await text(page), clip.txt.trim());
  assert.equal(await page.textContent("#error"), "");
});

test("the keyboard alone chooses a file and saves subtitles", async (t) => {
  const page = await open(t);
  await ready(page);
  const [clip] = given.clips;
  await page.keyboard.press("Tab");
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.keyboard.press("Space")]);
  await chooser.setFiles(clip.path);
  await finished(page);
  for (const id of ["record", "transcript", "copy"]) {
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.id), id);
  }
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  const [, content] = await download(page, () => page.keyboard.press("Space"));
  assert.equal(content, clip.srt);
  assert.deepEqual(page.complaints, []);
});

for (const colorScheme of ["light", "dark"])
  test(`a phone shows all of it, accessibly, in ${colorScheme}`, async (t) => {
    const page = await open(t, { colorScheme, viewport: { width: 320, height: 640 } });
    await ready(page);
    const [clip] = given.clips;
    await drop(page, clip.path, "a.flac");
    await finished(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    assert.deepEqual(await faults(page), []);
    await drop(page, given.notAudio, "notes.wav");
    await page.locator("#error:not(:empty)").waitFor();
    assert.deepEqual(await faults(page), []);
  });

/** Record until the microphone's file ends; return the text at each moment, and at the end. Both are kept for the law. */
async function record(page, act) {
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

test("words appear while one speaks, never change, and end as the stream's", async (t) => {
  const page = await open(t);
  await ready(page);
  const [seen, all] = await record(page, () => page.click("#record"));
  assert.ok(seen.length > 3, seen);
  for (const [index, early] of seen.entries()) assert.ok(all.startsWith(early), `${index}: ${early} / ${all}`);
  assert.deepEqual(await download(page, () => page.click("[data-format=txt]")), ["recording.txt", `${all}\n`]);
  const answer = page.waitForResponse(/transcriptions/);
  const [name, srt] = await download(page, () => page.click("[data-format=srt]"));
  assert.equal(name, "recording.srt");
  assert.equal(srt, (await (await answer).json()).sewd_subtitles.srt);
  assert.deepEqual(page.complaints, []);
});

test("its picture is taken while one speaks", async (t) => {
  const page = await open(t, { viewport: { width: 760, height: 430 } });
  await ready(page);
  await page.click("#record");
  await page.locator("#text").filter({ hasText: / .* .* .* .* / }).waitFor();
  await page.locator("#pending:not(:empty)").waitFor();
  await page.screenshot({ path: given.picture });
});

test("the keyboard alone records, twice, and each time all of it", async (t) => {
  const page = await open(t);
  await ready(page);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  for (const key of ["Enter", "Space"]) {
    const [, all] = await record(page, () => page.keyboard.press(key));
    assert.ok(all.split(" ").length > given.microphoneWords / 2, all);
    await page.locator("#record").focus();
  }
  assert.deepEqual(await faults(page), []);
  assert.deepEqual(page.complaints, []);
});

test("a connection that is lost leaves the words and says so", async (t) => {
  let socket;
  const page = await open(t, { onSocket: (route) => (socket = route).connectToServer() });
  await ready(page);
  await page.click("#record");
  await page.locator("#text:not(:empty)").waitFor();
  await socket.close({ code: 1011 });
  await page.getByText("The connection to the server was lost.").waitFor();
  assert.equal(await page.getAttribute("#record", "aria-pressed"), "false");
  const shown = await text(page);
  assert.notEqual(shown, "(no words)");
  assert.deepEqual(await download(page, () => page.click("[data-format=txt]")), ["recording.txt", `${shown}\n`]);
});

test("a microphone that the browser refuses is an error that says so", async (t) => {
  const page = await open(t);
  await ready(page);
  await page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotAllowedError"));
  });
  await page.click("#record");
  await page.getByText("The browser does not allow the microphone.").waitFor();
  assert.ok(await page.locator("#result").isHidden());
});

test("a server with keys asks for one, and offers its models", async (t) => {
  const page = await open(t, { url: given.locked.url });
  const field = page.getByLabel("API key of this server");
  await field.fill("wrong");
  await field.press("Enter");
  await page.getByText("give a key of this server").waitFor();
  assert.deepEqual(await faults(page), []);
  await field.fill(given.locked.key);
  await field.press("Enter");
  await ready(page);
  assert.ok(await field.isHidden());
  assert.deepEqual(await page.locator("#model option").allTextContents(), given.locked.models);
  const [clip] = given.clips;
  for (const model of given.locked.models) {
    await page.getByLabel("Model").selectOption(model);
    const [answer] = await Promise.all([page.waitForResponse(/transcriptions/), drop(page, clip.path, "a.flac")]);
    assert.equal((await answer.json()).text, given.locked.texts[model]);
    await finished(page);
  }
  const [session] = await Promise.all([page.waitForEvent("websocket"), page.click("#record")]);
  await session.waitForEvent("framereceived", ({ payload }) => JSON.parse(payload).type === "session.updated");
  assert.ok(page.complaints.every((complaint) => complaint.includes("401")), page.complaints);
});
