// Writes the one deterministic spelling of a value: docs/protocol.md, "Encoding".

import { concat } from "./bytes.mjs";

function head(major, count) {
  const sizes = [24, 2 ** 8, 2 ** 16, 2 ** 32];
  const info = sizes.findIndex((least) => count < least);
  if (info === 0) return new Uint8Array([(major << 5) | count]);
  const size = info < 0 ? 8 : 2 ** (info - 1);
  const raw = Buffer.alloc(8);
  raw.writeBigUInt64BE(BigInt(count));
  const low = info < 0 ? 27 : 23 + info;
  return concat(new Uint8Array([(major << 5) | low]), raw.subarray(8 - size));
}

export const number = (value) => head(0, value);
export const bytes = (value) => concat(head(2, value.length), value);
export const array = (...items) => concat(head(4, items.length), ...items);
export const nothing = new Uint8Array([0xf6]);
