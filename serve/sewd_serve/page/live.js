// Live words: the microphone's samples to /v1/realtime, and the transcription events of OpenAI's protocol back.

const PREFIX = "conversation.item.input_audio_transcription";

/** Open the microphone and a transcription session; `on` has delta, pending and failed. */
export async function startLive({ model, token, on }) {
  const microphone = await Microphone.open();
  let socket;
  try {
    socket = await openSocket(model, token);
  } catch (error) {
    await microphone.close();
    throw error;
  }
  const send = (event) => socket.send(JSON.stringify(event));
  const input = { format: { type: "audio/pcm", rate: microphone.rate }, transcription: { model }, turn_detection: null };
  send({ type: "session.update", session: { type: "transcription", audio: { input }, sewd: { pending: true } } });

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
    await microphone.close();
    return wav(microphone.packets, microphone.rate);
  };
  let isStopping = false;
  ended.catch(async (error) => isStopping || on.failed(error, await finish()));
  microphone.onpacket = (samples) => {
    if (samples.length) send({ type: "input_audio_buffer.append", audio: base64(samples) });
  };

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

class Microphone {
  packets = [];
  onpacket = () => {};

  static async open() {
    const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted }).catch(({ name }) => {
      throw new Error(name === "NotFoundError" ? "There is no microphone." : "The browser does not allow the microphone.");
    });
    const context = new AudioContext();
    await context.audioWorklet.addModule("/page/capture.js");
    return new Microphone(stream, context);
  }

  constructor(stream, context) {
    this.stream = stream;
    this.context = context;
    this.rate = context.sampleRate;
    this.node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.source = context.createMediaStreamSource(stream);
    this.node.port.onmessage = ({ data }) => {
      if (data === null) return this.onrest();
      this.packets.push(data);
      this.onpacket(data);
    };
    this.source.connect(this.node);
  }

  /** Stop listening, and wait for the last packet. */
  async pause() {
    this.source.disconnect();
    await new Promise((resolve) => {
      this.onrest = resolve;
      this.node.port.postMessage(null);
    });
  }

  async close() {
    for (const track of this.stream.getTracks()) track.stop();
    if (this.context.state !== "closed") await this.context.close();
  }
}

function base64(samples) {
  return btoa(String.fromCharCode(...new Uint8Array(samples.buffer)));
}

function wav(packets, rate) {
  const size = 2 * packets.reduce((sum, packet) => sum + packet.length, 0);
  const header = new DataView(new ArrayBuffer(44));
  const texts = { 0: "RIFF", 8: "WAVE", 12: "fmt ", 36: "data" };
  for (const [place, text] of Object.entries(texts))
    [...text].forEach((letter, index) => header.setUint8(Number(place) + index, letter.charCodeAt(0)));
  const long = { 4: 36 + size, 16: 16, 24: rate, 28: 2 * rate, 40: size };
  for (const [place, value] of Object.entries(long)) header.setUint32(Number(place), value, true);
  const short = { 20: 1, 22: 1, 32: 2, 34: 16 };
  for (const [place, value] of Object.entries(short)) header.setUint16(Number(place), value, true);
  return new File([header, ...packets], "recording.wav", { type: "audio/wav" });
}
