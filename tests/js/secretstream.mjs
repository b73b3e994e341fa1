// X25519, ChaCha20-Poly1305, and libsodium's secretstream_xchacha20poly1305: node:crypto has the
// first two and the cipher alone; HChaCha20 and Poly1305 are made here, slowly.

import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
} from "node:crypto";
import { compare, concat, isZero, unhex } from "./bytes.mjs";

const SECRET_PREFIX = unhex("302e020100300506032b656e04220420");
const PUBLIC_PREFIX = unhex("302a300506032b656e032100");
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];
const ROUNDS = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];

const secretKey = (secret) =>
  createPrivateKey({ key: Buffer.from(concat(SECRET_PREFIX, secret)), format: "der", type: "pkcs8" });

/** Return the X25519 public key that belongs to a secret. */
export function sealingKeyOf(secret) {
  const spki = createPublicKey(secretKey(secret)).export({ format: "der", type: "spki" });
  return new Uint8Array(spki.subarray(-32));
}

/** Return what two keys agree on, or null if one is of small order. */
export function agree(secret, publicKey) {
  const der = Buffer.from(concat(PUBLIC_PREFIX, publicKey));
  const other = createPublicKey({ key: der, format: "der", type: "spki" });
  try {
    const shared = diffieHellman({ privateKey: secretKey(secret), publicKey: other });
    return isZero(shared) ? null : new Uint8Array(shared);
  } catch {
    return null;
  }
}

/** Open what ChaCha20-Poly1305 (RFC 8439) sealed with nonce 0, or return null. */
export function unlock(sealed, key) {
  if (sealed.length < 16) return null;
  const options = { authTagLength: 16 };
  const cipher = createDecipheriv("chacha20-poly1305", key, new Uint8Array(12), options);
  cipher.setAuthTag(sealed.subarray(-16));
  try {
    const plain = cipher.update(sealed.subarray(0, -16));
    return concat(plain, cipher.final());
  } catch {
    return null;
  }
}

/** Chunks of a stream, to be opened one after the other; `bound` is the associated data of each. */
export class Stream {
  constructor(key, start, bound) {
    this.key = hchacha20(key, start.subarray(0, 16));
    this.counter = 1;
    this.nonce = start.slice(16);
    this.bound = bound;
  }

  /** Return tag and text of the next chunk, or null if it does not open. */
  pull(chunk) {
    if (chunk.length < 17) return null;
    const text = chunk.subarray(1, -16);
    const first = new Uint8Array(64);
    first[0] = chunk[0];
    const [tag] = this.xor(first, 1);
    const shown = this.xor(first, 1);
    shown[0] = chunk[0];
    const parts = [this.bound, zeros(-this.bound.length), shown, text, zeros(text.length)];
    const sizes = concat(u64(this.bound.length), u64(64 + text.length));
    const mac = poly1305(concat(...parts, sizes), this.xor(new Uint8Array(32), 0));
    if (compare(mac, chunk.subarray(-16)) !== 0) return null;
    const plain = this.xor(text, 2);
    this.nonce = this.nonce.map((byte, at) => byte ^ mac[at]);
    this.counter += 1;
    return { tag, plain };
  }

  xor(bytes, block) {
    const counter = Buffer.alloc(8);
    counter.writeUInt32LE(block, 0);
    counter.writeUInt32LE(this.counter, 4);
    const cipher = createCipheriv("chacha20", this.key, concat(counter, this.nonce));
    return new Uint8Array(cipher.update(bytes));
  }
}

/** Zeros, so many as the last four bits of `size` say; libsodium adds these after the text. */
const zeros = (size) => new Uint8Array(size & 15);

function u64(value) {
  const raw = Buffer.alloc(8);
  raw.writeBigUInt64LE(BigInt(value));
  return raw;
}

function hchacha20(key, start) {
  const words = (raw) => {
    const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
    return Array.from({ length: raw.length / 4 }, (_, at) => view.getUint32(4 * at, true));
  };
  const state = Uint32Array.from([...SIGMA, ...words(key), ...words(start)]);
  for (let round = 0; round < 10; round += 1) {
    for (const places of ROUNDS) quarter(state, ...places);
  }
  const out = Buffer.alloc(32);
  const kept = [...state.subarray(0, 4), ...state.subarray(12)];
  kept.forEach((word, at) => out.writeUInt32LE(word, 4 * at));
  return new Uint8Array(out);
}

function quarter(state, a, b, c, d) {
  const turn = (to, from, by, bits) => {
    state[from] += state[by];
    const mixed = state[to] ^ state[from];
    state[to] = (mixed << bits) | (mixed >>> (32 - bits));
  };
  turn(d, a, b, 16);
  turn(b, c, d, 12);
  turn(d, a, b, 8);
  turn(b, c, d, 7);
}

function poly1305(message, key) {
  const number = (raw) => raw.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const r = number(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (let at = 0; at < message.length; at += 16) {
    sum = ((sum + number(concat(message.subarray(at, at + 16), Uint8Array.of(1)))) * r) % ((1n << 130n) - 5n);
  }
  const out = Buffer.alloc(24);
  const mac = sum + number(key.subarray(16));
  out.writeBigUInt64LE(mac & 0xffffffffffffffffn, 0);
  out.writeBigUInt64LE((mac >> 64n) & 0xffffffffffffffffn, 8);
  return new Uint8Array(out.subarray(0, 16));
}
