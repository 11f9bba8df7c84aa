// The microphone's samples as PCM16, in packets of a tenth of a second; any message asks for the rest.
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.packet = new Int16Array(Math.round(sampleRate / 10));
    this.size = 0;
    this.port.onmessage = () => {
      this.send();
      this.port.postMessage(null);
    };
  }

  process([[channel]]) {
    for (const sample of channel ?? []) {
      this.packet[this.size++] = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
      if (this.size === this.packet.length) this.send();
    }
    return true;
  }

  send() {
    this.port.postMessage(this.packet.slice(0, this.size));
    this.size = 0;
  }
}

registerProcessor("capture", Capture);
