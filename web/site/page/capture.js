// The microphone's samples as PCM16, in packets of a tenth of a second; any message asks for the rest,
// and ends it.
class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.packet = new Int16Array(Math.round(sampleRate / 10));
    this.size = 0;
    this.isEnded = false;
    this.port.onmessage = () => {
      this.send();
      this.isEnded = true;
      this.port.postMessage(null);
    };
  }

  process([[channel]]) {
    if (this.isEnded) return false;
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
