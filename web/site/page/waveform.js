const BAR = 3; // pixels, gap included
const MAX_BARS = 4000; // more than any screen shows

/** The loudest sample of each moment, drawn as bars from the left; a longer sound shows its end. */
export class Waveform {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }

  clear() {
    this.peaks = [];
    this.draw();
  }

  /** Add a moment. samples: 16-bit integers */
  add(samples) {
    this.peaks.push(samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0) / 32768);
    if (this.peaks.length > MAX_BARS) this.peaks.shift();
    this.draw();
  }

  /** Show a whole recording. samples: in [-1, 1] */
  show(samples) {
    this.canvas.hidden = false; // so that it has a width
    const bars = Math.max(1, Math.floor(this.canvas.clientWidth / BAR));
    this.peaks = Array.from({ length: bars }, (_, bar) => {
      let peak = 0;
      const end = Math.floor(((bar + 1) * samples.length) / bars);
      for (let place = Math.floor((bar * samples.length) / bars); place < end; place++)
        peak = Math.max(peak, Math.abs(samples[place]));
      return peak;
    });
    this.draw();
  }

  draw() {
    const { canvas } = this;
    canvas.hidden = this.peaks.length === 0;
    const [width, height, scale] = [canvas.clientWidth, canvas.clientHeight, devicePixelRatio];
    if (!width) return;
    const pixels = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) [canvas.width, canvas.height] = pixels; // anew in memory
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    context.fillStyle = getComputedStyle(canvas).color;
    this.peaks.slice(-Math.floor(width / BAR)).forEach((peak, bar) => {
      const length = Math.max(2, height * Math.sqrt(peak));
      context.fillRect(bar * BAR, (height - length) / 2, BAR - 1, length);
    });
  }
}
