// A recording of any length: all but its newest seconds are files in the browser's own file system, or Blobs, which are
// in memory, where there is none.
const KEPT_PACKETS = 100; // in memory

/** PCM16 samples that become a WAV file. */
export class Recording {
  #packets = [];
  #parts = []; // Blobs, or promises of them
  #rate;

  /** @param {number} rate in Hz */
  constructor(rate) {
    this.#rate = rate;
  }

  /** Take the next samples. @param {Int16Array} packet */
  add(packet) {
    if (this.#packets.push(packet) === KEPT_PACKETS) this.#parts.push(onDisk(new Blob(this.#packets.splice(0))));
  }

  /** Return all of it as a WAV file. */
  async close() {
    return wav(new Blob([...(await Promise.all(this.#parts)), ...this.#packets]), this.#rate);
  }
}

let folder; // a promise of this page's own folder
let count = 0; // files in it
removeClosed().catch(() => {}); // no such file system

/** Return what a Blob holds as a file on disk, or the Blob where that does not work. @param {Blob} blob */
async function onDisk(blob) {
  try {
    folder ??= openFolder();
    const file = await (await folder).getFileHandle(String(count++), { create: true });
    const writer = await file.createWritable();
    await writer.write(blob);
    await writer.close();
    return await file.getFile();
  } catch {
    return blob; // no such file system, or a full disk
  }
}

/** Return the folder of all recordings of this site. */
async function openAll() {
  return (await navigator.storage.getDirectory()).getDirectoryHandle("sewd recordings", { create: true });
}

/** Make a folder for this page; a lock of the same name says that the page is open. */
async function openFolder() {
  const name = crypto.randomUUID();
  await new Promise((granted, refused) => {
    navigator.locks.request(name, () => (granted(), new Promise(() => {}))).catch(refused);
  });
  return (await openAll()).getDirectoryHandle(name, { create: true });
}

/** Remove the recordings of pages that are closed. */
async function removeClosed() {
  const all = await openAll();
  const names = [];
  for await (const name of all.keys()) names.push(name);
  const { held } = await navigator.locks.query(); // later, so that a folder that was just made is not removed
  const open = held.map((lock) => lock.name);
  for (const name of names) if (!open.includes(name)) await all.removeEntry(name, { recursive: true });
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
