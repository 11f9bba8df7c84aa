// The page that runs the model itself. `sewd-export --web` writes model.js: { precision }.
import { Microphone } from "./microphone.js";
import { find, startPage } from "./page.js";

let recognizer;
let sewd;

startPage({
  note: "Recordings stay in this browser: they are sent nowhere.",

  async load(progress) {
    if (!recognizer) {
      await keepOffline(progress);
      sewd = await import("../sewd-web/index.js");
      const { default: model } = await import("./model.js");
      progress("Loading the model…");
      const files = { ort: new URL("../ort/ort.js", import.meta.url), wasm: new URL("../ort/ort.wasm.gz", import.meta.url) };
      const bundle = new URL("../model/", import.meta.url);
      recognizer = await sewd.load(bundle, { ...model, ...files, isCached: false });
      const { library, threads } = recognizer.backend;
      find("note").append(` Model: ${recognizer.manifest.name}, ${recognizer.precision}, ${library}, threads: ${threads}.`);
    }
    return [recognizer.manifest.name];
  },

  async transcribe(file, { signal }) {
    const { samples } = await recognizer.read(file);
    const length_s = samples.length / recognizer.manifest.sample_rate_hz;
    const onProgress = (seconds) => {
      if (length_s > 60) find("status").textContent = `Transcribing: ${Math.round((100 * seconds) / length_s)} %`;
    };
    const transcript = await recognizer.transcribe(samples, { signal, onProgress });
    const files = { txt: sewd.asText(transcript), srt: sewd.asSrt(transcript), vtt: sewd.asVtt(transcript) };
    return { text: transcript.text, words: transcript.words, files, samples };
  },

  async startLive({ on }) {
    const microphone = await Microphone.open();
    const stream = recognizer.stream({ sample_rate_hz: microphone.rate });
    let [text, last] = ["", ""];
    const after = (words) => sewd.joinTexts([last, ...words.map((word) => word.text)]).slice(last.length);
    const take = ({ committed, pending }) => {
      if (committed.length) {
        const delta = after(committed);
        on.delta(delta);
        text += delta;
        last = committed.at(-1).text;
      }
      on.pending(after(pending));
    };
    let hasFailed = false;
    const fail = async (error) => {
      if (hasFailed) return;
      hasFailed = true;
      on.failed(error, await microphone.close());
    };
    microphone.onpacket = (packet) => {
      on.sound(packet);
      if (!hasFailed) stream.feed(asFloats(packet)).then(take).catch(fail);
    };
    return {
      async stop() {
        await microphone.pause();
        take(await stream.finish());
        return { text, recording: await microphone.close() };
      },
    };
  },
});

function asFloats(packet) {
  const samples = new Float32Array(packet.length);
  for (let place = 0; place < packet.length; place++) samples[place] = packet[place] / 32768;
  return samples;
}

/** Install the service worker, which keeps the page's files here; the page that it serves may use several threads. */
async function keepOffline(progress) {
  const workers = navigator.serviceWorker;
  if (!workers || workers.controller) return sessionStorage.removeItem("reloaded");
  if (sessionStorage.getItem("reloaded")) return; // the user asked for a page from the network
  workers.onmessage = ({ data: { loaded_bytes, total_bytes } }) =>
    progress(`Loading ${(loaded_bytes / 1e6).toFixed(1)} of ${(total_bytes / 1e6).toFixed(1)} MB…`);
  try {
    const registration = await workers.register(new URL("../service-worker.js", import.meta.url));
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    await new Promise((resolve, reject) => {
      const check = () => {
        if (worker.state === "activated") resolve();
        if (worker.state === "redundant") reject(new Error("A file of this page differs from what its author exported. Load it again."));
      };
      worker.onstatechange = check;
      check();
    });
  } catch (error) {
    if (error instanceof DOMException || error instanceof TypeError) return; // not allowed here: the network serves
    throw error;
  }
  sessionStorage.setItem("reloaded", "yes");
  location.reload();
  await new Promise(() => {}); // until then
}
