#!/usr/bin/env node
// Transcribe WAV files: sewd-web BUNDLE SPEECH.wav [PRECISION]. onnxruntime-node runs the model.
import { readFile } from "node:fs/promises";
import { load } from "sewd-web";

const [bundle, recording, precision] = process.argv.slice(2);
if (!recording) {
  console.error("usage: sewd-web BUNDLE SPEECH.wav [PRECISION]");
  process.exit(2);
}
try {
  const recognizer = await load(bundle, { precision });
  console.log((await recognizer.transcribe(new Blob([await readFile(recording)]))).text);
} catch (error) {
  console.error(`sewd-web: ${error.message}`);
  process.exit(1);
}
