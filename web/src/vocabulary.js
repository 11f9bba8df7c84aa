import { SewdError } from "./errors.js";
import { strip } from "./scripts.js";

// In this order; the same pairs as transformers' `clean_up_tokenization`.
const CLEAN_UP = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
];

/**
 * The tokens of a CTC model's outputs; its text is that of sewd_runtime.text.vocabulary.
 * canonicalIds: the id of each output when repeats are merged; all outputs without a token share one.
 */
export class Vocabulary {
  /**
   * @param {Record<string, number>} tokens vocab.json: token → id
   * @param {import("./manifest.js").Ctc} ctc @param {number} numOutputs
   */
  constructor(tokens, ctc, numOutputs) {
    const entries = Object.entries(tokens);
    const tokenOf = new Map(entries.map(([token, id]) => [id, token]));
    if (tokenOf.size < entries.length) throw new SewdError("vocab.json: two tokens have the same id; export it again");
    if (!(ctc.blank_id < numOutputs && tokenOf.has(ctc.blank_id)))
      throw new SewdError(`bundle.json: ctc.blank_id is ${ctc.blank_id}, which is no output with a token; export it again`);
    const ids = new Map(entries);
    /** @param {string} token */
    const piece = (token) => (token === tokenOf.get(ctc.blank_id) ? "" : token === ctc.word_delimiter ? " " : token);
    this.blankId = ctc.blank_id;
    this.delimiterId = ids.get(ctc.word_delimiter || " ") ?? ids.get(" ") ?? null;
    this.pieces = new Map(entries.map(([token, id]) => [id, piece(token)]));
    this.unknownPiece = ctc.unknown_token === null ? null : piece(ctc.unknown_token);
    this.isLowerCase = ctc.do_lower_case;
    this.isCleanedUp = ctc.clean_up_spaces;
    const outputs = Array.from({ length: numOutputs }, (_, id) => id);
    const nameless = outputs.find((id) => !tokenOf.has(id));
    if (nameless !== undefined && ctc.unknown_token === null)
      throw new SewdError(`vocab.json has no token for the output ${nameless}, and there is no unknown token; export it again`);
    const unknownId = ids.get(ctc.unknown_token ?? "") ?? nameless ?? -1;
    this.canonicalIds = outputs.map((id) => (tokenOf.has(id) ? id : unknownId));
  }

  /** Return the text of one token of the outputs. @param {number} id */
  piece(id) {
    return this.pieces.get(id) ?? this.unknownPiece ?? "";
  }

  /** Return the text of token ids whose repeats are merged. @param {readonly number[]} ids */
  text(ids) {
    let text = strip(ids.map((id) => this.piece(id)).join(""));
    if (this.isLowerCase) text = text.toLowerCase();
    if (this.isCleanedUp) for (const [before, after] of CLEAN_UP) text = text.replaceAll(before, after);
    return text;
  }

  /** Return the number of tokens up to the last word delimiter, which is included. @param {readonly number[]} ids */
  countWholeWords(ids) {
    return this.delimiterId === null ? 0 : ids.lastIndexOf(this.delimiterId) + 1;
  }
}
