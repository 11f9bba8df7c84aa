// Transcribe a 16 kHz mono 16-bit WAV with onnxruntime-node: node transcribe.mjs BUNDLE SPEECH.wav [PRECISION]
import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";

const [folder, recording, precision = "fp32"] = process.argv.slice(2);
const manifest = JSON.parse(readFileSync(`${folder}/bundle.json`));
const { blank_id: blank, word_delimiter: delimiter } = manifest.ctc;
const tokens = [];
for (const [token, id] of Object.entries(JSON.parse(readFileSync(`${folder}/vocab.json`)))) tokens[id] = token;

const wav = readFileSync(recording);
const at = wav.indexOf("data") + 8; // past the name and the size of the chunk
if (wav.readUInt16LE(22) !== 1 || wav.readUInt32LE(24) !== manifest.sample_rate_hz || wav.readUInt16LE(34) !== 16)
  throw new Error(`${recording}: must be mono, 16 bits, ${manifest.sample_rate_hz} Hz`);
const samples = new Float32Array(wav.readUInt32LE(at - 4) / 2).map((_, i) => wav.readInt16LE(at + 2 * i) / 32768);

const session = await ort.InferenceSession.create(`${folder}/${manifest.precisions[precision].file}`);
const { logits } = await session.run({
  input_values: new ort.Tensor("float32", samples, [1, samples.length]),
  input_lengths: new ort.Tensor("int64", [BigInt(samples.length)], [1]),
});
const [, frames, vocab] = logits.dims;
let text = "";
for (let frame = 0, before = blank; frame < frames; frame++) {
  const row = logits.data.subarray(frame * vocab, (frame + 1) * vocab);
  const best = row.indexOf(row.reduce((a, b) => Math.max(a, b)));
  if (best !== blank && best !== before) text += tokens[best] === delimiter ? " " : tokens[best];
  before = best;
}
console.log(text.trim());
