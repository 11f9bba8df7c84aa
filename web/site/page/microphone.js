import { Recording } from "./recording.js";

/** The microphone: packets of PCM16 samples, a tenth of a second each, at its own rate. */
export class Microphone {
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
    this.recording = new Recording(this.rate);
    this.node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.source = context.createMediaStreamSource(stream);
    this.node.port.onmessage = ({ data }) => {
      if (data === null) return this.onrest();
      this.recording.add(data);
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
    return this.recording.close();
  }
}
