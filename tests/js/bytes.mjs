// Bytes, hashes and the one error: what every other module here uses.

import { createHash } from "node:crypto";

const NETWORK = "passalong";

/** What the bytes say is not allowed by docs/protocol.md. */
export class Refused extends Error {}

/** Throw `Refused` unless `condition` holds. */
export function must(condition, why) {
  if (!condition) throw new Refused(why);
}

export function unhex(text) {
  must(/^([0-9a-f]{2})*$/.test(text), "not hex");
  return new Uint8Array(Buffer.from(text, "hex"));
}

export const hex = (bytes) => Buffer.from(bytes).toString("hex");
export const concat = (...parts) => new Uint8Array(Buffer.concat(parts));
export const compare = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other));
export const equal = (one, other) => compare(one, other) === 0;
export const isZero = (bytes) => bytes.every((byte) => byte === 0);
export const ascii = (text) => new Uint8Array(Buffer.from(text, "latin1"));
export const context = (what) => ascii(`${NETWORK}/${what}/1`);
export const utf8Size = (text) => Buffer.byteLength(text, "utf8");

export function sha256(...parts) {
  return new Uint8Array(createHash("sha256").update(concat(...parts)).digest());
}

export const isBytes = (value, size) =>
  value instanceof Uint8Array && (size === undefined || value.length === size);
export const isNumber = (value, low, high) =>
  typeof value === "number" && value >= low && value <= high;
