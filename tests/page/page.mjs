// The page of a server. test_page.py starts the servers and runs this.
import assert from "node:assert/strict";
import { test } from "node:test";
import { download, drop, faults, finished, given, open, ready, record, text } from "./browser.mjs";

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
  assert.match(await page.textContent("#error"), /^notes\.wav: .*audio/);
  assert.ok(await page.locator("#result").isHidden());
  const [clip] = given.clips;
  await drop(page, clip.path, "a.flac", "b.flac");
  await page.getByText("Drop one recording at a time.").waitFor();
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
  const page = await open(t, { viewport: { width: 760, height: 520 } });
  await ready(page);
  await page.click("#record");
  await page.locator("#text").filter({ hasText: / .* .* .* .* / }).waitFor();
  await page.locator("#pending:not(:empty)").waitFor();
  await page.screenshot({ path: given.picture });
});

test("the keyboard alone records, twice, and each time all of it, even before the server answers", async (t) => {
  const onSocket = async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 3000)); // speech begins after one second
    route.connectToServer();
  };
  const page = await open(t, { onSocket });
  await ready(page);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  for (const key of ["Enter", "Space"]) {
    const [, all] = await record(page, () => page.keyboard.press(key));
    assert.ok(all.split(" ").length > given.microphoneText.split(" ").length / 2, all);
    assert.equal(all.split(" ")[0], given.microphoneText.split(" ")[0]);
    await page.locator("#record").focus();
  }
  assert.deepEqual(await faults(page), []);
  assert.deepEqual(page.complaints, []);
});

test("nothing is recorded after the rest was asked for", async () => {
  const sent = [];
  const port = { postMessage: (message) => sent.push(message) };
  let Capture;
  globalThis.sampleRate = 100;
  globalThis.AudioWorkletProcessor = class { port = port; };
  globalThis.registerProcessor = (_, made) => (Capture = made);
  await import(new URL("../../web/site/page/capture.js", import.meta.url));
  const capture = new Capture();
  const listen = (count) => capture.process([[new Float32Array(count)]]);
  assert.ok(listen(13));
  port.onmessage();
  assert.ok(!listen(25));
  assert.deepEqual(sent.map((packet) => packet?.length ?? null), [10, 3, null]);
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

test("an hour of live words is laid out in paragraphs, and its end stays in view", async (t) => {
  let socket;
  const page = await open(t, { onSocket: (route) => (socket = route) });
  await ready(page);
  await page.click("#record");
  await page.locator("#record[aria-pressed=true]").waitFor();
  const words = Array.from({ length: 5000 }, (_, place) => (place ? " seven" : "seven"));
  for (const delta of words) socket.send(JSON.stringify({ type: "conversation.item.input_audio_transcription.delta", delta }));
  socket.send(JSON.stringify({ type: "sewd.pending", text: " eight" }));
  await page.locator("#pending:not(:empty)").waitFor();
  await drop(page, given.clips[0].path, "a.flac");
  await page.getByText("Stop the recording first.").waitFor();
  assert.equal(await text(page), words.join(""));
  const paragraphs = await page.evaluate(() => [...document.getElementById("text").children].map((each) => each.textContent.length));
  assert.ok(paragraphs.length > 50 && Math.max(...paragraphs) < 600, paragraphs);
  const ends = await page.evaluate(() => {
    const bottom = (element) => element.getBoundingClientRect().bottom;
    const [box, last, pending] = ["#transcript", "#text > :last-child", "#pending"].map((each) => document.querySelector(each));
    return [bottom(box) - bottom(pending), bottom(pending) - bottom(last)];
  });
  assert.ok(ends[0] >= 0 && ends[0] < 50 && Math.abs(ends[1]) < 40, ends); // in view, and right behind the text
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
