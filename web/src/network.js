import { SewdError } from "./errors.js";
import { countFrames } from "./frames.js";
import { logSoftmax } from "./greedy.js";
import { areFinite } from "./numbers.js";

/** One precision of a bundle, loaded in onnxruntime. */
export class Network {
  /**
   * @param {typeof import("onnxruntime-common")} ort @param {import("onnxruntime-common").InferenceSession} session
   * @param {import("./manifest.js").Manifest} manifest
   */
  constructor(ort, session, manifest) {
    this.ort = ort;
    this.session = session;
    this.manifest = manifest;
    /** @type {Promise<unknown>} a session runs one recording at a time */
    this.last = Promise.resolve();
  }

  /** Return the log-probabilities of samples at the model's rate; no frames if they are too short. @param {Float32Array} samples */
  run(samples) {
    const emission = this.last.then(() => this.runAlone(samples));
    this.last = emission.catch(() => {});
    return emission;
  }

  /** @param {Float32Array} samples @returns {Promise<import("./greedy.js").Emission>} */
  async runAlone(samples) {
    const { manifest, ort } = this;
    const vocab = manifest.num_outputs;
    if (samples.length < manifest.min_samples) return { data: new Float32Array(0), vocab };
    const { logits, ...rest } = await this.session.run({
      input_values: new ort.Tensor("float32", samples, [1, samples.length]),
      input_lengths: new ort.Tensor("int64", BigInt64Array.of(BigInt(samples.length)), [1]),
    });
    const data = /** @type {Float32Array} */ (await logits.getData(true)).slice();
    for (const each of [logits, ...Object.values(rest)]) each.dispose();
    if (logits.dims[2] !== vocab || data.length !== vocab * countFrames(samples.length, manifest))
      throw new SewdError(`the model returned ${logits.dims.join("×")} values, which bundle.json does not allow; export it again`);
    if (!areFinite(data)) throw new SewdError("the model returned values that are not finite; choose another precision");
    return logSoftmax({ data, vocab });
  }
}
