import { SewdError } from "./errors.js";

/**
 * bundle.json, as docs/bundle.md states it; only what is read here.
 * @typedef {{
 *   blank_id: number, unknown_token: string | null, word_delimiter: string | null,
 *   do_lower_case: boolean, clean_up_spaces: boolean,
 * }} Ctc
 * @typedef {{ size_bytes: number, sha256: string }} FileEntry
 * @typedef {{
 *   format_version: number, name: string, task: string, sample_rate_hz: number, receptive_field: number, stride: number,
 *   min_samples: number, num_outputs: number, ctc: Ctc, precisions: Record<string, { file: string }>,
 *   files: Record<string, FileEntry>,
 * }} Manifest
 */

const FORMATS = [1, 2, 3, 4]; // what differs between them is not read here

/** Parse and check bundle.json. @param {string} text @returns {Manifest} */
export function parseManifest(text) {
  const manifest = parseJson(text, "bundle.json");
  /** @param {string} what @returns {never} */
  const refuse = (what) => {
    throw new SewdError(`bundle.json: ${what}; export it again`);
  };
  const version = manifest?.format_version;
  if (!FORMATS.includes(version)) refuse(`format_version is ${version}, and this package reads 1 to 4`);
  if (manifest.task !== "ctc") throw new SewdError(`bundle.json: its task is ${manifest.task}, and this package runs ctc`);
  for (const key of ["sample_rate_hz", "receptive_field", "stride", "min_samples", "num_outputs"])
    if (!(Number.isInteger(manifest[key]) && manifest[key] > 0)) refuse(`${key} must be an integer above 0`);
  const { ctc } = manifest;
  if (!Number.isInteger(ctc?.blank_id)) refuse("ctc.blank_id must be an integer");
  for (const key of ["unknown_token", "word_delimiter"])
    if (ctc[key] !== null && typeof ctc[key] !== "string") refuse(`ctc.${key} must be a string or null`);
  for (const key of ["do_lower_case", "clean_up_spaces"])
    if (typeof ctc[key] !== "boolean") refuse(`ctc.${key} must be true or false`);
  for (const name of ["vocab.json", ...Object.values(manifest.precisions ?? {}).map((entry) => entry.file)]) {
    const entry = manifest.files?.[name];
    if (!/^[\w.-]+$/.test(name)) refuse(`${JSON.stringify(name)} is not a bare file name`);
    if (!Number.isInteger(entry?.size_bytes) || !/^[0-9a-f]{64}$/.test(entry?.sha256))
      refuse(`files has no size and sha256 of ${name}`);
  }
  return manifest;
}

/** Return the model's file of a precision. @param {Manifest} manifest @param {string} precision */
export function modelFile({ precisions }, precision) {
  if (!Object.hasOwn(precisions, precision))
    throw new SewdError(`the bundle has no ${precision}; choose from ${Object.keys(precisions).join(", ")}`);
  return precisions[precision].file;
}

/** @param {string} text @param {string} name @returns {any} */
export function parseJson(text, name) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SewdError(`${name}: not JSON: ${/** @type {Error} */ (error).message}`);
  }
}
