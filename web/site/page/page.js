// What both pages do: that of a server, and the one that runs the model itself. Each has a `main.js` of its own, which
// calls `startPage` with what it runs:
//   note: a sentence for the top of the page
//   load(progress): get ready; returns the names of models, of which the user chooses one
//   transcribe(file, { model, signal }): returns { text, files: { srt, vtt }, words, samples }, the last two optional
//   startLive({ model, on }): listens; returns { stop }, which returns { text, recording }
import { Waveform } from "./waveform.js";

const PARAGRAPH_CHARACTERS = 500; // of live text

export const find = (id) => document.getElementById(id);
const state = {
  backend: null,
  file: null, // what the transcript is of
  saved: {}, // format → content of a file to download
  request: null, // the AbortController of what is running
  live: null, // the recording under way
  isSwitching: false, // it is being started or stopped
};
const waveform = new Waveform(find("waveform"));

/** Begin, and begin again: show what the page can do. */
export function startPage(backend) {
  state.backend = backend;
  find("note").textContent = backend.note;
  return run("", async () => {
    const names = await backend.load((status) => (find("status").textContent = status));
    find("model").replaceChildren(...names.map((name) => new Option(name)));
    find("model-field").hidden = names.length < 2;
    find("file").disabled = names.length === 0;
    find("record").disabled = names.length === 0 || !navigator.mediaDevices;
    if (!navigator.mediaDevices) find("elapsed").textContent = "needs https, or localhost";
  });
}

const transcribe = (file, signal) => state.backend.transcribe(file, { model: find("model").value, signal });

/** Run one thing at a time, which Cancel may end; show what goes wrong. */
async function run(status, work, { canCancel = false } = {}) {
  state.request?.abort();
  const request = (state.request = new AbortController());
  find("error").textContent = "";
  find("status").textContent = status;
  find("cancel").hidden = !canCancel;
  try {
    await work(request.signal);
    if (state.request === request) find("status").textContent = "";
  } catch (error) {
    if (state.request !== request) return;
    find("status").textContent = error.name === "AbortError" ? "Cancelled." : "";
    if (error.name !== "AbortError") find("error").textContent = error.message;
  } finally {
    if (state.request === request) {
      state.request = null;
      find("cancel").hidden = true;
    }
  }
}

function show(text, { isComplete }) {
  find("result").hidden = false;
  find("downloads").hidden = !isComplete;
  find("pending").textContent = "";
  find("text").textContent = isComplete && !text ? "(no words)" : text;
}

/** Show the transcript of a file, which can be saved; so can a recording that was made here. */
function complete(file, { text, files, words = [] }) {
  state.file = file;
  state.saved = { txt: `${text}\n`, ...files };
  showTimes(words);
  document.querySelector("[data-format=wav]").hidden = !state.saved.wav;
  show(text, { isComplete: true });
}

/** Show when each word is spoken. */
function showTimes(words) {
  find("times").hidden = words.length === 0;
  const rows = words.map(({ text, start_s, end_s }) => {
    const row = document.createElement("tr");
    for (const content of [start_s.toFixed(2), end_s.toFixed(2), text]) row.insertCell().textContent = content;
    return row;
  });
  find("words").replaceChildren(...rows);
}

function begin() {
  waveform.clear();
  showTimes([]);
  state.file = null;
  state.saved = {};
  find("result").hidden = true;
}

async function open(file) {
  if (state.live || state.isSwitching || find("file").disabled) return;
  begin();
  const work = async (signal) => {
    const transcript = await transcribe(file, signal).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Error(error.message.replace("the file", () => file.name), { cause: error });
    });
    complete(file, transcript);
    if (transcript.samples) waveform.show(transcript.samples);
  };
  await run(`Transcribing ${file.name}…`, work, { canCancel: true });
}

async function record() {
  begin();
  await run("Opening the microphone…", async () => {
    show("", { isComplete: false });
    const on = {
      sound: (samples) => waveform.add(samples),
      delta: (text) => showLive(text, ""),
      pending: (text) => showLive("", text),
      failed: (error, recording) => {
        setRecording(null);
        find("error").textContent = error.message;
        complete(recording, { text: find("text").textContent, files: { wav: recording } });
      },
    };
    setRecording(await state.backend.startLive({ model: find("model").value, on }));
  });
  if (!state.live) find("result").hidden = true;
}

/** Add words to the live text, and those behind it that may change; its end stays in view if it was. The text is in
 * paragraphs, as all of one is laid out anew for each word. */
function showLive(words, pending) {
  const [box, paragraphs] = [find("transcript"), find("text")];
  if (!words && pending === find("pending").textContent) return; // as at most packets
  const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 50;
  if (words && !(paragraphs.lastChild?.textContent.length < PARAGRAPH_CHARACTERS)) paragraphs.append(document.createElement("span"));
  if (words) paragraphs.lastChild.append(words);
  find("pending").textContent = pending;
  if (isAtEnd) box.scrollTop = box.scrollHeight;
}

async function stop() {
  const { live } = state;
  await run("Finishing…", async () => {
    const { text, recording } = await live.stop();
    setRecording(null);
    complete(recording, { text, files: { wav: recording } });
  });
}

async function toggle() {
  if (state.isSwitching) return;
  state.isSwitching = true;
  await (state.live ? stop() : record());
  state.isSwitching = false;
}

function setRecording(live) {
  state.live = live;
  clearInterval(setRecording.timer);
  find("record").setAttribute("aria-pressed", String(Boolean(live)));
  find("record-name").textContent = live ? "Stop" : "Record";
  find("elapsed").textContent = live ? "0:00" : "from the microphone";
  find("file").disabled = Boolean(live);
  const began = Date.now();
  const tick = () => {
    const seconds = Math.floor((Date.now() - began) / 1000);
    find("elapsed").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  };
  if (live) setRecording.timer = setInterval(tick, 1000);
}

/** Save the transcript in a format; subtitles of live words are made from the recording. */
async function save(format) {
  if (!(format in state.saved)) {
    const work = async (signal) => {
      const { files, words = [] } = await transcribe(state.file, signal);
      Object.assign(state.saved, files);
      showTimes(words);
    };
    await run("Making subtitles from the recording…", work, { canCancel: true });
    if (!(format in state.saved)) return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([state.saved[format]], { type: "text/plain;charset=utf-8" }));
  link.download = `${state.file.name.replace(/\.[^.]*$/, "")}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function copy() {
  await navigator.clipboard.writeText(state.saved.txt.trimEnd());
  find("status").textContent = "Copied.";
}

addEventListener("beforeunload", (event) => state.live && event.preventDefault()); // what was recorded would be lost
find("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = ""; // so that choosing it again is a change
  if (file) open(file);
});
find("record").addEventListener("click", toggle);
find("cancel").addEventListener("click", () => state.request?.abort());
find("copy").addEventListener("click", copy);
find("downloads").addEventListener("click", ({ target }) => target.dataset.format && save(target.dataset.format));
addEventListener("dragover", (event) => {
  event.preventDefault();
  find("drop").classList.add("is-over");
});
addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || find("drop").classList.remove("is-over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  find("drop").classList.remove("is-over");
  const { files } = event.dataTransfer;
  if (state.live && files.length) find("error").textContent = "Stop the recording first.";
  else if (files.length > 1) find("error").textContent = "Drop one recording at a time.";
  else if (files.length) open(files[0]);
});
