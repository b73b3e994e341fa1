// Reads the one deterministic spelling of a value: docs/protocol.md, "Encoding".
//
// Integers come out as numbers where those are exact and as BigInt beyond; byte strings as
// Uint8Array, text as string, arrays as arrays, null as null.

import { must, Refused } from "./bytes.mjs";

const MAX_DEPTH = 8;
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Read exactly one value from `bytes`, at most `limit` of them. */
export function decode(bytes, limit) {
  must(bytes.length <= limit, "longer than allowed");
  const reader = new Reader(bytes);
  const value = reader.value(MAX_DEPTH);
  must(reader.at === bytes.length, "something after the end");
  return value;
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  take(size) {
    must(size <= this.bytes.length - this.at, "cut short");
    this.at += Number(size);
    return this.bytes.subarray(this.at - Number(size), this.at);
  }

  head() {
    const [first] = this.take(1);
    const major = first >> 5;
    const info = first & 31;
    if (info < 24) return [major, BigInt(info)];
    must(info <= 27, "not a definite length");
    let argument = 0n;
    for (const byte of this.take(1 << (info - 24))) argument = (argument << 8n) | BigInt(byte);
    const least = [24n, 1n << 8n, 1n << 16n, 1n << 32n][info - 24];
    must(argument >= least, "not the shortest spelling");
    return [major, argument];
  }

  value(depth) {
    const [major, argument] = this.head();
    switch (major) {
      case 0:
        return exact(argument);
      case 1:
        return exact(-1n - argument);
      case 2:
        return new Uint8Array(this.take(argument));
      case 3:
        return this.text(argument);
      case 4:
        return this.array(argument, depth);
      case 7:
        must(argument === 22n, "neither null nor anything else that is allowed");
        return null;
      default:
        throw new Refused("a map or a tag");
    }
  }

  text(size) {
    const bytes = this.take(size);
    try {
      return UTF8.decode(bytes);
    } catch {
      throw new Refused("not UTF-8");
    }
  }

  array(count, depth) {
    must(depth > 0, "nested too deep");
    must(count <= this.bytes.length - this.at, "cut short");
    return Array.from({ length: Number(count) }, () => this.value(depth - 1));
  }
}

function exact(number) {
  const small = Number(number);
  return Number.isSafeInteger(small) ? small : number;
}
