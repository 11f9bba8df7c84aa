// Both tables are those of sewd_runtime.text.scripts, as ranges of code points in hexadecimal; a test compares them.

/** Scripts that are written without spaces between words; Korean has spaces. */
export const UNSPACED =
  "e01-fd4,fd9-109f,1780-17f9,19e0-19ff,2e80-2ef3,2ff0-3002,3005-3007,302a-302d,3037-3037,303e-3096,309b-312f,3190-31ff," +
  "32c0-32cb,3358-3370,33e0-33fe,3400-4dbf,4e00-9fff,a9e0-a9fe,aa60-aa7f,f900-fad9,ff65-ff6f,ff71-ff9f,1aff0-1b001," +
  "1b11f-1b167,1d372-1d376,20000-3134a";

/** Characters of the East Asian widths W and F. */
export const WIDE =
  "1100-115f,231a-231b,2329-232a,23e9-23ec,23f0-23f0,23f3-23f3,25fd-25fe,2614-2615,2648-2653,267f-267f,2693-2693," +
  "26a1-26a1,26aa-26ab,26bd-26be,26c4-26c5,26ce-26ce,26d4-26d4,26ea-26ea,26f2-26f3,26f5-26f5,26fa-26fa,26fd-26fd," +
  "2705-2705,270a-270b,2728-2728,274c-274c,274e-274e,2753-2755,2757-2757,2795-2797,27b0-27b0,27bf-27bf,2b1b-2b1c," +
  "2b50-2b50,2b55-2b55,2e80-303e,3041-3247,3250-4dbf,4e00-a4c6,a960-a97c,ac00-d7a3,f900-fad9,fe10-fe19,fe30-fe6b," +
  "ff01-ff60,ffe0-ffe6,16fe0-1b2fb,1f004-1f004,1f0cf-1f0cf,1f18e-1f18e,1f191-1f19a,1f200-1f320,1f32d-1f335," +
  "1f337-1f37c,1f37e-1f393,1f3a0-1f3ca,1f3cf-1f3d3,1f3e0-1f3f0,1f3f4-1f3f4,1f3f8-1f43e,1f440-1f440,1f442-1f4fc," +
  "1f4ff-1f53d,1f54b-1f54e,1f550-1f567,1f57a-1f57a,1f595-1f596,1f5a4-1f5a4,1f5fb-1f64f,1f680-1f6c5,1f6cc-1f6cc," +
  "1f6d0-1f6d2,1f6d5-1f6df,1f6eb-1f6ec,1f6f4-1f6fc,1f7e0-1f7f0,1f90c-1f93a,1f93c-1f945,1f947-1f9ff,1fa70-1faf6," +
  "20000-3134a";

/** @param {string} table */
const pattern = (table) => new RegExp(`[${table.replace(/[0-9a-f]+/g, "\\u{$&}").replaceAll(",", "")}]`, "gu");

const [unspaced, wide] = [pattern(UNSPACED), pattern(WIDE)];

/** Return whether any character of a text is of a script without spaces. @param {string} text */
export function isUnspaced(text) {
  return text.search(unspaced) >= 0;
}

/** Return what stands between two texts in a row: a space unless both are written without. @param {string} before @param {string} text */
function gapBetween(before, text) {
  const isJoined = isUnspaced(before) && isUnspaced(text) && !(before + text).includes(" ");
  return isJoined || !before ? "" : " ";
}

/** Return texts in a row, with what stands between them. @param {readonly string[]} texts */
export function joinTexts(texts) {
  return texts.map((text, place) => gapBetween(texts[place - 1] ?? "", text) + text).join("");
}

/** Return the width of a text in letters; a wide character is two. @param {string} text */
export function columns(text) {
  return [...text].length + (text.match(wide)?.length ?? 0);
}

const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const [edges, gaps] = [new RegExp(`^${SPACE}|${SPACE}$`, "g"), new RegExp(SPACE, "g")];

/** Return a text without white space around it, as Python's `strip`. @param {string} text */
export function strip(text) {
  return text.replace(edges, "");
}

/** Return a text on one line: with a space for each white space, and none around it. @param {string} text */
export function onOneLine(text) {
  return strip(text).replace(gaps, " ");
}
