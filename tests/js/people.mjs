// Recovery words, certificates, links and pairs: docs/protocol.md, "Keys", "Link" and "Pairs".

import { readFileSync } from "node:fs";
import { compare, concat, context, equal, hex, isZero, must, sha256 } from "./bytes.mjs";
import { hkdf, publicKeyOf, verify } from "./ed25519.mjs";

const LIST_HASH = "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda";
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const LINK_SIZE = 1 + 3 * 32 + 64 + 4;

function wordList() {
  const file = readFileSync(new URL("../vectors/words.txt", import.meta.url));
  must(hex(sha256(file)) === LIST_HASH, "not the English list of BIP 39");
  return file.toString("ascii").trim().split("\n");
}

/** Read 24 recovery words; return the entropy, the seed and the person's key. */
export function words(text) {
  const list = wordList();
  const places = text.toLowerCase().split(/\s+/).filter(Boolean).map((word) => list.indexOf(word));
  must(places.length === 24, "24 words");
  must(!places.includes(-1), "a word that is not in the list");
  const bits = places.reduce((sum, place) => (sum << 11n) | BigInt(place), 0n);
  const digits = bits.toString(16).padStart(66, "0");
  const bytes = new Uint8Array(Buffer.from(digits, "hex"));
  const entropy = bytes.subarray(0, 32);
  must(sha256(entropy)[0] === bytes[32], "checksum");
  const seed = hkdf(entropy, context("seed/person"), 32);
  return { entropy, seed, person: publicKeyOf(seed) };
}

export const isCertified = (person, device, certificate) =>
  verify(person, concat(context("person"), device), certificate);

/** Read a `passalong:` link. */
export function link(text) {
  const trimmed = text.trim();
  must(trimmed.length <= 1_024, "too long");
  const [scheme, digits, ...more] = trimmed.toLowerCase().split(":");
  must(scheme === "passalong" && digits !== undefined && more.length === 0, "not a link");
  const raw = fromBase32(digits);
  must(raw.length === LINK_SIZE, "of another length");
  const signed = raw.subarray(0, -4);
  must(equal(check(signed), raw.subarray(-4)), "mistyped");
  must(raw[0] === 1, "another version");
  const [person, device, sealing] = [raw.slice(1, 33), raw.slice(33, 65), raw.slice(65, 97)];
  const certificate = raw.slice(97, 161);
  must(isCertified(person, device, certificate), "certificate");
  return { person, device, sealing, certificate, text: `passalong:${toBase32(raw)}` };
}

const check = (signed) => sha256(context("link"), signed).subarray(0, 4);

function fromBase32(digits) {
  must((digits.length * 5) % 8 === 0, "bits are missing");
  let bits = 0n;
  for (const digit of digits) {
    const value = ALPHABET.indexOf(digit);
    must(value >= 0, "not a letter of a link");
    bits = (bits << 5n) | BigInt(value);
  }
  const size = (digits.length * 5) / 8;
  return new Uint8Array(Buffer.from(size ? bits.toString(16).padStart(2 * size, "0") : "", "hex"));
}

function toBase32(raw) {
  const bits = BigInt(`0x${hex(raw)}`);
  const count = (raw.length * 8) / 5;
  return Array.from({ length: count }, (_, index) =>
    ALPHABET[Number((bits >> BigInt(5 * (count - 1 - index))) & 31n)],
  ).join("");
}

/** Join proposals and agreements; return [proposal id, agreement id], ascending. */
export function pairs(proposals, agreements, withdrawals) {
  const found = new Map();
  for (const agreement of [...agreements].sort((one, other) => compare(one.id, other.id))) {
    const proposal = proposals.find(({ id }) => equal(id, agreement.proposal));
    if (!proposal || !fits(proposal, agreement)) continue;
    const isBack = withdrawals.some(
      (back) =>
        equal(back.device, proposal.device) &&
        equal(back.proposal, proposal.id) &&
        back.seq <= agreement.head,
    );
    const key = hex(proposal.id) + hex(agreement.person);
    if (!isBack && !found.has(key)) found.set(key, [hex(proposal.id), hex(agreement.id)]);
  }
  return [...found.keys()].sort().map((key) => found.get(key));
}

function fits(proposal, agreement) {
  return (
    (isZero(proposal.asked) || equal(proposal.asked, agreement.person)) &&
    !equal(agreement.person, proposal.person) &&
    equal(agreement.proposer, proposal.person) &&
    agreement.kind === proposal.kind &&
    agreement.head >= proposal.seq
  );
}
