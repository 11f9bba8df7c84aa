import { load, SewdError, type Partial, type Word } from "sewd-web";

const recognizer = await load("/digits/", { threads: 2, provider: "wasm", onProgress: ({ file, loaded_bytes }) => `${file} ${loaded_bytes}` });
const { text, words } = await recognizer.transcribe(new Blob([]));
const times: number[] = words.map((word: Word) => word.start_s);
const stream = recognizer.stream({ sample_rate_hz: 48_000, chunk_s: 0.5 });
const { committed, pending, turns }: Partial = await stream.feed(new Float32Array(480));
await stream.finish();
const threads: number = recognizer.backend.threads;
export const used: unknown = [text, times, committed, pending, turns, threads, SewdError];
// @ts-expect-error: there is no such provider
await load("/digits/", { provider: "tpu" });
