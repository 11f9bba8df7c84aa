/** Everything that this package raises on purpose: what is wrong, where, and what to do. */
export class SewdError extends Error {
  name = "SewdError";
}
