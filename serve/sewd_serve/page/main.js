// The page of a server: what it transcribes is sent there.
import { startLive } from "./live.js";
import { find, startPage } from "./page.js";

let key = "";

/** Call the server; an error is the server's own message. */
async function call(path, options = {}) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const answer = await fetch(path, { ...options, headers }).catch((error) => {
    throw error.name === "AbortError" ? error : new Error("The server cannot be reached.");
  });
  find("key-form").hidden = answer.status !== 401;
  if (answer.ok) return answer.json();
  if (answer.status === 401) find("key").focus();
  const body = await answer.json().catch(() => ({}));
  throw new Error(body.error?.message ?? `The server answered ${answer.status}.`);
}

const backend = {
  note: "Recordings are sent to this server and nowhere else.",

  async load() {
    const { data } = await call("/v1/models");
    const names = data.filter((model) => model.task === "ctc").map((model) => model.id);
    if (names.length === 0) throw new Error("No model of this server transcribes.");
    return names;
  },

  async transcribe(file, { model, signal }) {
    const form = new FormData();
    form.append("file", file);
    form.append("model", model);
    form.append("response_format", "verbose_json");
    form.append("sewd_subtitles", "true");
    const { text, sewd_subtitles } = await call("/v1/audio/transcriptions", { method: "POST", body: form, signal });
    return { text, files: sewd_subtitles };
  },

  async startLive({ model, on }) {
    const token = key && (await call("/v1/realtime/client_secrets", { method: "POST" })).value;
    return startLive({ model, token, on });
  },
};

find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = find("key").value.trim();
  startPage(backend);
});
startPage(backend);
