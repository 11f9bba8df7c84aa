// Live words: the microphone's samples to /v1/realtime, and the transcription events of OpenAI's protocol back.

import { Microphone } from "./microphone.js";

const PREFIX = "conversation.item.input_audio_transcription";

/** Open the microphone and a transcription session; `on` has sound, delta, pending and failed. */
export async function startLive({ model, token, on }) {
  const microphone = await Microphone.open();
  const opened = openSocket(model, token);
  // What is said before the socket is open waits for it.
  const send = (event) => opened.then((socket) => socket.send(JSON.stringify(event)), () => {});
  const input = { format: { type: "audio/pcm", rate: microphone.rate }, transcription: { model }, turn_detection: null };
  send({ type: "session.update", session: { type: "transcription", audio: { input }, sewd: { pending: true } } });
  microphone.onpacket = (samples) => {
    on.sound(samples);
    if (samples.length) send({ type: "input_audio_buffer.append", audio: base64(samples) });
  };
  const socket = await opened.catch(async (error) => {
    await microphone.close();
    throw error;
  });

  const ended = new Promise((resolve, reject) => {
    socket.onclose = () => reject(new Error("The connection to the server was lost."));
    socket.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      if (event.type === `${PREFIX}.delta`) on.delta(event.delta);
      else if (event.type === "sewd.pending") on.pending(event.text);
      else if (event.type === `${PREFIX}.completed`) resolve(event.transcript);
      else if (event.type === "error" && event.error.code === "input_audio_buffer_commit_empty") resolve("");
      else if (event.type === "error") reject(new Error(event.error.message));
    };
  });
  const finish = async () => {
    socket.onclose = null;
    socket.close();
    return microphone.close();
  };
  let isStopping = false;
  ended.catch(async (error) => isStopping || on.failed(error, await finish()));
  return {
    /** End the recording; returns all of its text, and the recording as a WAV file. */
    async stop() {
      isStopping = true;
      await microphone.pause();
      send({ type: "input_audio_buffer.commit" });
      try {
        return { text: await ended, recording: await finish() };
      } catch (error) {
        on.failed(error, await finish());
        throw error;
      }
    },
  };
}

function openSocket(model, token) {
  const url = new URL("/v1/realtime", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.search = new URLSearchParams({ intent: "transcription", model });
  const protocols = token ? ["realtime", `openai-insecure-api-key.${token}`] : ["realtime"];
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols);
    socket.onopen = () => resolve(socket);
    socket.onclose = () => reject(new Error("The server did not open a live session."));
  });
}

function base64(samples) {
  return btoa(String.fromCharCode(...new Uint8Array(samples.buffer)));
}
