// Ed25519 as docs/protocol.md wants it checked. node:crypto has the equation; the refusals that it
// does not promise are made here.

import { createPrivateKey, createPublicKey, hkdfSync, verify as nodeVerify } from "node:crypto";
import { ascii, concat, must, unhex } from "./bytes.mjs";

const P = (1n << 255n) - 19n;
const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
const D = mod(-121665n * power(121666n, P - 2n));
const PUBLIC_PREFIX = unhex("302a300506032b6570032100");
const SECRET_PREFIX = unhex("302e020100300506032b657004220420");

/** Say whether `signature` is the signature of `publicKey` over `message`. */
export function verify(publicKey, message, signature) {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  if (number(signature.subarray(32)) >= ORDER) return false;
  if (!isAcceptable(publicKey) || !isAcceptable(signature.subarray(0, 32))) return false;
  const der = Buffer.from(concat(PUBLIC_PREFIX, publicKey));
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  return nodeVerify(null, message, key, signature);
}

/** Return the public key that belongs to a seed of 32 bytes. */
export function publicKeyOf(seed) {
  must(seed.length === 32, "a seed has 32 bytes");
  const der = Buffer.from(concat(SECRET_PREFIX, seed));
  const secret = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const spki = createPublicKey(secret).export({ format: "der", type: "spki" });
  return new Uint8Array(spki.subarray(-32));
}

export function hkdf(secret, label, length) {
  return new Uint8Array(hkdfSync("sha256", secret, ascii(""), label, length));
}

/** Say whether 32 bytes are the canonical spelling of a point that is not of small order. */
function isAcceptable(bytes) {
  const y = number(bytes) & ((1n << 255n) - 1n);
  return y < P && isOnCurve(y) && !isSmall(y);
}

function isOnCurve(y) {
  const square = mod((y * y - 1n) * power(D * y * y + 1n, P - 2n));
  return square === 0n || power(square, (P - 1n) / 2n) === 1n;
}

/**
 * Points of order 1, 2, 4: y is 1, -1, 0. Twice a point of order 8 has y = 0, and doubling
 * gives y' = (x^2 + y^2) / (2 - (y^2 - x^2)) with y^2 - x^2 = 1 + d x^2 y^2; so there x^2 = -y^2,
 * that is 2 y^2 = 1 - d y^4.
 */
function isSmall(y) {
  const square = mod(y * y);
  return y === 0n || square === 1n || mod(2n * square - 1n + D * square * square) === 0n;
}

function number(littleEndian) {
  return littleEndian.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function mod(value) {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base, exponent) {
  let result = 1n;
  for (let b = mod(base), e = exponent; e > 0n; e >>= 1n, b = mod(b * b)) {
    if (e & 1n) result = mod(result * b);
  }
  return result;
}
