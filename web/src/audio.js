import { SewdError } from "./errors.js";

/**
 * Read a recording as mono samples: in a browser any format that it plays, elsewhere WAV.
 * @param {Blob} blob @param {number} rate the rate to resample to
 * @returns {Promise<{ samples: Float32Array, sample_rate_hz: number }>}
 */
export async function readAudio(blob, rate) {
  const content = await blob.arrayBuffer();
  if (typeof OfflineAudioContext === "undefined") return readWav(new Uint8Array(content));
  const context = new OfflineAudioContext(1, 1, rate);
  const decoded = await context.decodeAudioData(content).catch(() => {
    throw new SewdError("this browser cannot read the file as audio");
  });
  return { samples: mix(Array.from({ length: decoded.numberOfChannels }, (_, channel) => decoded.getChannelData(channel))), sample_rate_hz: rate };
}

/** Return the mean of channels. @param {Float32Array[]} channels */
function mix(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, place) => channels.reduce((sum, channel) => sum + channel[place], 0) / channels.length);
}

/** Read WAV: 16-bit integers or 32-bit floats. @param {Uint8Array<ArrayBuffer>} content */
function readWav(content) {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  /** @param {number} place */
  const name = (place) => String.fromCharCode(...content.subarray(place, place + 4));
  if (content.length < 12 || name(0) !== "RIFF" || name(8) !== "WAVE") throw new SewdError("the recording must be WAV");
  let [channels, rate, format] = [0, 0, ""];
  for (let place = 12; place + 8 <= content.length; ) {
    const size = view.getUint32(place + 4, true);
    if (name(place) === "fmt ") {
      const code = view.getUint16(place + 8, true);
      channels = view.getUint16(place + 10, true);
      rate = view.getUint32(place + 12, true);
      format = `${code === 0xfffe ? view.getUint16(place + 32, true) : code}:${view.getUint16(place + 22, true)}`;
    }
    if (name(place) === "data") {
      if (format !== "1:16" && format !== "3:32") throw new SewdError("the WAV file must have 16-bit integers or 32-bit floats");
      const bytes = format === "1:16" ? 2 : 4;
      const frames = Math.floor(Math.min(size, content.length - place - 8) / bytes / channels);
      const samples = Array.from({ length: channels }, (_, channel) => {
        /** @param {number} frame */
        const at = (frame) => place + 8 + bytes * (frame * channels + channel);
        return Float32Array.from({ length: frames }, (_, frame) =>
          bytes === 2 ? view.getInt16(at(frame), true) / 32768 : view.getFloat32(at(frame), true));
      });
      return { samples: mix(samples), sample_rate_hz: rate };
    }
    place += 8 + size + (size % 2);
  }
  throw new SewdError("the WAV file has no samples");
}
