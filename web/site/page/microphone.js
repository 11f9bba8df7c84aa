const KEPT_PACKETS = 600; // in memory; older ones are a Blob, which the browser may keep on disk

/** The microphone: packets of PCM16 samples, a tenth of a second each, at its own rate. */
export class Microphone {
  parts = [];
  packets = [];
  onpacket = () => {};

  static async open() {
    const wanted = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted }).catch(({ name }) => {
      throw new Error(name === "NotFoundError" ? "There is no microphone." : "The browser does not allow the microphone.");
    });
    const context = new AudioContext();
    await context.audioWorklet.addModule(new URL("./capture.js", import.meta.url));
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
      if (this.packets.push(data) === KEPT_PACKETS) this.parts.push(new Blob(this.packets.splice(0)));
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

  /** Release the microphone, and return what it recorded as a WAV file. */
  async close() {
    for (const track of this.stream.getTracks()) track.stop();
    if (this.context.state !== "closed") await this.context.close();
    return wav(new Blob([...this.parts, ...this.packets]), this.rate);
  }
}

function wav(samples, rate) {
  const { size } = samples;
  const header = new DataView(new ArrayBuffer(44));
  const texts = { 0: "RIFF", 8: "WAVE", 12: "fmt ", 36: "data" };
  for (const [place, text] of Object.entries(texts))
    [...text].forEach((letter, index) => header.setUint8(Number(place) + index, letter.charCodeAt(0)));
  const long = { 4: 36 + size, 16: 16, 24: rate, 28: 2 * rate, 40: size };
  for (const [place, value] of Object.entries(long)) header.setUint32(Number(place), value, true);
  const short = { 20: 1, 22: 1, 32: 2, 34: 16 };
  for (const [place, value] of Object.entries(short)) header.setUint16(Number(place), value, true);
  return new File([header, samples], "recording.wav", { type: "audio/wav" });
}
