import { startLive } from "./live.js";

const find = (id) => document.getElementById(id);
const state = {
  key: "",
  file: null, // what the transcript is of
  saved: {}, // format → content of a file to download
  request: null, // the AbortController of what is running
  live: null, // the recording under way
  isSwitching: false, // it is being started or stopped
};

/** Call the server; an error is the server's own message. */
async function call(path, options = {}) {
  const headers = state.key ? { Authorization: `Bearer ${state.key}` } : {};
  const answer = await fetch(path, { ...options, headers }).catch((error) => {
    throw error.name === "AbortError" ? error : new Error("The server cannot be reached.");
  });
  find("key-form").hidden = answer.status !== 401;
  if (answer.ok) return answer.json();
  if (answer.status === 401) find("key").focus();
  const body = await answer.json().catch(() => ({}));
  throw new Error(body.error?.message ?? `The server answered ${answer.status}.`);
}

function transcribe(file, signal) {
  const form = new FormData();
  form.append("file", file);
  form.append("model", find("model").value);
  form.append("response_format", "verbose_json");
  form.append("sewd_subtitles", "true");
  return call("/v1/audio/transcriptions", { method: "POST", body: form, signal });
}

async function loadModels() {
  const { data } = await call("/v1/models");
  const names = data.filter((model) => model.task === "ctc").map((model) => model.id);
  find("model").replaceChildren(...names.map((name) => new Option(name)));
  find("model-field").hidden = names.length < 2;
  find("file").disabled = names.length === 0;
  find("record").disabled = names.length === 0 || !navigator.mediaDevices;
  if (!navigator.mediaDevices) find("elapsed").textContent = "needs https, or localhost";
  if (names.length === 0) throw new Error("No model of this server transcribes.");
}

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
function complete(file, text, more) {
  state.file = file;
  state.saved = { txt: `${text}\n`, ...more };
  document.querySelector("[data-format=wav]").hidden = !state.saved.wav;
  show(text, { isComplete: true });
}

function begin() {
  state.file = null;
  state.saved = {};
  find("result").hidden = true;
}

async function open(file) {
  if (state.live || state.isSwitching || find("file").disabled) return;
  begin();
  const work = async (signal) => {
    const { text, sewd_subtitles } = await transcribe(file, signal);
    complete(file, text, sewd_subtitles);
  };
  await run(`Transcribing ${file.name}…`, work, { canCancel: true });
}

async function record() {
  begin();
  await run("Opening the microphone…", async () => {
    const token = state.key && (await call("/v1/realtime/client_secrets", { method: "POST" })).value;
    show("", { isComplete: false });
    const on = {
      delta: (text) => {
        find("text").append(text);
        find("pending").textContent = "";
      },
      pending: (text) => (find("pending").textContent = text),
      failed: (error, recording) => {
        setRecording(null);
        find("error").textContent = error.message;
        complete(recording, find("text").textContent, { wav: recording });
      },
    };
    setRecording(await startLive({ model: find("model").value, token, on }));
  });
  if (!state.live) find("result").hidden = true;
}

async function stop() {
  const { live } = state;
  await run("Finishing…", async () => {
    const { text, recording } = await live.stop();
    setRecording(null);
    complete(recording, text, { wav: recording });
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
      const { sewd_subtitles } = await transcribe(state.file, signal);
      Object.assign(state.saved, sewd_subtitles);
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

find("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = ""; // so that choosing it again is a change
  if (file) open(file);
});
find("record").addEventListener("click", toggle);
find("cancel").addEventListener("click", () => state.request?.abort());
find("copy").addEventListener("click", copy);
find("downloads").addEventListener("click", ({ target }) => target.dataset.format && save(target.dataset.format));
find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  state.key = find("key").value.trim();
  run("", loadModels);
});
addEventListener("dragover", (event) => {
  event.preventDefault();
  find("drop").classList.add("is-over");
});
addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || find("drop").classList.remove("is-over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  find("drop").classList.remove("is-over");
  const [file] = event.dataTransfer.files;
  if (file) open(file);
});
run("", loadModels);
